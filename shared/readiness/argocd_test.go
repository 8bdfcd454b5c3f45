package readiness_test

import (
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/argoproj/argo-cd/v3/resource_customizations"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/health"
	"github.com/crossapply/crossapply/shared/readiness"
)

// example is an object that comes with one of Argo CD's checks, and what the
// check's authors expect of it.
type example struct {
	check, file string
	health      string
	object      *unstructured.Unstructured
}

// examples returns all the objects that come with the checks.
func examples(t testing.TB) []example {
	t.Helper()
	files := resource_customizations.Embedded
	lists, err := fs.Glob(files, "*/*/health_test.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var all []example
	for _, list := range lists {
		var of struct {
			Tests []struct {
				InputPath    string
				HealthStatus struct{ Status string }
			}
		}
		decode(t, list, &of)
		for _, test := range of.Tests {
			e := example{check: path.Dir(list), file: path.Join(path.Dir(list), test.InputPath), health: test.HealthStatus.Status, object: &unstructured.Unstructured{}}
			decode(t, e.file, &e.object.Object)
			all = append(all, e)
		}
	}
	return all
}

func decode(t testing.TB, file string, into any) {
	t.Helper()
	data, err := fs.ReadFile(resource_customizations.Embedded, file)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(data, into); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

func judge(t testing.TB, object *unstructured.Unstructured, hasStatus bool) health.Verdict {
	t.Helper()
	rule, err := readiness.New(contract.ReadyExpressions{}, "", object.GroupVersionKind().GroupKind())
	if err != nil {
		t.Fatal(err)
	}
	verdict, err := rule.Judge(object, object.GetGeneration(), hasStatus)
	if err != nil {
		t.Fatal(err)
	}
	return verdict
}

// Every object that comes with Argo CD's checks, as if the generation that it has
// had been applied just now. Where the verdict is another than Argo CD's, one of
// the things that Argo CD does not look at must be the reason.
func TestArgoCDsOwnExamples(t *testing.T) {
	type cell struct {
		health string
		state  health.State
	}
	counts, reasons := map[cell]int{}, map[string]int{}
	for _, e := range examples(t) {
		verdict := judge(t, e.object, true)
		counts[cell{e.health, verdict.State}]++
		if verdict.State == stateOf(e.health) {
			continue
		}
		reason := reasonToDiffer(e.object)
		reasons[reason]++
		if reason == "" || verdict.State != health.Progressing {
			t.Errorf("%s: Argo CD says %s; %s: %s", e.file, e.health, verdict.State, verdict.Message)
		}
	}
	wantCounts := map[cell]int{
		{"Healthy", health.Ready}:           329,
		{"Healthy", health.Progressing}:     3,
		{"Degraded", health.Failed}:         327,
		{"Degraded", health.Progressing}:    5,
		{"Progressing", health.Progressing}: 373,
		{"Suspended", health.Progressing}:   58,
		{"Unknown", health.Progressing}:     26,
		{"Missing", health.Progressing}:     6,
	}
	if !maps.Equal(counts, wantCounts) {
		t.Errorf("got  %v\nwant %v", counts, wantCounts)
	}
	if want := map[string]int{"deletion": 7, "stale generation": 1}; !maps.Equal(reasons, want) {
		t.Errorf("other verdicts than Argo CD's: got %v, want %v", reasons, want)
	}
}

func stateOf(word string) health.State {
	switch word {
	case "Healthy":
		return health.Ready
	case "Degraded":
		return health.Failed
	}
	// Suspended and Unknown among them: somebody or something is waited for.
	return health.Progressing
}

// reasonToDiffer says why an object cannot be Ready, or have failed, whatever the
// check for its kind says.
func reasonToDiffer(object *unstructured.Unstructured) string {
	observed, ok, _ := unstructured.NestedFieldNoCopy(object.Object, "status", "observedGeneration")
	switch {
	case object.GetDeletionTimestamp() != nil:
		return "deletion"
	case ok && observed.(float64) < float64(object.GetGeneration()):
		return "stale generation"
	}
	return ""
}

// The checks that call an object healthy that has no status: those which are
// believed, and those which are not.
func TestArgoCDsChecksOfObjectsWithoutStatus(t *testing.T) {
	believed, denied := map[string]bool{}, map[string]bool{}
	for _, e := range examples(t) {
		e.object.SetDeletionTimestamp(nil)
		unstructured.RemoveNestedField(e.object.Object, "status")
		rule, err := readiness.New(contract.ReadyExpressions{}, "", e.object.GroupVersionKind().GroupKind())
		if err != nil {
			t.Fatal(err)
		}
		// Without a status subresource the check alone decides. (Some cannot: they
		// look into the status without asking whether there is one.)
		if verdict, err := rule.Judge(e.object, 1, false); err != nil || verdict.State != health.Ready {
			continue
		}
		switch verdict, err := rule.Judge(e.object, 1, true); {
		case err != nil:
			t.Errorf("%s: %v", e.file, err)
		case verdict.State == health.Ready:
			believed[e.check] = true
		default:
			denied[e.check] = true
		}
	}
	for _, test := range []struct {
		what string
		got  map[string]bool
		want []string
	}{
		{"believed", believed, []string{"_.crossplane.io/_", "_.upbound.io/_", "argoproj.io/CronWorkflow", "astra.netapp.io/ExecHook",
			"astra.netapp.io/Schedule", "batch/CronJob", "kubevirt.io/VirtualMachine",
			"policy.open-cluster-management.io/Policy", "source.toolkit.fluxcd.io/HelmRepository"}},
		{"not believed", denied, []string{"core.gardener.cloud/Shoot", "datadoghq.com/DatadogMetric", "flink.apache.org/FlinkDeployment"}},
	} {
		if got := slices.Sorted(maps.Keys(test.got)); !slices.Equal(got, test.want) {
			t.Errorf("%s:\ngot  %s\nwant %s", test.what, strings.Join(got, " "), strings.Join(test.want, " "))
		}
	}
}

// Which check is for a kind, as Argo CD chooses.
func TestArgoCDsCheckForAKind(t *testing.T) {
	for kind, want := range map[schema.GroupKind]string{
		{Group: "argoproj.io", Kind: "Rollout"}:                       "Argo CD's health check for argoproj.io/Rollout",
		{Group: "pkg.crossplane.io", Kind: "Provider"}:                "Argo CD's health check for pkg.crossplane.io/Provider",
		{Group: "pkg.crossplane.io", Kind: "Function"}:                "Argo CD's health check for *.crossplane.io/*",
		{Group: "dynamodb.aws.crossplane.io", Kind: "Table"}:          "Argo CD's health check for *.crossplane.io/*",
		{Group: "s3.aws.upbound.io", Kind: "Bucket"}:                  "Argo CD's health check for *.upbound.io/*",
		{Group: "sql.cnrm.cloud.google.com", Kind: "SQLInstance"}:     "Argo CD's health check for *.cnrm.cloud.google.com/*",
		{Group: "operator.victoriametrics.com", Kind: "VMCluster"}:    "Argo CD's health check for operator.victoriametrics.com/*",
		{Group: "crossplane.io", Kind: "NoDotBeforeIt"}:               "condition Ready",
		{Group: "crossplane.io.example.com", Kind: "SomethingBehind"}: "condition Ready",
		{Group: "argoproj.io", Kind: "Rollout/actions"}:               "condition Ready",
		{Group: "..", Kind: "Rollout"}:                                "condition Ready",
	} {
		rule, err := readiness.New(contract.ReadyExpressions{}, "", kind)
		if err != nil || rule.String() != want {
			t.Errorf("%s: got %v, %v, want %s", kind, rule, err, want)
		}
	}
}
