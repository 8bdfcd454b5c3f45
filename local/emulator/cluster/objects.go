package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Decode reads the objects of a YAML or JSON stream, for [Spec] Objects.
func Decode(r io.Reader) ([]*unstructured.Unstructured, error) {
	var objects []*unstructured.Unstructured
	for decoder := yaml.NewYAMLOrJSONDecoder(r, 4096); ; {
		object := &unstructured.Unstructured{}
		if err := decoder.Decode(&object.Object); errors.Is(err, io.EOF) {
			return objects, nil
		} else if err != nil {
			return nil, fmt.Errorf("decode object %d: %w", len(objects)+1, err)
		}
		if len(object.Object) == 0 {
			continue // a document of comments only
		}
		if object.GetAPIVersion() == "" || object.GetKind() == "" || object.GetName() == "" {
			return nil, fmt.Errorf("decode object %d: apiVersion, kind or metadata.name is missing", len(objects)+1)
		}
		objects = append(objects, object)
	}
}

// DecodeFiles reads the objects of YAML or JSON files, in the order in which they
// are named.
func DecodeFiles(files fs.FS, names ...string) ([]*unstructured.Unstructured, error) {
	var all []*unstructured.Unstructured
	for _, name := range names {
		content, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		objects, err := Decode(bytes.NewReader(content))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		all = append(all, objects...)
	}
	return all, nil
}

// Namespace is an object for [Spec] Objects.
func Namespace(name string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": name},
	}}
}

// CreateObjects creates what is not there yet, in order.
func CreateObjects(ctx context.Context, config *rest.Config, objects []*unstructured.Unstructured) error {
	config.Wrap(withoutRetryAfter)
	c, err := client.New(config, client.Options{})
	if err != nil {
		return err
	}
	for _, object := range objects {
		err := untilServed(ctx, func() error { return client.IgnoreAlreadyExists(c.Create(ctx, object.DeepCopy())) })
		if err == nil && object.GetKind() == "CustomResourceDefinition" {
			err = awaitKind(ctx, c, object)
		}
		if err != nil {
			return fmt.Errorf("create %s %s: %w", object.GetKind(), object.GetName(), err)
		}
	}
	return nil
}

// awaitKind returns when discovery shows a new kind and a list of it succeeds, in
// every served version. A kind that has been installed for a while is past that.
func awaitKind(ctx context.Context, c client.Client, object *unstructured.Unstructured) error {
	var definition apiextensionsv1.CustomResourceDefinition
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &definition); err != nil {
		return err
	}
	for _, version := range definition.Spec.Versions {
		if !version.Served {
			continue
		}
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(schema.GroupVersionKind{
			Group: definition.Spec.Group, Version: version.Name, Kind: definition.Spec.Names.Kind + "List",
		})
		if err := untilServed(ctx, func() error { return c.List(ctx, list) }); err != nil {
			return fmt.Errorf("list %s in version %s: %w", definition.Spec.Names.Plural, version.Name, err)
		}
	}
	return nil
}

// untilServed repeats a request while the API server does not serve the kind yet
// (discovery lacks it, its path is not found) or has no cache of it yet (429).
func untilServed(ctx context.Context, request func() error) error {
	var last error
	err := wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, 30*time.Second, true, func(context.Context) (bool, error) {
		last = request()
		if meta.IsNoMatchError(last) || apierrors.IsNotFound(last) || apierrors.IsTooManyRequests(last) {
			return false, nil
		}
		return true, last
	})
	if wait.Interrupted(err) && last != nil {
		return fmt.Errorf("%w: %w", err, last)
	}
	return err
}

// withoutRetryAfter keeps client-go from waiting the full second for which a server
// that starts sends clients away.
func withoutRetryAfter(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(req *http.Request) (*http.Response, error) {
		resp, err := next.RoundTrip(req)
		if err == nil {
			resp.Header.Del("Retry-After")
		}
		return resp, err
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }
