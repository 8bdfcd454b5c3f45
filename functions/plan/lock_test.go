package main

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"github.com/crossapply/crossapply/shared/fault"
)

// start1 is an execution that starts while others are there.
type start1 struct {
	name   string
	fields map[string]string
	// ended are executions that end before it starts, and gone those that Step
	// Functions knows no more.
	ended, gone []string
	busy        string // the execution that it finds at work, or none
}

func TestExclusive(t *testing.T) {
	shared := map[string]string{"rollout": `{"exclusive": false}`}
	dryRun := map[string]string{"apply": `{"dryRun": true}`}
	elsewhere := map[string]string{"resource": strings.Replace(topic, "kafka", "other", 1)}
	preview := map[string]string{"plan": "true"}
	named := `{"group": "messaging.example.com", "version": "v1", "plural": "topics", "namespace": "kafka", "name": "orders"}`
	looks := map[string]string{"operation": `"get"`, "resource": named}
	deletes := map[string]string{"operation": `"delete"`, "resource": named}
	several := func(names ...string) map[string]string {
		var all []string
		for _, name := range names {
			all = append(all, strings.Replace(topic, "orders", name, 1))
		}
		return map[string]string{"resource": "null", "resources": "[" + strings.Join(all, ",") + "]"}
	}
	newer := map[string]string{"resource": strings.Replace(topic, "com/v1", "com/v2", 1)}
	tests := []struct {
		name   string
		starts []start1
	}{
		{"the second is told of the first", []start1{{name: "a"}, {name: "b", busy: "a"}}},
		{"whatever the version of the API", []start1{{name: "a"}, {name: "b", fields: newer, busy: "a"}}},
		{"another resource is free", []start1{{name: "a"}, {name: "b", fields: elsewhere}}},
		{"the end is the release", []start1{{name: "a"}, {name: "b", ended: []string{"a"}}, {name: "c", busy: "b"}}},
		{"an execution that is forgotten has ended", []start1{{name: "a"}, {name: "b", gone: []string{"a"}}}},
		{"a repeated call finds its own lock", []start1{{name: "a"}, {name: "a"}, {name: "b", busy: "a"}}},
		{"and so it does where another has joined since", []start1{{name: "a"}, {name: "b", fields: shared}, {name: "a"}}},
		{"a dry run is neither refused nor in the way", []start1{{name: "a", fields: dryRun}, {name: "b"}, {name: "c", fields: dryRun}}},
		{"nor is a preview", []start1{{name: "a", fields: preview}, {name: "b"}, {name: "c", fields: preview}}},
		{"nor what only looks", []start1{{name: "a", fields: looks}, {name: "b"}, {name: "c", fields: looks}}},
		{"a kind is its plural", []start1{{name: "a"}, {name: "b", fields: deletes, busy: "a"}}},
		{"each of several resources", []start1{{name: "a", fields: several("x", "orders", "y")}, {name: "b", busy: "a"}}},
		{"is locked", []start1{{name: "a"}, {name: "b", fields: several("x", "orders", "y"), busy: "a"}, {name: "c", fields: several("z")}}},
		{"one that shares is not refused", []start1{{name: "a"}, {name: "b", fields: shared}}},
		{"but it is in the way, though it came second", []start1{{name: "a"}, {name: "b", fields: shared}, {name: "c", ended: []string{"a"}, busy: "b"}, {name: "d", ended: []string{"b"}}}},
		{"and so is each of several", []start1{
			{name: "a", fields: shared}, {name: "b", fields: shared}, {name: "c", fields: shared, ended: []string{"b"}},
			{name: "d", busy: "a"}, {name: "e", ended: []string{"a"}, busy: "c"}, {name: "f", ended: []string{"c"}},
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			for _, s := range test.starts {
				for _, name := range s.ended {
					w.executions.set(arn(name), types.ExecutionStatusFailed)
				}
				for _, name := range s.gone {
					delete(w.executions.known, arn(name))
				}
				_, err := w.start(t, s.name, input(s.fields))
				switch {
				case s.busy == "" && err != nil:
					t.Errorf("%s: %v", s.name, err)
				case s.busy != "" && (fault.NameOf(err) != fault.ResourceBusy || !strings.HasSuffix(err.Error(), " kafka/orders is worked on by "+arn(s.busy))):
					t.Errorf("%s: %v, want that %s is at work", s.name, err, s.busy)
				case s.busy != "":
					for key := range w.objects(t) {
						if strings.Contains(key, "runs/"+s.name) {
							t.Errorf("%s is refused, but wrote %s", s.name, key)
						}
					}
				}
			}
		})
	}
}

// together starts executions at the same time, and returns their errors. A call
// that failed for a reason that passes is repeated, as the definition does.
func together(t *testing.T, w world, count int, request string) []error {
	t.Helper()
	errs := make([]error, count)
	var all sync.WaitGroup
	for i := range count {
		all.Go(func() {
			for range 20 {
				if _, errs[i] = w.start(t, fmt.Sprint("e", i), request); fault.NameOf(errs[i]) != fault.AWSUnavailable {
					return
				}
			}
		})
	}
	all.Wait()
	return errs
}

// However many start at the same time, one works on the resource.
func TestExclusiveTogether(t *testing.T) {
	for _, ended := range []bool{false, true} {
		w := newWorld(t)
		if ended { // a lock is there, to be taken over
			w.mustStart(t, "before", input(nil))
			w.executions.set(arn("before"), types.ExecutionStatusSucceeded)
		}
		went := 0
		for _, err := range together(t, w, 12, input(nil)) {
			if err == nil {
				went++
			} else if fault.NameOf(err) != fault.ResourceBusy {
				t.Error(err)
			}
		}
		if went != 1 {
			t.Errorf("%d executions work on the resource", went)
		}
	}
}

// All that share enter themselves, also at the same time: the next exclusive one
// finds each of them.
func TestSharedTogether(t *testing.T) {
	const count = 6
	w := newWorld(t)
	if err := errors.Join(together(t, w, count, input(map[string]string{"rollout": `{"exclusive": false}`}))...); err != nil {
		t.Fatal(err)
	}
	for range count {
		_, err := w.start(t, "exclusive", input(nil))
		if fault.NameOf(err) != fault.ResourceBusy {
			t.Fatalf("it goes on beside others: %v", err)
		}
		_, other, _ := strings.Cut(err.Error(), "worked on by ")
		w.executions.set(other, types.ExecutionStatusSucceeded)
	}
	w.mustStart(t, "exclusive", input(nil))
}
