package main

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/crossapply/crossapply/shared/allowlist"
	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
)

const yamlTopics = `
apiVersion: v1
kind: Namespace
metadata: {name: kafka}
---
apiVersion: messaging.example.com/v1
kind: Topic
metadata: {name: orders, namespace: kafka}
spec: {partitions: 3}
`

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// What lies in the bucket is read, its digest is reported, and a retry has the same.
func TestInputs(t *testing.T) {
	w := newWorld(t)
	fleet := fleetOf(t, "a b")
	w.put(t, "inputs/topics.yaml", yamlTopics)
	w.put(t, "inputs/fleet.json", fleet)
	const request = `{"resourceFrom": {"key": "inputs/topics.yaml"}, "targetsFrom": {"key": "inputs/fleet.json"}}`
	out := w.mustStart(t, "nightly", request)
	if len(out.Run.Resources) != 2 || out.Run.Resources[0].Kind != "Namespace" || out.Run.Resources[1].Name != "orders" || out.Total != 2 {
		t.Errorf("%+v", out)
	}
	layout := w.layout(t, "nightly")
	want := []contract.InputObject{{Key: "inputs/topics.yaml", SHA256: digest(yamlTopics)}, {Key: "inputs/fleet.json", SHA256: digest(fleet)}}
	if jsonOf(t, layout.Inputs) != jsonOf(t, want) || len(layout.Rules) != 2 {
		t.Errorf("the layout is %+v", layout)
	}
	w.end("nightly")
	w.put(t, "inputs/topics.yaml", yamlTopics+"\n")
	if _, err := w.start(t, "again", retry("nightly", "")); fault.NameOf(err) != fault.InvalidRequest || !strings.Contains(err.Error(), "resourceFrom.sha256") {
		t.Errorf("a retry with another resource: %v", err)
	}
	w.put(t, "inputs/topics.yaml", yamlTopics)
	if out := w.mustStart(t, "again", retry("nightly", "")); out.Total != 2 {
		t.Errorf("the retry: %+v", out)
	}
}

func TestInputsRefused(t *testing.T) {
	w := newWorld(t)
	w.allowed = allowlist.List{{Group: "messaging.example.com", Kind: "Topic", Plural: "topics"}}
	w.put(t, "inputs/topics.yaml", yamlTopics)
	w.put(t, "inputs/fleet.json", `[`+payments+`, {"accounts": ["1"]}]`)
	w.put(t, "inputs/large.json", strings.Repeat(" ", 5<<20))
	for request, want := range map[string]string{
		`{"resourceFrom": {"key": "inputs/none.yaml"}, "targets": [` + payments + `]}`:                                   "resourceFrom.key: Not found: \"inputs/none.yaml\"",
		`{"resourceFrom": {"key": "inputs/topics.yaml", "sha256": "` + digest("") + `"}, "targets": [` + payments + `]}`: "resourceFrom.sha256: Invalid value",
		`{"resourceFrom": {"key": "inputs/topics.yaml"}, "targets": [` + payments + `]}`:                                 "resourceFrom[0]: Forbidden: the configuration of this deployment",
		`{"resource": ` + topic + `, "targetsFrom": {"key": "inputs/fleet.json"}}`:                                       "targetsFrom[1].accounts[0]: Invalid value",
		`{"resource": ` + topic + `, "targetsFrom": {"key": "inputs/large.json"}}`:                                       "targetsFrom: Invalid value: inputs/large.json is ",
	} {
		before := len(w.objects(t))
		if _, err := w.start(t, "nightly", request); fault.NameOf(err) != fault.InvalidRequest || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
		if after := len(w.objects(t)); after != before {
			t.Errorf("wrote %d objects", after-before)
		}
	}
}
