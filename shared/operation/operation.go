package operation

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/proof"
)

// Operation is one thing that can be done with a resource on a target.
type Operation struct {
	// Name is the value of the request's field operation.
	Name contract.Operation
	// Does says what the operation does, in a sentence for the request reference.
	Does string
	// Internal says that no request can name it: it is a phase of an execution, or has
	// a field of its own in the request.
	Internal bool
	// Reads says that it changes nothing: it needs no lock, no journal and no dry run.
	Reads bool
	// ByName says that it needs no object, only what names one.
	ByName bool
	// Backwards says that it goes through several resources from the last to the first.
	Backwards bool
	// Verbs are the Kubernetes verbs that the action uses, and WaitVerbs those
	// that the wait behind it uses.
	// https://kubernetes.io/docs/reference/access-authn-authz/authorization/#determine-the-request-verb
	Verbs, WaitVerbs []string
	// Outcomes are what a target that succeeded can end with.
	Outcomes []contract.Outcome

	// Act does the operation, once. It may be called again after an answer was
	// lost. Its errors are those of the client, or have a name.
	Act func(ctx context.Context, a Action) (Done, error)
	// Waits says whether there is something to wait for behind the action.
	Waits func(run contract.Run) bool
	// Look judges the object as the wait sees it, nil where there is none. An error
	// ends the wait.
	Look func(judge proof.Judge, before contract.Seen, object *unstructured.Unstructured, now time.Time) (contract.Seen, error)
	// Outcome names how a target ended that succeeded: after its wait, or without
	// one.
	Outcome func(applied contract.Applied, waited bool) contract.Outcome
}

// Action is what an operation works with on one target.
type Action struct {
	Target   contract.Target
	Ref      contract.ResourceRef
	Resource Resource
	Object   *unstructured.Unstructured
	Settings contract.ApplySettings
	// Note must be called before anything is changed, with the object as it is now
	// (nil: there is none). It returns the object as it was before the first attempt
	// of this execution.
	Note func(ctx context.Context, live *unstructured.Unstructured) (before *unstructured.Unstructured, err error)
}

// Done is what an action did.
type Done struct {
	Applied contract.Applied
	// Object is the object as the cluster answered.
	Object *unstructured.Unstructured
	// Owned are the fields that our field manager owns now, as managedFields has them.
	Owned json.RawMessage
}

// Resource is what an action needs of a cluster: the verbs on one kind, in one
// namespace. A dynamic.ResourceInterface of client-go is one.
type Resource interface {
	Get(ctx context.Context, name string, options metav1.GetOptions, subresources ...string) (*unstructured.Unstructured, error)
	Apply(ctx context.Context, name string, object *unstructured.Unstructured, options metav1.ApplyOptions, subresources ...string) (*unstructured.Unstructured, error)
}

// The names of the operations.
const (
	// Apply is a server-side apply.
	Apply contract.Operation = "apply"
	// Create creates an object that is not there.
	Create contract.Operation = "create"
	// Replace replaces an object that is there.
	Replace contract.Operation = "replace"
	// Get reads an object.
	Get contract.Operation = "get"
	// Delete deletes an object, and waits until it is gone.
	Delete contract.Operation = "delete"
	// Check finds out whether another operation could be done.
	Check contract.Operation = "check"
	// Verify looks once at an object after its bake time.
	Verify contract.Operation = "verify"
	// Rollback brings back what the journal says was there.
	Rollback contract.Operation = "rollback"
)

// operations is the table.
var operations = []Operation{
	apply(),
	{Name: Create}, {Name: Replace}, {Name: Get, Reads: true, ByName: true}, {Name: Delete, ByName: true, Backwards: true},
	{Name: Check, Reads: true, ByName: true}, {Name: Verify, Internal: true, Reads: true}, {Name: Rollback, Internal: true, Backwards: true},
}

// Default is what a request does that names no operation.
const Default = Apply

// All returns the operations in the order of the documentation.
func All() []Operation { return slices.Clone(operations) }

// Names returns the names of the operations that a request can name.
func Names() []contract.Operation {
	var names []contract.Operation
	for _, o := range operations {
		if !o.Internal {
			names = append(names, o.Name)
		}
	}
	return names
}

// Of returns the operation of a name. An unknown name is an error: the check of a
// request lets none pass.
func Of(name contract.Operation) (Operation, error) {
	for _, o := range operations {
		if o.Name == name {
			return o, nil
		}
	}
	return Operation{}, fmt.Errorf("there is no operation %q", name)
}

// VerbsOf returns the verbs that a run of the operation uses.
func (o Operation) VerbsOf(run contract.Run) []string {
	if o.Waits(run) {
		return slices.Concat(o.Verbs, o.WaitVerbs)
	}
	return slices.Clone(o.Verbs)
}

// Verbs returns the verbs that any of some operations uses, or where none is named any
// of all operations: each once, in the order in which Kubernetes' own rules list them.
func Verbs(of ...contract.Operation) []string {
	used := map[string]bool{}
	for _, o := range operations {
		if len(of) > 0 && !slices.Contains(of, o.Name) {
			continue
		}
		for _, verb := range slices.Concat(o.Verbs, o.WaitVerbs) {
			used[verb] = true
		}
	}
	var verbs []string
	for _, verb := range []string{"get", "list", "watch", "create", "update", "patch", "delete"} {
		if used[verb] {
			verbs = append(verbs, verb)
		}
	}
	return verbs
}
