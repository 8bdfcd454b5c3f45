package examples_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/crossapply/crossapply/examples"
	"github.com/crossapply/crossapply/local/binaries"
	"github.com/crossapply/crossapply/local/emulator/cluster"
	"github.com/crossapply/crossapply/local/emulator/cluster/clustertest"
	"github.com/crossapply/crossapply/shared/deployment"
)

var servers = clustertest.New(clustertest.Config{Binaries: binaries.Find, Objects: objects})

func TestMain(m *testing.M) { os.Exit(servers.Run(m)) }

// objects are the CRDs that the examples need, and rules for a group that may
// write roles without more rights: as much as AmazonEKSAdminPolicy gives.
func objects() ([]*unstructured.Unstructured, error) {
	module, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/argoproj/argo-cd/v3").Output()
	if err != nil {
		return nil, fmt.Errorf("find Argo CD's CRDs: %w", err)
	}
	argo, err := cluster.DecodeFiles(os.DirFS(filepath.Join(strings.TrimSpace(string(module)), "manifests", "crds")), "applicationset-crd.yaml")
	if err != nil {
		return nil, err
	}
	ours, err := cluster.DecodeFiles(examples.Files, "crd.yaml")
	if err != nil {
		return nil, err
	}
	rules, err := cluster.DecodeFiles(os.DirFS("testdata"), "objects.yaml")
	return append(append(argo, ours...), rules...), err
}

func clientIn(t *testing.T, group string) dynamic.Interface {
	t.Helper()
	c := servers.Clusters(t)[0]
	client, err := dynamic.NewForConfig(&rest.Config{
		Host: c.Endpoint(), BearerToken: servers.Token(t, "jane", group), TLSClientConfig: rest.TLSClientConfig{CAData: c.CAData},
	})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// apply sends an object as a server-side apply that takes no unknown field.
func apply(t *testing.T, client dynamic.Interface, plural, namespace string, object *unstructured.Unstructured) error {
	t.Helper()
	gv, err := schema.ParseGroupVersion(object.GetAPIVersion())
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	force := false
	_, err = client.Resource(gv.WithResource(plural)).Namespace(namespace).Patch(t.Context(), object.GetName(), "application/apply-patch+yaml", body,
		meta.PatchOptions{FieldManager: "crossapply", Force: &force, FieldValidation: meta.FieldValidationStrict})
	return err
}

func resourceOf(t *testing.T, file string) *unstructured.Unstructured {
	t.Helper()
	body, err := fs.ReadFile(examples.Files, file)
	if err != nil {
		t.Fatal(err)
	}
	var request struct{ Resource map[string]any }
	if err := json.Unmarshal(body, &request); err != nil {
		t.Fatal(err)
	}
	return &unstructured.Unstructured{Object: request.Resource}
}

// The bootstrap takes cluster-admin, once: Kubernetes lets nobody give rights away
// that he does not have. Afterwards the group may do what the rules say.
func TestBootstrap(t *testing.T) {
	role, binding, topic := resourceOf(t, "bootstrap-role.json"), resourceOf(t, "bootstrap-binding.json"), resourceOf(t, "minimal.json")
	if err := apply(t, clientIn(t, deployment.Group), "topics", topic.GetNamespace(), topic); !apierrors.IsForbidden(err) {
		t.Errorf("the group may act before the bootstrap: %v", err)
	}
	if err := apply(t, clientIn(t, "role-writers"), "clusterroles", "", role); !apierrors.IsForbidden(err) ||
		!strings.Contains(err.Error(), "attempting to grant RBAC permissions not currently held") {
		t.Errorf("who may write roles gives rights away: %v", err)
	}
	admin := clientIn(t, "system:masters")
	if err := apply(t, admin, "clusterroles", "", role); err != nil {
		t.Fatal(err)
	}
	if err := apply(t, admin, "clusterrolebindings", "", binding); err != nil {
		t.Fatal(err)
	}
	if err := apply(t, clientIn(t, deployment.Group), "topics", topic.GetNamespace(), topic); err != nil {
		t.Errorf("the group may not act after the bootstrap: %v", err)
	}
	if err := apply(t, clientIn(t, deployment.Group), "clusterroles", "", role); !apierrors.IsForbidden(err) {
		t.Errorf("the group may change its own rights: %v", err)
	}
}

// Argo CD's own schema takes the example, every field of it.
func TestArgoCD(t *testing.T) {
	sets, err := cluster.DecodeFiles(examples.Files, "argocd.yaml")
	if err != nil || len(sets) != 1 {
		t.Fatalf("%d objects, %v", len(sets), err)
	}
	sets[0].SetNamespace("kafka") // one that is there
	if err := apply(t, clientIn(t, "system:masters"), "applicationsets", "kafka", sets[0]); err != nil {
		t.Error(err)
	}
}
