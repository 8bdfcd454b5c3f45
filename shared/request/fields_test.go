package request_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/crossapply/crossapply/shared/allowlist"
	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/manifest"
	"github.com/crossapply/crossapply/shared/request"
	"github.com/crossapply/crossapply/shared/waves"
)

// withAll returns a valid request with the fields of a JSON object put over it.
func withAll(t *testing.T, fields string) string {
	t.Helper()
	all := map[string]json.RawMessage{"resource": json.RawMessage(topic), "targets": json.RawMessage("[" + payments + "]")}
	if err := json.Unmarshal([]byte(fields), &all); err != nil {
		t.Fatalf("%s: %v", fields, err)
	}
	text, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// accepted parses a request that must be accepted.
func accepted(t *testing.T, text string) request.Parsed {
	t.Helper()
	parsed, problems := request.Parse(json.RawMessage(text), scope, nil)
	if len(problems) > 0 {
		t.Fatalf("%s: %v", text, problems)
	}
	return parsed
}

// Of fields and of what they say together.
func TestRefused(t *testing.T) {
	const other = `{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "b"}}`
	two := `"resource": null, "resources": [` + topic + `, ` + other + `]`
	long := func(n int) string { return strings.Repeat("a", n) }
	many := func(n int, text string) string { return "[" + strings.Repeat(text+",", n-1) + text + "]" }
	for _, test := range []struct{ name, fields, want string }{
		// What to act on.
		{"a resource and several", `{"resources": [` + other + `]}`, "resource: Forbidden: give one of resource, resources and resourceFrom"},
		{"a resource and a file", `{"resourceFrom": {"key": "inputs/a"}}`, "resource: Forbidden: give one"},
		{"several and a file", `{"resource": null, "resources": [` + other + `], "resourceFrom": {"key": "inputs/a"}}`, "resources: Forbidden: give one"},
		{"no resources", `{"resource": null, "resources": []}`, "resources: Required value: give at least one object"},
		{"too many resources", `{"resource": null, "resources": ` + many(contract.MaxResources+1, "null") + `}`, "resources: Too many: 21: must have at most 20 items"},
		{"one that is null", `{"resource": null, "resources": [` + topic + `, null]}`, "resources[1]: Required value: give the object to apply"},
		{"one that is wrong", `{"resource": null, "resources": [` + topic + `, {"kind": "x"}]}`, "resources[1].kind: Invalid value"},
		{"a Secret among them", `{"resource": null, "resources": [` + topic + `, {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}}]}`, "resources[1].kind: Forbidden"},
		{"an object twice", `{"resource": null, "resources": [` + topic + `, ` + other + `, ` + strings.Replace(topic, "/v1", "/v2", 1) + `]}`,
			"resources[2]: Invalid value: \"Topic kafka/orders\": is the object of resources[0]"},
		{"coordinates to apply", `{"resource": {"version": "v1", "kind": "ConfigMap", "name": "a"}}`, "resource.apiVersion: Required value"},
		{"coordinates without a version", `{"operation": "get", "resource": {"kind": "ConfigMap", "name": "a"}}`, "resource.version: Required value"},
		{"coordinates without a kind", `{"operation": "get", "resource": {"version": "v1", "name": "a"}}`, "resource.kind: Required value"},
		{"coordinates without a name", `{"operation": "get", "resource": {"version": "v1", "kind": "ConfigMap"}}`, "resource.name: Required value"},
		{"coordinates with a kind in two ways", `{"operation": "get", "resource": {"version": "v1", "kind": "ConfigMap", "plural": "configmaps", "name": "a"}}`, "resource.plural: Forbidden"},
		{"coordinates with a group and a version in one", `{"operation": "get", "resource": {"version": "apps/v1", "kind": "Deployment", "name": "a"}}`, "resource.version: Invalid value"},
		{"coordinates that climb", `{"operation": "get", "resource": {"version": "v1", "plural": "../x", "name": "a"}}`, "resource.plural: Invalid value"},
		{"coordinates of a subresource", `{"operation": "get", "resource": {"version": "v1", "plural": "secrets/x", "name": "a"}}`, "resource.plural: Invalid value"},
		{"coordinates with an unknown field", `{"operation": "get", "resource": {"version": "v1", "kind": "ConfigMap", "nam": "a"}}`, "resource.nam: Invalid value: unknown field"},
		{"coordinates of a Secret", `{"operation": "delete", "resource": {"version": "v1", "kind": "Secret", "name": "a"}}`, "resource.kind: Forbidden"},
		{"coordinates of a Secret by its plural", `{"operation": "get", "resource": {"version": "v1", "plural": "secrets", "name": "a"}}`, "resource.plural: Forbidden"},
		{"a Secret to get", `{"operation": "get", "resource": {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}}}`, "resource.kind: Forbidden"},
		{"nothing to get", `{"operation": "get", "resource": null}`, "resource: Required value: give the object to get"},
		{"a file elsewhere", `{"resource": null, "resourceFrom": {"key": "runs/a/plan.json"}}`, `resourceFrom.key: Invalid value: "runs/a/plan.json": must be the key of an object below inputs/`},
		{"a file that climbs", `{"resource": null, "resourceFrom": {"key": "inputs/../runs/a"}}`, "resourceFrom.key: Invalid value"},
		{"a folder", `{"resource": null, "resourceFrom": {"key": "inputs/"}}`, "resourceFrom.key: Invalid value"},
		{"no file", `{"resource": null, "resourceFrom": {}}`, "resourceFrom.key: Required value"},
		{"a long key", `{"resource": null, "resourceFrom": {"key": "inputs/` + long(1100) + `"}}`, "resourceFrom.key: Too long"},
		{"half a digest", `{"resource": null, "resourceFrom": {"key": "inputs/a", "sha256": "abc"}}`, "resourceFrom.sha256: Invalid value"},
		{"a wrong expression for a file", `{"resource": null, "resourceFrom": {"key": "inputs/a"}, "ready": {"expressions": {"current": "("}}}`, "ready.expressions.current: Invalid value"},

		// Where.
		{"targets in two places", `{"targetsFrom": {"key": "inputs/a"}}`, "targets: Forbidden: targetsFrom says where they lie"},
		{"targets elsewhere", `{"targets": null, "targetsFrom": {"key": "a"}}`, "targetsFrom.key: Invalid value"},
		{"a selector without accounts", `{"targets": [{"regions": ["eu-west-1"]}]}`, "targets[0].accounts: Required value: say in which accounts to look"},
		{"a selector of nothing", `{"targets": [{"optional": true}]}`, "targets[0].accounts: Required value"},
		{"a selector with no accounts", `{"targets": [{"accounts": []}]}`, "targets[0].accounts: Required value: leave it out, or give it a value"},
		{"a selector of a wrong account", `{"targets": [{"accounts": ["*", "1"]}]}`, `targets[0].accounts[1]: Invalid value: "1": must be the 12 digits of an AWS account id, as a string, or "*"`},
		{"a selector of many accounts", `{"targets": [{"accounts": ` + many(contract.MaxPatterns+1, `"*"`) + `}]}`, "targets[0].accounts: Too many: 1001"},
		{"a selector of a unit by name", `{"targets": [{"organizationalUnits": ["r-ab12", "prod"]}]}`, "targets[0].organizationalUnits[1]: Invalid value"},
		{"a selector of a Region that is not there", `{"targets": [{"accounts": ["*"], "regions": ["eu-west-9"]}]}`, `targets[0].regions[0]: Invalid value: "eu-west-9": no such AWS Region: did you mean eu-west-1`},
		{"a selector of another partition", `{"targets": [{"accounts": ["*"], "regions": ["cn-north-1"]}]}`, "targets[0].regions[0]: Invalid value: \"cn-north-1\": lies in partition aws-cn"},
		{"a selector with a regular expression", `{"targets": [{"accounts": ["*"], "clusters": ["prod-[ab]"]}]}`, "targets[0].clusters[0]: Invalid value"},
		{"a selector of no tags", `{"targets": [{"accounts": ["*"], "tags": {}}]}`, "targets[0].tags: Required value"},
		{"a selector of no value", `{"targets": [{"accounts": ["*"], "tags": {"env": []}}]}`, "targets[0].tags[env]: Required value"},
		{"a selector of a number", `{"targets": [{"accounts": ["*"], "tags": {"env": 7}}]}`, "request: Invalid value: a value of tags is 7: it must be a string, a list of strings, or null"},
		{"a long pattern", `{"targets": [{"accounts": ["*"], "clusters": ["` + long(101) + `"]}]}`, "targets[0].clusters[0]: Invalid value"},
		{"a selector of a long value", `{"targets": [{"accounts": ["*"], "tags": {"env": "` + long(300) + `"}}]}`, "targets[0].tags[env]: Too long"},
		{"a selector of a long key", `{"targets": [{"accounts": ["*"], "tags": {"` + long(200) + `": null}}]}`, "a tag's key has 1 to 128 characters"},
		{"a cluster that selects", `{"targets": [{"account": "111111111111", "region": "eu-west-1", "cluster": "a", "tags": {"env": "prod"}}]}`, "targets[0].tags: Forbidden: account, region and cluster name one cluster"},
		{"a cluster that is optional", `{"targets": [{"account": "111111111111", "region": "eu-west-1", "cluster": "a", "optional": true}]}`, "targets[0].optional: Forbidden"},
		{"half a cluster and a selector", `{"targets": [{"account": "111111111111", "regions": ["eu-west-1"]}]}`, "targets[0].regions: Forbidden"},
		{"many selectors", `{"targets": ` + many(contract.MaxSelectors+1, `{"accounts": ["*"]}`) + `}`, "targets: Invalid value: 201 of them select clusters: at most 200 may"},
		{"an exclude of everything", `{"exclude": [{"clusters": ["a"]}, {}]}`, "exclude[1]: Required value: say which clusters"},
		{"an exclude of no cluster", `{"exclude": [{"clusters": []}]}`, "exclude[0].clusters: Required value"},
		{"many excludes", `{"exclude": ` + many(contract.MaxSelectors+1, `{}`) + `}`, "exclude: Too many: 201"},

		// Overrides.
		{"an override of a wrong match", `{"overrides": [{"match": {"clusters": ["a b"]}, "patch": {}}]}`, "overrides[0].match.clusters[0]: Invalid value"},
		{"an override of nothing", `{"overrides": [{"match": {}}]}`, "overrides[0].patch: Required value"},
		{"an override by a list", `{"overrides": [{"match": {}, "patch": [1]}]}`, "overrides[0].patch: Invalid value: must be an object"},
		{"an override of the apiVersion", `{"overrides": [{"match": {}, "patch": {"apiVersion": "v2"}}]}`, "overrides[0].patch.apiVersion: Forbidden: an override may not change what names the object"},
		{"an override of the kind", `{"overrides": [{"match": {}, "patch": {"kind": null}}]}`, "overrides[0].patch.kind: Forbidden"},
		{"an override of the name", `{"overrides": [{"match": {}, "patch": {"metadata": {"name": "b"}}}]}`, "overrides[0].patch.metadata.name: Forbidden"},
		{"an override of the namespace", `{"overrides": [{"match": {}, "patch": {"metadata": {"namespace": null}}}]}`, "overrides[0].patch.metadata.namespace: Forbidden"},
		{"an override that takes metadata away", `{"overrides": [{"match": {}, "patch": {"metadata": null}}]}`, "overrides[0].patch.metadata: Invalid value"},
		{"an override with an owner", `{"overrides": [{"match": {}, "patch": {"metadata": {"ownerReferences": [{"uid": "1"}]}}}]}`, "overrides[0].patch.metadata.ownerReferences: Forbidden"},
		{"an override that may be rounded", `{"overrides": [{"match": {}, "patch": {"spec": {"n": 9007199254740993}}}]}`, "overrides[0].patch.spec.n: Invalid value: is a number of 2^53 or more"},
		{"an override of a wave that is not there", `{"overrides": [{"match": {}, "waves": ["canarry"], "patch": {}}], "rollout": {"waves": [{"name": "canary", "count": 1}, {}]}}`,
			`overrides[0].waves[0]: Invalid value: "canarry": there is no such wave: there is canary`},
		{"an override of no wave", `{"overrides": [{"match": {}, "waves": [], "patch": {}}]}`, "overrides[0].waves: Required value"},
		{"an override of one of several", `{` + two + `, "overrides": [{"match": {}, "patch": {}}]}`, "overrides[0].resource: Required value: there are several resources"},
		{"an override of another resource", `{"overrides": [{"match": {}, "resource": {"kind": "Topic", "name": "order"}, "patch": {}}]}`, `overrides[0].resource: Unsupported value: "Topic order": supported values: "Topic orders"`},
		{"an override of two resources", `{"resource": null, "resources": [` + other + `, ` + strings.Replace(other, `"b"`, `"c"`, 1) + `], "overrides": [{"match": {}, "resource": {"kind": "ConfigMap", "name": "a"}, "patch": {}}]}`,
			"overrides[0].resource: Invalid value: \"ConfigMap a\": several resources have that kind and name"},
		{"an override for get", `{"operation": "get", "overrides": [{"match": {}, "patch": {}}]}`, "overrides: Forbidden: the operation get uses nothing of an object but its name"},
		{"an override for a check of clusters", `{"operation": "check", "resource": null, "overrides": [{"match": {}, "patch": {}}]}`, "overrides[0]: Forbidden: there is no resource to change"},
		{"an override for a check of a name", `{"operation": "check", "resource": {"version": "v1", "kind": "ConfigMap", "name": "a"}, "overrides": [{"match": {}, "patch": {}}]}`, "overrides[0]: Forbidden: the resource is only named"},

		// How.
		{"get with apply", `{"get": {}}`, "get: Forbidden: tunes the operation get, and this is apply"},
		{"delete with get", `{"operation": "get", "delete": {}}`, "delete: Forbidden: tunes the operation delete, and this is get"},
		{"check with apply", `{"check": {}}`, "check: Forbidden: tunes the operation check"},
		{"a field that is no path", `{"operation": "get", "get": {"fields": {"phase": "{.status.phase"}}}`, "get.fields[phase]: Invalid value"},
		{"a field of two paths", `{"operation": "get", "get": {"fields": {"phase": "{.a}{.b}"}}}`, "get.fields[phase]: Invalid value: \"{.a}{.b}\": must be one path"},
		{"a field of a wrong filter", `{"operation": "get", "get": {"fields": {"ready": "{.a[?(@.b==]}"}}}`, "get.fields[ready]: Invalid value"},
		{"a field of a wrong name", `{"operation": "get", "get": {"fields": {"a b": ".a"}}}`, "get.fields[a b]: Invalid value"},
		{"a long name of a field", `{"operation": "get", "get": {"fields": {"` + long(64) + `": ".spec"}}}`, "must be a name of up to 63"},
		{"a long field", `{"operation": "get", "get": {"fields": {"a": ".` + long(300) + `"}}}`, "get.fields[a]: Too long"},
		{"a propagation of another word", `{"operation": "delete", "delete": {"propagation": "foreground"}}`, `delete.propagation: Unsupported value: "foreground": supported values: "Background", "Foreground", "Orphan"`},
		{"a uid with a slash", `{"operation": "delete", "delete": {"uid": "a/b"}}`, "delete.uid: Invalid value"},
		{"a uid of several", `{"operation": "delete", ` + two + `, "delete": {"uid": "a"}}`, "delete.uid: Forbidden: is that of one object, and there are several"},
		{"an absence of another word", `{"operation": "delete", "delete": {"absent": "ok"}}`, `delete.absent: Unsupported value: "ok": supported values: "succeed", "fail"`},
		{"a check of a check", `{"operation": "check", "check": {"operation": "check"}}`, `check.operation: Unsupported value: "check": supported values: "apply"`},
		{"a check of a rollback", `{"operation": "check", "check": {"operation": "rollback"}}`, "check.operation: Unsupported value"},
		{"a rollback by name", `{"operation": "rollback"}`, "operation: Unsupported value"},
		{"the kind of no resource", `{"ready": {"kind": "Broker", "condition": "Up"}}`, `ready.kind: Invalid value: "Broker": is the kind of none of the resources`},
		{"a dry run of get", `{"operation": "get", "apply": {"dryRun": true}}`, "apply.dryRun: Forbidden: the operation get has no dry run"},

		// How fast.
		{"a mode in another word", `{"rollout": {"concurrencyMode": "STRICT"}}`, `rollout.concurrencyMode: Unsupported value: "STRICT": supported values: "soft", "strict"`},
		{"an unknown error", `{"rollout": {"tolerate": ["CrossApply.ClusterUnreachabel"]}}`, `rollout.tolerate[0]: Invalid value: "CrossApply.ClusterUnreachabel": is no error of crossapply: there is CrossApply.ClusterUnreachable`},
		{"an error without its prefix", `{"rollout": {"tolerate": ["Conflict"]}}`, "rollout.tolerate[0]: Invalid value: \"Conflict\": is no error of crossapply, such as CrossApply.ClusterUnreachable"},
		{"an error of the execution", `{"rollout": {"tolerate": ["CrossApply.Conflict", "CrossApply.InvalidRequest"]}}`, "rollout.tolerate[1]: Invalid value: \"CrossApply.InvalidRequest\": is no error of a target"},
		{"an error twice", `{"rollout": {"tolerate": ["CrossApply.Conflict", "CrossApply.Conflict"]}}`, "rollout.tolerate[1]: Duplicate value"},
		{"what fails in another word", `{"rollout": {"onFailure": "abort"}}`, `rollout.onFailure: Unsupported value: "abort": supported values: "stop", "continue", "rollback"`},
		{"unmatched in another word", `{"rollout": {"unmatched": "first"}}`, `rollout.unmatched: Unsupported value: "first": supported values: "refuse", "last"`},
		{"a short approval", `{"rollout": {"approvalTimeoutSeconds": 59}}`, "rollout.approvalTimeoutSeconds: Invalid value: 59: must be between 60 and 2592000"},
		{"a long bake", `{"rollout": {"bakeSeconds": 604801}}`, "rollout.bakeSeconds: Invalid value: 604801: must be between 0 and 604800"},
		{"a window of a wrong day", `{"rollout": {"window": {"days": ["Monday"]}}}`, `rollout.window.days[0]: Unsupported value: "Monday"`},
		{"a window of a wrong zone", `{"rollout": {"window": {"timeZone": "Europe/Bern"}}}`, "rollout.window.timeZone: Invalid value"},
		{"many waves", `{"rollout": {"waves": ` + many(contract.MaxWaves+1, `{"count": 1}`) + `}}`, "rollout.waves: Too many: 51"},
		{"a wave of two ways", `{"rollout": {"waves": [{"count": 1, "percent": 5}, {}]}}`, "rollout.waves[0]: Forbidden: give one of match, count and percent"},
		{"a first wave that takes all", `{"rollout": {"waves": [{"name": "a"}, {}]}}`, "rollout.waves[0]: Required value: give match, count or percent"},
		{"a wave of none", `{"rollout": {"waves": [{"count": 0}, {}]}}`, "rollout.waves[0].count: Invalid value: 0: must be between 1 and 10000"},
		{"a wave of more than all", `{"rollout": {"waves": [{"percent": 101}, {}]}}`, "rollout.waves[0].percent: Invalid value: 101: must be between 1 and 100"},
		{"a wave of no percentage", `{"rollout": {"waves": [{"percent": 0}, {}]}}`, "rollout.waves[0].percent: Invalid value"},
		{"a wave that matches everything", `{"rollout": {"waves": [{"match": {}}, {}]}}`, "rollout.waves[0].match: Required value"},
		{"a wave of a wrong match", `{"rollout": {"waves": [{"match": {"regions": ["x"]}}, {}]}}`, "rollout.waves[0].match.regions[0]: Invalid value"},
		{"two waves of one name", `{"rollout": {"waves": [{"name": "a", "count": 1}, {"name": "a"}]}}`, `rollout.waves[1].name: Invalid value: "a": is the name of rollout.waves[0]`},
		{"a wave with another's number", `{"rollout": {"waves": [{"name": "2", "count": 1}, {}]}}`, `rollout.waves[1].name: Invalid value: "2": is the name of rollout.waves[0]`},
		{"a wave with the name of the unmatched", `{"rollout": {"waves": [{"name": "unmatched", "count": 1}, {}]}}`, `rollout.waves[0].name: Invalid value: "unmatched": is the name of rollout.unmatched`},
		{"a wave with a wrong name", `{"rollout": {"waves": [{"name": "a/b", "count": 1}, {}]}}`, "rollout.waves[0].name: Invalid value"},
		{"a wave with a long name", `{"rollout": {"waves": [{"name": "` + long(64) + `", "count": 1}, {}]}}`, "rollout.waves[0].name: Invalid value"},
		{"a wave with a wrong budget", `{"rollout": {"waves": [{"count": 1, "maxFailures": "x"}, {}]}}`, "rollout.waves[0].maxFailures: Invalid value: must be a count such as 3, or a share of the wave"},
		{"a wave without concurrency", `{"rollout": {"waves": [{"count": 1, "maxConcurrency": 0}, {}]}}`, "rollout.waves[0].maxConcurrency: Invalid value"},
		{"a wave that bakes long", `{"rollout": {"waves": [{"count": 1, "bakeSeconds": 700000}, {}]}}`, "rollout.waves[0].bakeSeconds: Invalid value"},
		{"a wave with a wrong window", `{"rollout": {"waves": [{"count": 1, "window": {"from": "25:00"}}, {}]}}`, "rollout.waves[0].window.from: Invalid value"},
		{"a rollback of a check", `{"operation": "check", "rollout": {"onFailure": "rollback"}}`, "rollout.onFailure: Forbidden: the operation check changes nothing"},
		{"a rollback of a dry run", `{"apply": {"dryRun": true}, "rollout": {"onFailure": "rollback"}}`, "rollout.onFailure: Forbidden: a dry run changes nothing"},
		{"a bake after a deletion", `{"operation": "delete", "rollout": {"bakeSeconds": 60}}`, "rollout.bakeSeconds: Forbidden: the operation delete leaves nothing"},
		{"a bake of a wave without a wait", `{"ready": {"wait": false}, "rollout": {"waves": [{"count": 1, "bakeSeconds": 60}, {}]}}`, "rollout.waves[0].bakeSeconds: Forbidden: ready.wait is false"},

		// Labels.
		{"a label without a key", `{"labels": {"": "x"}}`, "labels[]: Invalid value: \"\": a label's key cannot be empty"},
		{"a label with a long key", `{"labels": {"` + long(64) + `": "x"}}`, "Too long: may not be more than 63 bytes"},
		{"a label with a long value", `{"labels": {"a": "` + long(257) + `"}}`, "labels[a]: Too long"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := refused(t, withAll(t, test.fields)); !strings.Contains(got, test.want) {
				t.Errorf("the message lacks %q:\n%s", test.want, got)
			}
		})
	}
}

