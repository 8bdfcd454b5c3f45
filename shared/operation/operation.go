package operation

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/health"
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
	// Until is what the wait is for, in messages: "Ready" or "gone".
	Until string

	// Act does the operation, once. It may be called again after an answer was
	// lost. Its errors are those of the client, or have a name; with one, the change is
	// empty unless one was made all the same, of several writes.
	Act func(ctx context.Context, a Action) (Done, error)
	// Waits says whether there is something to wait for behind the action.
	Waits func(run contract.Run) bool
	// Look judges the object as the wait sees it, nil where there is none. An error
	// ends the wait.
	Look func(judge proof.Judge, before contract.Seen, object *unstructured.Unstructured, now time.Time) (contract.Seen, error)
	// Decide says whether what was seen is a verdict by now.
	Decide func(judge proof.Judge, seen contract.Seen, now time.Time) proof.Decision
	// Outcome names how a target ended that succeeded: after its wait, or without
	// one.
	Outcome func(run contract.Run, applied contract.Applied, waited bool) contract.Outcome
}

// Action is what an operation works with on one target.
type Action struct {
	contract.Item
	// Index is the resource's in the request, and Ref names it. Where the request has
	// none, Ref is the zero value.
	Index int
	Ref   contract.ResourceRef
	// Resource is where the cluster serves its kind, and HasStatus says that the kind has
	// a status subresource. It is nil where the kind is not served yet, or there is no
	// resource.
	Resource  Resource
	HasStatus bool
	// Object is the object to act with; nil where it is only named.
	Object *unstructured.Unstructured
	// Rule judges it.
	Rule health.Rule
	// Note must be called before anything is changed, with the object as it is now
	// (nil: there is none). It returns the object as it was before the first attempt
	// of this execution.
	Note func(ctx context.Context, live *unstructured.Unstructured) (before *unstructured.Unstructured, err error)
	// Earlier is the change to take back, for a rollback.
	Earlier Earlier
	// WhoAmI asks the cluster as whom it knows us, in words.
	WhoAmI func(ctx context.Context) (string, error)
}

// Earlier is what is known of a change that a rollback takes back.
type Earlier struct {
	// Operation is what was done, Before the object as it was before (nil: there was
	// none).
	Operation contract.Operation
	Before    *unstructured.Unstructured
	// Change is what became of it, and After the object without its status as the change
	// left it. The change is unknown where the function died that made it.
	Change contract.Change
	After  *unstructured.Unstructured
}

// Done is what an action did.
type Done struct {
	Applied contract.Applied
	// Object is the object as the cluster answered; nil where there is none any more.
	Object *unstructured.Unstructured
	// Owned are the fields that our field manager owns now, as managedFields has them.
	Owned json.RawMessage
	// Found is an object that people asked for, and Values its fields where they asked
	// for those.
	Found  *unstructured.Unstructured
	Values map[string][]any
	// Message says in words what was done, where there is nothing to wait for.
	Message string
}

// Resource is what an action needs of a cluster: the verbs on one kind, in one
// namespace. A dynamic.ResourceInterface of client-go is one.
type Resource interface {
	Get(ctx context.Context, name string, options metav1.GetOptions, subresources ...string) (*unstructured.Unstructured, error)
	Apply(ctx context.Context, name string, object *unstructured.Unstructured, options metav1.ApplyOptions, subresources ...string) (*unstructured.Unstructured, error)
	Create(ctx context.Context, object *unstructured.Unstructured, options metav1.CreateOptions, subresources ...string) (*unstructured.Unstructured, error)
	Update(ctx context.Context, object *unstructured.Unstructured, options metav1.UpdateOptions, subresources ...string) (*unstructured.Unstructured, error)
	Delete(ctx context.Context, name string, options metav1.DeleteOptions, subresources ...string) error
}

// live returns the object as it is now, nil where there is none.
func (a Action) live(ctx context.Context) (*unstructured.Unstructured, error) {
	live, err := a.Resource.Get(ctx, a.Ref.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	return live, err
}

// dryRun is the dryRun of the client's options.
func (a Action) dryRun() []string {
	if a.Run.Apply.DryRun {
		return []string{metav1.DryRunAll}
	}
	return nil
}

// note notes what is there, unless nothing will be changed.
func (a Action) note(ctx context.Context, live *unstructured.Unstructured) (before *unstructured.Unstructured, err error) {
	if a.Run.Apply.DryRun {
		return live, nil
	}
	return a.Note(ctx, live)
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

// Default is what a request does that names no operation.
const Default = Apply

// All returns the operations in the order of the documentation.
func All() []Operation {
	return []Operation{apply(), create(), replace(), get(), remove(), check(), verify(), rollback()}
}

// Names returns the names of the operations that a request can name.
func Names() []contract.Operation {
	var names []contract.Operation
	for _, o := range All() {
		if !o.Internal {
			names = append(names, o.Name)
		}
	}
	return names
}

// Of returns the operation of a name. An unknown name is an error: the check of a
// request lets none pass.
func Of(name contract.Operation) (Operation, error) {
	for _, o := range All() {
		if o.Name == name {
			return o, nil
		}
	}
	return Operation{}, fmt.Errorf("there is no operation %q", name)
}

// Order returns the index of the resource that an operation works on in a step, of so
// many resources.
func Order(o Operation, resources, step int) int {
	if o.Backwards {
		return resources - 1 - step
	}
	return step
}

// VerbsOf returns the verbs that a run of the operation uses, those of its rollback
// included: what cannot be taken back is not begun.
func (o Operation) VerbsOf(run contract.Run) []string {
	if checked, err := Of(o.checks(run)); err == nil {
		return checked.VerbsOf(run)
	}
	verbs := slices.Clone(o.Verbs)
	if o.Waits(run) {
		verbs = slices.Concat(verbs, o.WaitVerbs)
	}
	if run.OnFailure == contract.OnFailureRollback && !o.Reads && !run.Apply.DryRun {
		back := rollback()
		verbs = slices.Concat(verbs, back.Verbs, back.WaitVerbs)
	}
	return unique(verbs)
}

// unique returns the verbs, each once, in the order in which they come first.
func unique(verbs []string) []string {
	var once []string
	for _, verb := range verbs {
		if !slices.Contains(once, verb) {
			once = append(once, verb)
		}
	}
	return once
}

// Verbs returns the verbs that any of some operations uses, or where none is named any
// of all operations: each once, in the order in which Kubernetes' own rules list them.
func Verbs(of ...contract.Operation) []string {
	used := map[string]bool{}
	for _, o := range All() {
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
