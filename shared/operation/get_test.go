package operation_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
	"github.com/crossapply/crossapply/shared/operation"
)

func TestGet(t *testing.T) {
	a := actionOn(t, object(t, web), contract.ApplySettings{})
	a.Object, a.Note = nil, nil
	missing, err := of(t, operation.Get).Act(t.Context(), a)
	if err != nil || missing.Applied != (contract.Applied{Change: contract.ChangeNone}) || missing.Message != "there is no Deployment default/testget in payments" {
		t.Errorf("%+v, %v", missing, err)
	}
	by(t, "other", object(t, web))
	done, err := of(t, operation.Get).Act(t.Context(), a)
	if err != nil || done.Applied.UID == "" || done.Found == nil || done.Found.GetManagedFields() != nil || done.Values != nil {
		t.Fatalf("%+v, %v", done, err)
	}
	if done.Found.Object["spec"] == nil || done.Found.GetUID() == "" {
		t.Errorf("found %v", done.Found.Object)
	}
}

func TestGetFields(t *testing.T) {
	large := strings.Repeat("x", 3<<10)
	by(t, "other", object(t, web, "labels: {app: web}}\nspec", "annotations: {large: "+large+"}}\nspec"))
	tests := []struct {
		name   string
		fields map[string]string
		want   string
		says   string // of the error
	}{
		{"one", map[string]string{"n": "{.spec.replicas}"}, `{"n":[2]}`, ""},
		{"several", map[string]string{"images": "{.spec.template.spec.containers[*].image}", "n": "{.spec.replicas}"}, `{"images":["web:1","log:1"],"n":[2]}`, ""},
		{"a filter", map[string]string{"i": `{.spec.template.spec.containers[?(@.name=="log")].image}`}, `{"i":["log:1"]}`, ""},
		{"an object", map[string]string{"s": "{.spec.selector}"}, `{"s":[{"matchLabels":{"app":"web"}}]}`, ""},
		{"a field that is not there", map[string]string{"s": "{.status.phase}"}, `{"s":[]}`, ""},
		{"no JSONPath", map[string]string{"s": "{.spec"}, "", `get.fields["s"]: must be one path`},
		{"too much", map[string]string{"a": "{.metadata.annotations.large}", "b": "{.metadata.annotations.large}"}, "", "4096 are the most"},
	}
	for _, test := range tests {
		a := actionOn(t, object(t, web), contract.ApplySettings{})
		a.Run.Get = &contract.GetOptions{Fields: test.fields}
		done, err := of(t, operation.Get).Act(t.Context(), a)
		if test.says != "" {
			if fault.NameOf(err) != fault.InvalidRequest || !strings.HasPrefix(err.Error(), target.String()+": get Deployment") || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%s: got %v", test.name, err)
			}
			continue
		}
		if text, _ := json.Marshal(done.Values); err != nil || string(text) != test.want || done.Found != nil {
			t.Errorf("%s: got %s, %v, want %s", test.name, text, err, test.want)
		}
	}
}