// One mistake is reported once, and not what follows from it.
func TestOneMistake(t *testing.T) {
	for _, fields := range []string{
		`{"resource": {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {}}, "overrides": [{"match": {}, "resource": {"kind": "ConfigMap", "name": "a"}, "patch": {}}], "ready": {"kind": "ConfigMap"}}`,
		`{"resource": null, "resources": [` + topic + `, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {}}], "ready": {"kind": "ConfigMap"}}`,
		`{"resource": null, "resources": [` + topic + `, ` + named(`"a"`) + `], "ready": {"expressions": {"current": "("}}}`,
		`{"operation": "destroy"}`,
	} {
		if _, problems := request.Parse(json.RawMessage(withAll(t, fields)), scope, nil); len(problems) != 1 {
			t.Errorf("%s: %v", fields, problems)
		}
	}
}

func TestSeveralResources(t *testing.T) {
	got := accepted(t, withAll(t, `{"resource": null, "resources": [
		{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kafka"}},
		`+topic+`,
		{"apiVersion": "messaging.example.com/v1", "kind": "Topic", "metadata": {"name": "orders", "namespace": "other"}}],
		"ready": {"kind": "Topic", "condition": "Available"},
		"overrides": [
			{"match": {"accounts": ["111111111111"]}, "resource": {"kind": "Namespace", "name": "kafka"}, "patch": {"metadata": {"labels": {"a": "b"}, "uid": "1"}, "status": {}}},
			{"match": {}, "waves": ["1"], "resource": {"kind": "Namespace", "name": "kafka"}, "patch": {"metadata": {"labels": null}}}]}`))
	want := []contract.ResourceRef{
		{APIVersion: "v1", Kind: "Namespace", Name: "kafka"},
		{APIVersion: "messaging.example.com/v1", Kind: "Topic", Namespace: "kafka", Name: "orders"},
		{APIVersion: "messaging.example.com/v1", Kind: "Topic", Namespace: "other", Name: "orders"},
	}
	if !reflect.DeepEqual(got.Refs(), want) {
		t.Errorf("they are %v", got.Refs())
	}
	if rules := fmt.Sprintf("%q", got.Rules()); rules != `["crossapply's rule for Namespace" "condition Available" "condition Available"]` {
		t.Errorf("they are judged by %s", rules)
	}
	bundle := got.Bundle()
	if text, err := json.Marshal(bundle.Overrides); err != nil || string(text) != `[{"resource":0,"patch":{"metadata":{"labels":{"a":"b"}}}},{"resource":0,"patch":{"metadata":{"labels":null}}}]` {
		t.Errorf("the overrides are %s", text)
	}
	object, err := bundle.Effective(0, []int{0})
	if err != nil || !reflect.DeepEqual(object["metadata"], map[string]any{"name": "kafka", "labels": map[string]any{"a": "b"}}) {
		t.Errorf("the effective object is %v (%v)", object, err)
	}
	if !reflect.DeepEqual(got.Overrides[1].Waves, []string{"1"}) || got.Overrides[0].Match.Accounts[0] != "111111111111" {
		t.Errorf("the overrides are %+v", got.Overrides)
	}
}

