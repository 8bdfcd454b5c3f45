package operators_test

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/crossapply/crossapply/local/emulator/cluster"
	"github.com/crossapply/crossapply/local/world"
	"github.com/crossapply/crossapply/shared/contract"
)

// The environment variables by which `make test-operators` says where the
// controller's program and its CRDs are.
const (
	kroController = "KRO_CONTROLLER"
	kroCRDs       = "KRO_CRDS"
)

// kro becomes Ready through the workflow: a ResourceGraphDefinition, of which it makes
// a new kind, and an instance of that kind, which no cluster serves before the first
// of the two resources is Ready.
func TestKro(t *testing.T) {
	if os.Getenv(kroController) == "" {
		t.Skip(kroController + " is not set: make test-operators builds kro, which takes minutes, and sets it")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	w, err := world.Start(ctx, world.Config{Progress: os.Stderr, Clusters: world.Demo()[:2]})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, demo := range world.Demo()[:2] {
		admin := w.Cluster(demo.Target).AdminConfig()
		install(ctx, t, admin, filepath.Join(os.Getenv(kroCRDs), "*.yaml"), "testdata/kro/access.yaml")
		run(t, admin)
	}
	body, err := os.ReadFile("testdata/kro/request.json")
	if err != nil {
		t.Fatal(err)
	}
	answer := execute(ctx, t, w, string(body))
	if answer.Counts[contract.OutcomeReady] != 2 {
		t.Fatalf("the answer is %+v", answer)
	}
	for _, demo := range world.Demo()[:2] {
		client, err := dynamic.NewForConfig(w.Cluster(demo.Target).AdminConfig())
		if err != nil {
			t.Fatal(err)
		}
		made, err := client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}).Namespace(world.Namespace).Get(ctx, "shop", metav1.GetOptions{})
		if err != nil {
			t.Fatalf("%s: what kro makes of the instance: %v", demo.Target, err)
		}
		if data, _ := made.Object["data"].(map[string]any); data["color"] != "green" {
			t.Errorf("%s: kro made %v", demo.Target, data)
		}
	}
	if again := execute(ctx, t, w, string(body)); again.Counts[contract.OutcomeUnchanged] != 2 {
		t.Errorf("a repeat ends as %+v", again)
	}
}

// install creates what the files of a pattern hold, as the cluster's admin.
func install(ctx context.Context, t *testing.T, admin *rest.Config, patterns ...string) {
	t.Helper()
	for _, pattern := range patterns {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("no file %s: %v", pattern, err)
		}
		for _, file := range files {
			objects, err := cluster.DecodeFiles(os.DirFS(filepath.Dir(file)), filepath.Base(file))
			if err != nil {
				t.Fatal(err)
			}
			if err := cluster.CreateObjects(ctx, admin, objects); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// run runs kro's controller against a cluster until the test ends.
func run(t *testing.T, admin *rest.Config) {
	t.Helper()
	config := clientcmdapi.NewConfig()
	config.Clusters["it"] = &clientcmdapi.Cluster{Server: admin.Host, CertificateAuthorityData: admin.CAData}
	config.AuthInfos["admin"] = &clientcmdapi.AuthInfo{ClientCertificateData: admin.CertData, ClientKeyData: admin.KeyData, Token: admin.BearerToken}
	config.Contexts["it"] = &clientcmdapi.Context{Cluster: "it", AuthInfo: "admin"}
	config.CurrentContext = "it"
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*config, file); err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(t.ArtifactDir(), "kro.log"))
	if err != nil {
		t.Fatal(err)
	}
	controller := exec.Command(os.Getenv(kroController), "-metrics-bind-address=0", "-health-probe-bind-address=0")
	controller.Env = append(os.Environ(), "KUBECONFIG="+file)
	controller.Stdout, controller.Stderr = log, log
	if err := controller.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = controller.Process.Kill()
		_ = controller.Wait() // it was killed
		_ = log.Close()
	})
}

// execute starts the workflow and returns its answer when it has succeeded.
func execute(ctx context.Context, t *testing.T, w *world.World, request string) contract.Answer {
	t.Helper()
	client := sfn.NewFromConfig(w.Engineer())
	started, err := client.StartExecution(ctx, &sfn.StartExecutionInput{StateMachineArn: aws.String(w.StateMachineARN), Input: aws.String(request)})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.States.Wait(ctx, *started.ExecutionArn); err != nil {
		t.Fatal(err)
	}
	ended, err := client.DescribeExecution(ctx, &sfn.DescribeExecutionInput{ExecutionArn: started.ExecutionArn})
	if err != nil {
		t.Fatal(err)
	}
	if ended.Status != types.ExecutionStatusSucceeded {
		t.Fatalf("%s: %s: %s", ended.Status, aws.ToString(ended.Error), aws.ToString(ended.Cause))
	}
	var answer contract.Answer
	if err := json.Unmarshal([]byte(*ended.Output), &answer); err != nil {
		t.Fatal(err)
	}
	return answer
}
