package allowlist_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/crossapply/crossapply/shared/allowlist"
	"github.com/crossapply/crossapply/shared/contract"
)

func TestRefuse(t *testing.T) {
	list := allowlist.List{
		{Group: "kafka.strimzi.io", Kind: "KafkaTopic", Plural: "kafkatopics", Namespaces: []string{"kafka"}},
		{Group: "kafka.strimzi.io", Kind: "KafkaTopic", Plural: "kafkatopics", Namespaces: []string{"events"}},
		{Group: "messaging.example.com", Kind: "*", Plural: "*"},
		{Kind: "ConfigMap", Plural: "configmaps", Namespaces: []string{"apps"}},
	}
	for _, test := range []struct{ apiVersion, kind, namespace, why string }{
		{"kafka.strimzi.io/v1beta2", "KafkaTopic", "kafka", ""},
		{"kafka.strimzi.io/v1", "KafkaTopic", "events", ""},
		{"kafka.strimzi.io/v1beta2", "KafkaTopic", "default", "allows KafkaTopic.kafka.strimzi.io in the namespaces kafka, events only"},
		{"kafka.strimzi.io/v1beta2", "KafkaTopic", "", "in the namespaces kafka, events only"},
		{"kafka.strimzi.io/v1beta2", "KafkaUser", "kafka", "does not allow KafkaUser.kafka.strimzi.io"},
		{"kafka.strimzi.io/v1beta2", "kafkatopic", "kafka", "does not allow"},
		{"strimzi.io/v1", "KafkaTopic", "kafka", "does not allow"},
		{"messaging.example.com/v1", "Topic", "anywhere", ""},
		{"messaging.example.com/v1", "Broker", "", ""},
		{"v1", "ConfigMap", "apps", ""},
		{"v1", "ConfigMap", "kube-system", "allows ConfigMap in the namespaces apps only"},
		{"apps/v1", "ConfigMap", "apps", "does not allow ConfigMap.apps"},
	} {
		ref := contract.ResourceRef{APIVersion: test.apiVersion, Kind: test.kind, Namespace: test.namespace, Name: "orders"}
		if why := list.Refuse(ref); (why == "") != (test.why == "") || !strings.Contains(why, test.why) {
			t.Errorf("%s %s in %q: %q, want %q", test.apiVersion, test.kind, test.namespace, why, test.why)
		}
		if why := (allowlist.List)(nil).Refuse(ref); why != "" {
			t.Errorf("without a list %s is refused: %s", test.kind, why)
		}
	}
}

// An object can be named by the plural of its kind.
func TestRefusePlural(t *testing.T) {
	list := allowlist.List{{Group: "a.b", Kind: "Topic", Plural: "topics", Namespaces: []string{"kafka"}}, {Group: "c.d", Kind: "*", Plural: "*"}}
	for _, test := range []struct{ apiVersion, plural, namespace, why string }{
		{"a.b/v1", "topics", "kafka", ""},
		{"a.b/v1", "topics", "default", "allows topics.a.b in the namespaces kafka only"},
		{"a.b/v1", "users", "kafka", "does not allow users.a.b"},
		{"a.b/v1", "", "kafka", "does not allow"},
		{"c.d/v1", "users", "", ""},
	} {
		ref := contract.ResourceRef{APIVersion: test.apiVersion, Plural: test.plural, Namespace: test.namespace, Name: "orders"}
		if why := list.Refuse(ref); (why == "") != (test.why == "") || !strings.Contains(why, test.why) {
			t.Errorf("%+v: %q", test, why)
		}
	}
}

func TestParse(t *testing.T) {
	for _, list := range []allowlist.List{nil, {{Kind: "ConfigMap", Plural: "configmaps"}, {Group: "a.b", Kind: "*", Plural: "*", Namespaces: []string{"x", "y"}}}} {
		if got, err := allowlist.Parse(list.String()); err != nil || !reflect.DeepEqual(got, list) {
			t.Errorf("%s is read as %v, %v", list, got, err)
		}
	}
	if _, err := allowlist.Parse("KafkaTopic"); err == nil {
		t.Error("what is no list is read as one")
	}
}
