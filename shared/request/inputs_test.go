package request_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/request"
)

// fromFile returns a request whose resources lie in the run bucket.
func fromFile(t *testing.T, fields string) request.Parsed {
	t.Helper()
	return accepted(t, withAll(t, `{"resource": null, "resourceFrom": {"key": "inputs/orders.yaml"}`+fields+`}`))
}

func TestReadResources(t *testing.T) {
	const a, b = `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}}`, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"b"}}`
	for _, test := range []struct{ name, body, want string }{
		{"JSON", a, "[" + a + "]"},
		{"indented JSON with tabs", "{\n\t\"apiVersion\": \"v1\",\n\t\"kind\": \"ConfigMap\",\n\t\"metadata\": {\"name\": \"a\"}\n}\n", "[" + a + "]"},
		{"JSON values on lines", a + "\n" + b, "[" + a + "," + b + "]"},
		{"JSON in documents", a + "\n---\n" + b, "[" + a + "," + b + "]"},
		{"YAML in braces", "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}", "[" + a + "]"},
		{"YAML", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n", "[" + a + "]"},
		{"documents, some empty", "# a comment\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\n# nothing\n---\n---\n" + b + "\n---\n", "[" + a + "," + b + "]"},
		{"Windows' line ends", "apiVersion: v1\r\nkind: ConfigMap\r\nmetadata: {name: a}\r\n---\r\n" + b, "[" + a + "," + b + "]"},
		{"a list", "apiVersion: v1\nkind: List\nitems:\n- " + a + "\n- " + b, "[" + a + "," + b + "]"},
		{"whole numbers of 64 bits, and others", a[:len(a)-1] + `,"data":{"n":9007199254740993,"m":-9223372036854775808,"f":1.5,"s":"1"}}`,
			`[{"apiVersion":"v1","data":{"f":1.5,"m":-9223372036854775808,"n":9007199254740993,"s":"1"},"kind":"ConfigMap","metadata":{"name":"a"}}]`},
		{"YAML's numbers and words", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {i: 9007199254740993, t: 2024-01-02, v: yes, q: 'yes', x: 0o17}\n",
			`[{"apiVersion":"v1","data":{"i":9007199254740993,"q":"yes","t":"2024-01-02","v":true,"x":15},"kind":"ConfigMap","metadata":{"name":"a"}}]`},
		{"an anchor", "apiVersion: v1\nkind: ConfigMap\nmetadata: &m {name: a}\ndata: *m\n", `[{"apiVersion":"v1","data":{"name":"a"},"kind":"ConfigMap","metadata":{"name":"a"}}]`},
	} {
		t.Run(test.name, func(t *testing.T) {
			parsed := fromFile(t, "")
			if problems := parsed.ReadResources([]byte(test.body)); len(problems) > 0 {
				t.Fatal(problems)
			}
			got, err := json.Marshal(parsed.Bundle().Resources)
			if err != nil || string(got) != test.want {
				t.Errorf("got  %s (%v)\nwant %s", got, err, test.want)
			}
			if inputs := fmt.Sprint(parsed.Inputs()); inputs != "[{inputs/orders.yaml "+digest(test.body)+"}]" {
				t.Errorf("the inputs are %s", inputs)
			}
			if rules := parsed.Rules(); len(rules) != len(parsed.Refs()) {
				t.Errorf("the rules are %q", rules)
			}
		})
	}
}

func digest(body string) string {
	sum := sha256.Sum256([]byte(body))
	return hex.EncodeToString(sum[:])
}

func TestReadResourcesRefused(t *testing.T) {
	const a = `{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}`
	for _, test := range []struct{ name, fields, body, want string }{
		{"nothing", "", "", "resourceFrom: Required value: give at least one object"},
		{"only comments", "", "# a\n---\n", "resourceFrom: Required value"},
		{"an empty list", "", `{"kind": "List", "items": []}`, "resourceFrom: Required value"},
		{"a text", "", "hello", "resourceFrom[0]: Invalid value: must be a Kubernetes object"},
		{"an array", "", "[" + a + "]", "resourceFrom[0]: Invalid value: must be a Kubernetes object"},
		{"a wrong kind in the second document", "", a + "\n---\n# nothing\n---\nkind: 7\n", "resourceFrom[1].kind: Invalid value: must be a string"},
		{"a wrong item", "", a + "\n---\nkind: List\nitems: [" + a + ", {kind: a}]\n", "resourceFrom[1].items[1].kind: Invalid value"},
		{"a null item", "", "kind: List\nitems: [null]\n", "resourceFrom[0].items[0]: Required value"},
		{"a list in a list", "", `{"kind": "List", "items": [{"apiVersion": "v1", "kind": "List", "items": []}]}`, "resourceFrom[0].items[0].metadata.name: Required value"},
		{"a Secret", "", "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\n", "resourceFrom[0].kind: Forbidden"},
		{"a key twice", "", "apiVersion: v1\nkind: ConfigMap\nkind: Secret\n", `resourceFrom[0]: Invalid value: cannot be read: yaml: unmarshal errors: line 3: key "kind" already set in map`},
		{"a key twice in JSON", "", `{"kind": "ConfigMap", "metadata": {"name": "a", "name": "b"}}`, `resourceFrom[0]: Invalid value: cannot be read: duplicate field "metadata.name"`},
		{"no YAML", "", "a: [\n", "resourceFrom[0]: Invalid value: cannot be read"},
		{"a wrong separator", "", "a: b\n--- c\n", "resourceFrom[0]: Invalid value: cannot be read"},
		{"an object twice", "", a + "\n---\n" + a, "resourceFrom[1]: Invalid value: \"ConfigMap a\": is the object of resourceFrom[0]"},
		{"a number of more than 64 bits", "", `{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "n": 18446744073709551616}`, "resourceFrom[0].n: Invalid value: is a number of 2^53 or more, which a cluster may round"},
		{"many objects", "", strings.Repeat("a: 1\n---\n", contract.MaxResources+1), "resourceFrom: Too many: 21"},
		{"a large file", "", strings.Repeat(" ", 1<<20+1), "resourceFrom: Invalid value: inputs/orders.yaml is 1048577 bytes: at most 1048576 are accepted"},
		{"a large object", "", `{"a": "` + strings.Repeat("a", contract.MaxResourceBytes) + `"}`, "resourceFrom[0]: Invalid value: is 204809 bytes of JSON"},
		{"a large object of references", "", "a: &a [" + strings.Repeat("x, ", 1000) + "]\nb: &b [" + strings.Repeat("*a, ", 60) + "]\nc: [" + strings.Repeat("*b, ", 10) + "]\n", "resourceFrom[0]: Invalid value: "},
		{"another digest", `, "resourceFrom": {"key": "inputs/orders.yaml", "sha256": "` + strings.Repeat("0", 64) + `"}`, a,
			`resourceFrom.sha256: Invalid value: "` + strings.Repeat("0", 64) + `": inputs/orders.yaml has the digest ` + digest(a)},
		{"the kind of none", `, "ready": {"kind": "Topic"}`, a, "ready.kind: Invalid value"},
		{"an override of none", `, "overrides": [{"match": {}, "resource": {"kind": "ConfigMap", "name": "b"}, "patch": {}}]`, a, `overrides[0].resource: Unsupported value: "ConfigMap b"`},
		{"a uid of two", `, "operation": "delete", "delete": {"uid": "1"}`, a + strings.Replace(a, `"a"`, `"b"`, 1), "delete.uid: Forbidden"},
	} {
		t.Run(test.name, func(t *testing.T) {
			parsed := fromFile(t, test.fields)
			problems := parsed.ReadResources([]byte(test.body))
			if len(problems) == 0 {
				t.Fatal("accepted")
			}
			if got := request.Refusal(problems).Error(); !strings.Contains(got, test.want) || len(got) > 4096 {
				t.Errorf("the message lacks %q:\n%s", test.want, got)
			}
			if len(parsed.Resources) > 0 {
				t.Errorf("it has %d resources", len(parsed.Resources))
			}
		})
	}
}

// A digest may be given in capitals, and overrides are about what the file holds.
func TestReadResourcesAgain(t *testing.T) {
	const body = `{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}` + "\n---\n" + topic
	parsed := fromFile(t, `, "resourceFrom": {"key": "inputs/a", "sha256": "`+strings.ToUpper(digest(body))+`"},
		"overrides": [{"match": {}, "resource": {"kind": "Topic", "name": "orders"}, "patch": {"spec": null}}]`)
	for range 2 { // plan can be called again
		if problems := parsed.ReadResources([]byte(body)); len(problems) > 0 {
			t.Fatal(problems)
		}
		if parsed.Overrides[0].Resource != 1 || len(parsed.Resources) != 2 || parsed.ResourceFrom.SHA256 != digest(body) {
			t.Errorf("%+v", parsed)
		}
	}
}

func TestReadTargets(t *testing.T) {
	read := func(body string) (request.Parsed, error) {
		parsed := accepted(t, withAll(t, `{"targets": null, "targetsFrom": {"key": "inputs/fleet.json"}}`))
		if problems := parsed.ReadTargets([]byte(body), scope); len(problems) > 0 {
			return parsed, request.Refusal(problems)
		}
		return parsed, nil
	}
	got, err := read("\n[" + payments + `, {"accounts": ["*"], "tags": {"env": null}}]`)
	if err != nil || len(got.Targets) != 2 || got.Targets[0].Cluster != "payments" || got.Inputs()[0].Key != "inputs/fleet.json" {
		t.Errorf("%+v, %v", got.Targets, err)
	}
	var fleet []string
	for i := range contract.MaxTargets {
		fleet = append(fleet, strings.Replace(payments, "payments", fmt.Sprint("cluster-", i), 1))
	}
	if got, err := read("[" + strings.Join(fleet, ",\n") + "]"); err != nil || len(got.Targets) != contract.MaxTargets {
		t.Errorf("%d targets, %v", len(got.Targets), err)
	}
	for body, want := range map[string]string{
		"":                                    "targetsFrom: Invalid value: must be a JSON array such as targets",
		`{"targets": 1}`:                      "targetsFrom: Invalid value: must be a JSON array such as targets",
		`[], "x": [1]`:                        "targetsFrom: Invalid value: must be a JSON array such as targets",
		"[]":                                  "targetsFrom: Required value",
		"[1]":                                 "targetsFrom[0]: Invalid value: must be of type object, not number",
		`[{"role": 1}]`:                       "targetsFrom[0].role: Invalid value: unknown field",
		"[" + payments + "," + payments + "]": "repeats targetsFrom[0]",
		`[{"account": "1"}]`:                  `targetsFrom[0].account: Invalid value: "1"`,
		"[" + strings.Join(fleet, ",") + "," + payments + "]": "targetsFrom: Too many: 10001",
		strings.Repeat(" ", 4<<20+1):                          "targetsFrom: Invalid value: inputs/fleet.json is 4194305 bytes",
	} {
		if got, err := read(body); err == nil || !strings.Contains(err.Error(), want) || len(got.Targets) > 0 {
			t.Errorf("%.60s: %v, want %q", body, err, want)
		}
	}
}

func FuzzReadResources(f *testing.F) {
	f.Add("apiVersion: v1\nkind: List\nitems:\n- {kind: ConfigMap}\n---\n{\"kind\": \"x\"}")
	f.Fuzz(func(t *testing.T, body string) {
		parsed := fromFile(t, "")
		if problems := parsed.ReadResources([]byte(body)); len(problems) == 0 && len(parsed.Refs()) == 0 {
			t.Error("accepted, but without a resource")
		}
	})
}
