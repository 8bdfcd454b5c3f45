package operation

import (
	"context"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/readiness"
)

// Operation is one thing that can be done with a resource on a target.
type Operation struct {
	// Name is the value of the request's field operation.
	Name contract.Operation
	// Does says what the operation does, in a sentence for the request reference.
	Does string
	// Verbs are the Kubernetes verbs that the action uses, and WaitVerbs those
	// that the wait behind it uses.
	// https://kubernetes.io/docs/reference/access-authn-authz/authorization/#determine-the-request-verb
	Verbs, WaitVerbs []string
	// Outcomes are what a target that succeeded can end with.
	Outcomes []contract.Outcome

	// Act does the operation, once. It may be called again after an answer was
	// lost. Its errors are those of the client.
	Act func(ctx context.Context, api Resource, object *unstructured.Unstructured, settings contract.ApplySettings) (contract.Applied, error)
	// Waits says whether there is something to wait for behind the action.
	Waits func(run contract.Run) bool
	// Judge says how far the wait has come, from the object as the cluster has it
	// now; nil means that there is none. An error ends the wait.
	Judge func(object *unstructured.Unstructured, in contract.PollInput) (readiness.Verdict, error)
	// Outcome names how a target ended that succeeded: after its wait, or without
	// one.
	Outcome func(applied contract.Applied, waited bool) contract.Outcome
}

// Resource is what an action needs of a cluster: the verbs on one kind, in one
// namespace. A dynamic.ResourceInterface of client-go is one.
type Resource interface {
	Get(ctx context.Context, name string, options metav1.GetOptions, subresources ...string) (*unstructured.Unstructured, error)
	Apply(ctx context.Context, name string, object *unstructured.Unstructured, options metav1.ApplyOptions, subresources ...string) (*unstructured.Unstructured, error)
}

// operations is the table.
var operations = []Operation{
	apply(),
}

// Default is what a request does that names no operation.
const Default = Apply

// All returns the operations in the order of the documentation.
func All() []Operation { return slices.Clone(operations) }

// Names returns the names of all operations.
func Names() []contract.Operation {
	names := make([]contract.Operation, len(operations))
	for i, o := range operations {
		names[i] = o.Name
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

// Verbs returns the verbs that any of the operations uses, each once, in the
// order in which Kubernetes' own rules list them.
func Verbs() []string {
	used := map[string]bool{}
	for _, o := range operations {
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