// What is only named has no object and no rule.
func TestCoordinates(t *testing.T) {
	for _, test := range []struct {
		operation, resource string
		want                contract.ResourceRef
	}{
		{"get", `{"group": "kafka.strimzi.io", "version": "v1beta2", "plural": "kafkatopics", "namespace": "kafka", "name": "orders"}`,
			contract.ResourceRef{APIVersion: "kafka.strimzi.io/v1beta2", Plural: "kafkatopics", Namespace: "kafka", Name: "orders"}},
		{"delete", `{"version": "v1", "kind": "Namespace", "name": "kafka"}`, contract.ResourceRef{APIVersion: "v1", Kind: "Namespace", Name: "kafka"}},
		{"check", `{"group": "", "version": "v1", "kind": "ConfigMap", "name": "a"}`, contract.ResourceRef{APIVersion: "v1", Kind: "ConfigMap", Name: "a"}},
	} {
		got := accepted(t, withAll(t, fmt.Sprintf(`{"operation": %q, "resource": %s}`, test.operation, test.resource)))
		if refs := got.Refs(); len(refs) != 1 || refs[0] != test.want {
			t.Errorf("%s: it is %+v", test.operation, refs)
		}
		if len(got.Rules()) > 0 || !reflect.DeepEqual(got.Bundle(), manifest.Bundle{Resources: []manifest.Object{nil}}) {
			t.Errorf("%s: %+v", test.operation, got)
		}
	}
	got := accepted(t, withAll(t, `{"operation": "delete"}`))
	if got.Resources[0].Object == nil || got.Refs()[0].Name != "orders" {
		t.Errorf("a whole object to delete: %+v", got.Resources)
	}
	got = accepted(t, withAll(t, `{"operation": "check", "resource": null}`))
	if len(got.Refs()) > 0 || len(got.Rules()) > 0 {
		t.Errorf("a check of clusters alone: %+v", got.Resources)
	}
}

