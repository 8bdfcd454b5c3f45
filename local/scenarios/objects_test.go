package scenarios

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"

	"github.com/crossapply/crossapply/shared/contract"
)

var objectCommands = map[string]command{
	"apply":    {"<clusters> <file> [as <manager>]", 2, 4, false, applyObject},
	"status":   {"<clusters> <file>", 2, 2, false, applyStatus},
	"delete":   {"<clusters> <file>", 2, 2, false, deleteObject},
	"await":    {"<clusters> <file>", 2, 2, false, awaitObject},
	"object":   {"<clusters> <file>", 2, 2, true, hasObject},
	"snapshot": {"<clusters> <file>", 2, 2, false, takeSnapshot},
	"same":     {"<clusters>", 1, 1, true, isSame},
}

// object is the object that a file describes, or of which it holds what must be so.
func (s *script) object(file string) (*unstructured.Unstructured, error) {
	value, err := s.yaml(file)
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	object := &unstructured.Unstructured{}
	return object, object.UnmarshalJSON(body)
}

// client reaches objects such as this one, with all rights, past AWS.
func client(t contract.Target, object *unstructured.Unstructured) (dynamic.ResourceInterface, error) {
	virtual := shared.FleetCluster(t)
	if virtual == nil {
		return nil, fmt.Errorf("%s has no API server", t.Cluster)
	}
	client, err := dynamic.NewForConfig(virtual.AdminConfig())
	if err != nil {
		return nil, err
	}
	plural, _ := meta.UnsafeGuessKindToResource(object.GroupVersionKind())
	if namespace := object.GetNamespace(); namespace != "" {
		return client.Resource(plural).Namespace(namespace), nil
	}
	return client.Resource(plural), nil
}

// onEach does something to a file's object on each of some clusters.
func (s *script) onEach(pattern, file string, do func(contract.Target, dynamic.ResourceInterface, *unstructured.Unstructured) error) error {
	object, err := s.object(file)
	if err != nil {
		return err
	}
	targets, err := clusters(pattern)
	if err != nil {
		return err
	}
	for _, t := range targets {
		c, err := client(t, object)
		if err == nil {
			err = do(t, c, object.DeepCopy())
		}
		if err != nil {
			return fmt.Errorf("%s: %w", t.Cluster, err)
		}
	}
	return nil
}

func applyObject(ctx context.Context, s *script, _ bool, args []string) error {
	manager := "somebody"
	if len(args) == 4 && args[2] == "as" {
		manager = args[3]
	}
	return s.onEach(args[0], args[1], func(_ contract.Target, c dynamic.ResourceInterface, object *unstructured.Unstructured) error {
		_, err := c.Apply(ctx, object.GetName(), object, metav1.ApplyOptions{FieldManager: manager, Force: true})
		return err
	})
}

func applyStatus(ctx context.Context, s *script, _ bool, args []string) error {
	return s.onEach(args[0], args[1], func(_ contract.Target, c dynamic.ResourceInterface, object *unstructured.Unstructured) error {
		_, err := c.ApplyStatus(ctx, object.GetName(), object, metav1.ApplyOptions{FieldManager: "somebody", Force: true})
		return err
	})
}

func deleteObject(ctx context.Context, s *script, _ bool, args []string) error {
	return s.onEach(args[0], args[1], func(_ contract.Target, c dynamic.ResourceInterface, object *unstructured.Unstructured) error {
		return c.Delete(ctx, object.GetName(), metav1.DeleteOptions{})
	})
}

func awaitObject(ctx context.Context, s *script, _ bool, args []string) error {
	want, err := s.yaml(args[1])
	if err != nil {
		return err
	}
	return s.onEach(args[0], args[1], func(_ contract.Target, c dynamic.ResourceInterface, object *unstructured.Unstructured) error {
		// Without a version, a watch begins with the objects that exist already.
		watcher, err := c.Watch(ctx, metav1.ListOptions{FieldSelector: "metadata.name=" + object.GetName()})
		if err != nil {
			return err
		}
		defer watcher.Stop()
		last := errors.New("there is none")
		for event := range watcher.ResultChan() {
			if seen, ok := event.Object.(*unstructured.Unstructured); ok {
				if last = fits(decoded(seen.Object), want); last == nil {
					return nil
				}
			}
		}
		return fmt.Errorf("waited for it in vain: %w", last)
	})
}

func hasObject(ctx context.Context, s *script, not bool, args []string) error {
	want, err := s.yaml(args[1])
	if err != nil {
		return err
	}
	return s.onEach(args[0], args[1], func(_ contract.Target, c dynamic.ResourceInterface, object *unstructured.Unstructured) error {
		got, err := c.Get(ctx, object.GetName(), metav1.GetOptions{})
		switch {
		case not && apierrors.IsNotFound(err):
			return nil
		case not && err == nil:
			return fmt.Errorf("there is %s %s", got.GetKind(), got.GetName())
		case err != nil:
			return err
		}
		return fits(decoded(got.Object), want)
	})
}

// snapshot says of what one was taken.
type snapshot struct{ cluster, file string }

func takeSnapshot(ctx context.Context, s *script, _ bool, args []string) error {
	return s.onEach(args[0], args[1], func(t contract.Target, c dynamic.ResourceInterface, object *unstructured.Unstructured) error {
		kept, err := lasting(ctx, c, object.GetName())
		s.snapshots[snapshot{t.Cluster, args[1]}] = kept
		return err
	})
}

func isSame(ctx context.Context, s *script, not bool, args []string) error {
	targets, err := clusters(args[0])
	if err != nil {
		return err
	}
	for _, t := range targets {
		compared := false
		for of, before := range s.snapshots {
			if of.cluster != t.Cluster {
				continue
			}
			compared = true
			err := s.onEach(of.cluster, of.file, func(_ contract.Target, c dynamic.ResourceInterface, object *unstructured.Unstructured) error {
				now, err := lasting(ctx, c, object.GetName())
				if err == nil && (now == before) == not {
					err = fmt.Errorf("it was\n%s\nand is\n%s", before, now)
				}
				return err
			})
			if err != nil {
				return err
			}
		}
		if !compared {
			return fmt.Errorf("of %s there is no snapshot", t.Cluster)
		}
	}
	return nil
}

// lasting is what people and their tools have put into an object, with who owns it: all
// but its status, versions and times.
func lasting(ctx context.Context, c dynamic.ResourceInterface, name string) (string, error) {
	object, err := c.Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return "", err
	}
	owners := object.GetManagedFields()
	owners = slices.DeleteFunc(owners, func(entry metav1.ManagedFieldsEntry) bool { return entry.Subresource == "status" })
	for i := range owners {
		owners[i].Time = nil
	}
	slices.SortFunc(owners, func(a, b metav1.ManagedFieldsEntry) int {
		return strings.Compare(a.Manager+string(a.Operation), b.Manager+string(b.Operation))
	})
	body, err := json.MarshalIndent(map[string]any{
		"uid": object.GetUID(), "labels": object.GetLabels(), "annotations": object.GetAnnotations(),
		"spec": object.Object["spec"], "data": object.Object["data"], "managedFields": owners,
	}, "", " ")
	return string(body), err
}