// Only replace uses the version that the object had.
func TestResourceVersion(t *testing.T) {
	for operation, want := range map[string]any{"apply": nil, "create": nil, "replace": "42"} {
		got := accepted(t, withAll(t, fmt.Sprintf(`{"operation": %q, "resource": %s}`, operation, withMetadata(`"resourceVersion": "42", "uid": "1"`))))
		metadata := got.Resources[0].Object["metadata"].(map[string]any)
		if metadata["resourceVersion"] != want || metadata["uid"] != nil {
			t.Errorf("%s: %v", operation, metadata)
		}
	}
}

func TestOptionsOfOperations(t *testing.T) {
	if got := accepted(t, withAll(t, `{"operation": "get", "get": {"fields": {"phase": ".status.phase"}}}`)); got.Get.Fields["phase"] != ".status.phase" || got.Delete != nil || got.Check != nil {
		t.Errorf("get: %+v", got)
	}
	if got := accepted(t, withAll(t, `{"operation": "get"}`)); got.Get == nil {
		t.Errorf("get: %+v", got)
	}
	if got := accepted(t, withAll(t, `{"operation": "delete"}`)); *got.Delete != (contract.DeleteOptions{Propagation: "Background", Absent: contract.AbsentSucceed}) {
		t.Errorf("delete: %+v", got.Delete)
	}
	if got := accepted(t, withAll(t, `{"operation": "delete", "delete": {"propagation": "Orphan", "uid": "1-a", "absent": "fail"}}`)); *got.Delete != (contract.DeleteOptions{Propagation: "Orphan", UID: "1-a", Absent: contract.AbsentFail}) {
		t.Errorf("delete: %+v", got.Delete)
	}
	if got := accepted(t, withAll(t, `{"operation": "check"}`)); got.Check.Operation != "apply" {
		t.Errorf("check: %+v", got.Check)
	}
	if got := accepted(t, withAll(t, `{"operation": "check", "check": {"operation": "delete"}}`)); got.Check.Operation != "delete" {
		t.Errorf("check: %+v", got.Check)
	}
	got := accepted(t, withAll(t, `{"plan": true, "labels": {"commit": "abc", "ticket": ""}}`))
	if !got.Preview || !reflect.DeepEqual(got.Labels, map[string]string{"commit": "abc", "ticket": ""}) {
		t.Errorf("%+v", got)
	}
}

// A wave has what it says, and else what the rollout says.
func TestWaves(t *testing.T) {
	number := func(n int) *int { return &n }
	sunday, night := &contract.Window{Days: []string{"Sun"}}, &contract.Window{From: "22:00", To: "04:00", TimeZone: "Europe/Berlin"}
	prod := &contract.Match{Tags: map[string]contract.TagValues{"env": {"prod", "live"}, "team": nil}}
	got := accepted(t, withAll(t, `{"rollout": {"maxConcurrency": 20, "maxFailures": "10%", "bakeSeconds": 60, "approval": true, "window": {"days": ["Sun"]},
		"approvalTimeoutSeconds": 60, "onFailure": "rollback", "concurrencyMode": "strict", "tolerate": ["CrossApply.ClusterUnreachable"], "unmatched": "last", "waves": [
		{"name": "canary", "count": 1, "approval": false, "bakeSeconds": 600},
		{"percent": 25, "maxConcurrency": 5, "window": {"from": "22:00", "to": "04:00", "timeZone": "Europe/Berlin"}},
		{"match": {"tags": {"env": ["prod", "live"], "team": null}}, "maxFailures": "5%"}]}}`)).Rollout
	want := request.Rollout{
		MaxConcurrency: 20, Strict: true, MaxFailures: waves.Budget{Percent: 10}, Tolerate: []string{"CrossApply.ClusterUnreachable"}, Exclusive: true,
		Waves: []waves.Wave{
			{Name: "canary", Count: number(1), MaxFailures: &waves.Budget{}, MaxConcurrency: 20, BakeSeconds: 600, Window: sunday},
			{Name: "2", Percent: number(25), MaxConcurrency: 5, BakeSeconds: 60, Approval: true, Window: night},
			{Name: "3", Match: prod, MaxFailures: &waves.Budget{Percent: 5}, MaxConcurrency: 20, BakeSeconds: 60, Approval: true, Window: sunday},
		},
		Unmatched: contract.UnmatchedLast, Rest: waves.Wave{Name: "unmatched", MaxConcurrency: 20, BakeSeconds: 60, Approval: true, Window: sunday},
		ApprovalTimeoutSeconds: 60, OnFailure: contract.OnFailureRollback,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// A canary may not fail, unless it is told that it may; a single wave has no budget of
// its own.
func TestFirstWave(t *testing.T) {
	for _, test := range []struct {
		rollout string
		want    *waves.Budget
	}{
		{`{}`, nil},
		{`{"waves": []}`, nil},
		{`{"waves": [{}]}`, nil},
		{`{"waves": [{"match": {"clusters": ["a"]}}], "unmatched": "last"}`, &waves.Budget{}},
		{`{"waves": [{"count": 1}, {}]}`, &waves.Budget{}},
		{`{"waves": [{"count": 1, "maxFailures": 1}, {}]}`, &waves.Budget{Count: 1}},
		{`{"waves": [{"count": 9, "maxFailures": "50%"}, {"maxFailures": 0}]}`, &waves.Budget{Percent: 50}},
	} {
		got := accepted(t, withAll(t, `{"rollout": `+test.rollout+`}`)).Rollout.Waves[0]
		if !reflect.DeepEqual(got.MaxFailures, test.want) {
			t.Errorf("%s: %+v, want %+v", test.rollout, got.MaxFailures, test.want)
		}
	}
}

func TestSelectors(t *testing.T) {
	got := accepted(t, withAll(t, `{"targets": [`+payments+`,
		{"accounts": ["*"], "clusters": ["pay*", "a?"], "tags": {"env": "prod"}},
		{"organizationalUnits": ["ou-ab12-34cd56ef", "r-ab12"], "accounts": ["222222222222"], "regions": ["eu-moon-1"], "optional": true}],
		"exclude": [{"organizationalUnits": ["ou-ab12-00000000"]}],
		"rollout": {"waves": [{"match": {"tags": {"tier": "1"}}}, {}]}}`))
	if len(got.Targets) != 3 || got.Targets[1].Tags["env"][0] != "prod" || !got.Targets[2].Optional {
		t.Errorf("the targets are %+v", got.Targets)
	}
	if units := fmt.Sprint(got.Units()); units != "[ou-ab12-00000000 ou-ab12-34cd56ef r-ab12]" {
		t.Errorf("the units are %s", units)
	}
	search := got.Search([]string{"eu-west-1"}, nil, []string{"333333333333"})
	want := []contract.Account{
		{Account: "111111111111", Regions: []string{"eu-west-1"}, Clusters: []string{"payments"}, Tags: true},
		{Account: "222222222222", Regions: []string{"eu-moon-1"}, Tags: true},
		{Account: "333333333333", Regions: []string{"eu-west-1"}, Clusters: []string{"a?", "pay*"}, Tags: true},
	}
	if accounts := search.Accounts(); !reflect.DeepEqual(accounts, want) {
		t.Errorf("it looks in %+v\nwant %+v", accounts, want)
	}
}

// What the deployment does not allow is named with its place.
func TestRefuse(t *testing.T) {
	allowed := allowlist.List{{Group: "messaging.example.com", Kind: "Topic", Plural: "topics"}}
	got := accepted(t, withAll(t, `{"resource": null, "resources": [`+topic+`, `+named(`"a"`)+`]}`))
	if problems := got.Refuse(allowed); len(problems) != 1 || problems[0].Field != "resources[1]" {
		t.Errorf("%v", problems)
	}
	got = accepted(t, withAll(t, `{"operation": "get", "resource": {"version": "v1", "plural": "pods", "name": "a"}}`))
	if problems := got.Refuse(allowed); len(problems) != 1 || problems[0].Field != "resource" || !strings.Contains(problems[0].Detail, "does not allow pods") {
		t.Errorf("%v", problems)
	}
}
