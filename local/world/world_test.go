package world_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/crossapply/crossapply/local/operator"
	"github.com/crossapply/crossapply/local/world"
	"github.com/crossapply/crossapply/shared/contract"
)

func at(account, region, cluster string) contract.Target {
	return contract.Target{Account: account, Region: region, Cluster: cluster}
}

// The targets of the tests' world: some that are well, and one for each thing
// that can be wrong.
var (
	payments    = at("111111111111", "eu-west-1", "payments")
	paymentsUS  = at("111111111111", "us-east-1", "payments")
	analytics   = at("222222222222", "us-east-1", "analytics")
	analyticsEU = at("222222222222", "eu-west-1", "analytics")
	retail      = at("333333333333", "eu-central-1", "retail")
	noRBAC      = at("111111111111", "eu-west-1", "no-rbac")
	unmapped    = at("222222222222", "eu-west-1", "unmapped")
	noCRD       = at("111111111111", "us-east-1", "no-crd")
	creating    = at("222222222222", "eu-west-1", "creating")
	down        = at("222222222222", "eu-west-1", "down")
	foreign     = at("444444444444", "eu-west-1", "foreign")
	missing     = at("111111111111", "eu-west-1", "missing")
)

// healthy are those that are well.
func healthy() []contract.Target {
	return []contract.Target{payments, paymentsUS, analytics, analyticsEU, retail}
}

// operatorDelay is how long the stand-in operator takes to bring a Topic to an
// end: longer than the poll window, so that some targets need several.
const (
	operatorDelay = 1500 * time.Millisecond
	pollWindow    = time.Second
)

// delayAnnotation on a Topic is the operator's delay for it, where it is another.
const delayAnnotation = "example.com/delay"

func delayOf(topic *unstructured.Unstructured) time.Duration {
	if delay, err := time.ParseDuration(topic.GetAnnotations()[delayAnnotation]); err == nil {
		return delay
	}
	return operatorDelay
}

// immediately has the operator bring a Topic to its end at once.
func immediately() map[string]string { return map[string]string{delayAnnotation: "0s"} }

var shared *world.World

// One world serves all tests: starting it takes a while.
func TestMain(m *testing.M) {
	os.Exit(func() int {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Minute) // the first time, it builds the API server
		defer cancel()
		config := world.Config{
			Progress:   os.Stderr,
			PollWindow: pollWindow,
			Operator:   operator.Options{Delay: delayOf},
			Fleet:      virtualFleet(),
			Clusters: []world.Cluster{
				{Target: noRBAC, NoRBAC: true},
				{Target: unmapped, Unmapped: true},
				{Target: noCRD, NoCRD: true},
				{Target: creating, Status: "CREATING"},
				{Target: down, Absent: true},
				{Target: foreign, OtherExternalID: true, Absent: true},
			},
		}
		for _, target := range healthy() {
			config.Clusters = append(config.Clusters, world.Cluster{Target: target})
		}
		if !benchmarks() {
			config.Intercept = true
			config.Pause = func(d time.Duration) time.Duration { return d / 50 }
		}
		forFleet(&config)
		// Executions wait more than they compute: many fit beside each other.
		err := flag.Set("test.parallel", "16")
		if err == nil {
			shared, err = world.Start(ctx, config)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		code := m.Run()
		if err := shared.Close(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return code
	}())
}

// benchmarks says whether the tests are run for their benchmarks, whose times a
// proxy would change.
func benchmarks() bool {
	flag.Parse()
	return flag.Lookup("test.bench").Value.String() != ""
}

// topic is a request for one Topic, to be changed by tests.
type topic struct {
	name        string
	partitions  int
	retention   string // a Topic's partitions cannot shrink again, its retention can
	annotations map[string]string
	targets     []contract.Target
	selectors   []contract.TargetSelector // beside the targets
	apply       *contract.ApplyOptions
	timeout     int  // seconds; 0 means 60
	grace       *int // seconds; nil means the default
	concurrency int
	maxFailures string // JSON
	waves       []contract.Wave
	onFailure   contract.OnFailure
}

func (r topic) request(t testing.TB) string {
	t.Helper()
	if r.timeout == 0 {
		r.timeout = 60
	}
	if r.partitions == 0 {
		r.partitions = 1
	}
	rollout := &contract.RolloutOptions{MaxFailures: json.RawMessage(r.maxFailures), Waves: r.waves, OnFailure: r.onFailure}
	if r.concurrency > 0 {
		rollout.MaxConcurrency = &r.concurrency
	}
	if r.maxFailures == "" {
		rollout.MaxFailures = nil
	}
	object := object(r.name, r.partitions)
	object.SetAnnotations(r.annotations)
	if r.retention != "" {
		object.Object["spec"].(map[string]any)["retention"] = r.retention
	}
	resource, err := object.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	request := contract.Request{Resource: resource, Apply: r.apply, Ready: &contract.ReadyOptions{TimeoutSeconds: &r.timeout, FailureGraceSeconds: r.grace}, Rollout: rollout}
	for _, target := range r.targets {
		request.Targets = append(request.Targets, contract.TargetSelector{Account: target.Account, Region: target.Region, Cluster: target.Cluster})
	}
	request.Targets = append(request.Targets, r.selectors...)
	body, err := json.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func object(name string, partitions int) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "messaging.example.com/v1", "kind": "Topic",
		"metadata": map[string]any{"name": name, "namespace": world.Namespace},
		"spec":     map[string]any{"partitions": int64(partitions)},
	}}
}

var topicResource = schema.GroupVersionResource{Group: "messaging.example.com", Version: "v1", Resource: "topics"}

// topics returns a client of a cluster's Topics with all rights, which does not
// go through AWS.
func topics(t testing.TB, target contract.Target) dynamic.ResourceInterface {
	t.Helper()
	client, err := dynamic.NewForConfig(shared.Cluster(target).AdminConfig())
	if err != nil {
		t.Fatal(err)
	}
	return client.Resource(topicResource).Namespace(world.Namespace)
}

func get(t testing.TB, target contract.Target, name string) *unstructured.Unstructured {
	t.Helper()
	got, err := topics(t, target).Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// waitFor waits until an object exists.
func waitFor(t testing.TB, target contract.Target, name string) {
	t.Helper()
	// Without a version, a watch begins with the objects that exist already.
	watcher, err := topics(t, target).Watch(t.Context(), metav1.ListOptions{FieldSelector: "metadata.name=" + name})
	if err != nil {
		t.Fatal(err)
	}
	defer watcher.Stop()
	if _, open := <-watcher.ResultChan(); !open {
		t.Fatalf("the watch for %s ended before it existed", name)
	}
}

// setReady writes a Topic's status, as its operator would which is Silent.
func setReady(t testing.TB, target contract.Target, name string, condition string) {
	t.Helper()
	topic := get(t, target, name)
	topic.Object["status"] = map[string]any{
		"observedGeneration": topic.GetGeneration(),
		"conditions": []any{map[string]any{
			"type": condition, "status": "True", "reason": "Test", "message": "", "observedGeneration": topic.GetGeneration(),
			"lastTransitionTime": time.Now().UTC().Format(time.RFC3339),
		}},
	}
	if _, err := topics(t, target).UpdateStatus(t.Context(), topic, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func start(t testing.TB, request string) string {
	t.Helper()
	return startNamed(t, "", request)
}

// startNamed starts an execution of that name; Step Functions makes one up where it
// is empty.
func startNamed(t testing.TB, name, request string) string {
	t.Helper()
	in := &sfn.StartExecutionInput{StateMachineArn: aws.String(shared.StateMachineARN), Input: aws.String(request)}
	if name != "" {
		in.Name = aws.String(name)
	}
	out, err := sfn.NewFromConfig(shared.Engineer()).StartExecution(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return aws.ToString(out.ExecutionArn)
}

// retryOf is the request to retry an execution.
func retryOf(arn string) string { return `{"retry": {"execution": "` + arn + `"}}` }

func wait(t testing.TB, arn string) *sfn.DescribeExecutionOutput {
	t.Helper()
	if err := shared.States.Wait(t.Context(), arn); err != nil {
		t.Fatal(err)
	}
	out, err := sfn.NewFromConfig(shared.Engineer()).DescribeExecution(t.Context(), &sfn.DescribeExecutionInput{ExecutionArn: aws.String(arn)})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// rollout runs an execution to its end and returns its answer and, by target,
// its full report.
func rollout(t *testing.T, r topic) (contract.Answer, map[contract.Target]contract.Result) {
	t.Helper()
	answer := answerOf(t, wait(t, start(t, r.request(t))))
	return answer, byTarget(fullReport(t, answer))
}

// answerOf returns the answer of an execution that has ended.
func answerOf(t *testing.T, ended *sfn.DescribeExecutionOutput) contract.Answer {
	t.Helper()
	body := aws.ToString(ended.Output)
	if ended.Status == types.ExecutionStatusFailed {
		if got := aws.ToString(ended.Error); got != "CrossApply.RolloutFailed" {
			t.Fatalf("the execution failed with %s: %s", got, aws.ToString(ended.Cause))
		}
		body = aws.ToString(ended.Cause)
	}
	answer := decodeAnswer(t, body)
	if good := ended.Status == types.ExecutionStatusSucceeded; good != (answer.Status == contract.StatusSucceeded) {
		t.Errorf("the execution is %s, but its answer %s", ended.Status, answer.Status)
	}
	return answer
}

func decodeAnswer(t testing.TB, body string) contract.Answer {
	t.Helper()
	var answer contract.Answer
	decoder := json.NewDecoder(strings.NewReader(body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&answer); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	return answer
}

// reportOn has the report function report on an execution, as a person would.
func reportOn(t *testing.T, arn string) contract.Answer {
	t.Helper()
	out, err := lambda.NewFromConfig(shared.Engineer()).Invoke(t.Context(), &lambda.InvokeInput{
		FunctionName: aws.String("crossapply-report"), Payload: []byte(`{"execution": "` + arn + `"}`)})
	if err != nil {
		t.Fatal(err)
	}
	if out.FunctionError != nil {
		t.Fatalf("report on %s: %s", arn, out.Payload)
	}
	return decodeAnswer(t, string(out.Payload))
}

// fullReport returns every target's result, in the order of the report.
func fullReport(t *testing.T, answer contract.Answer) []contract.Result {
	t.Helper()
	key, ok := strings.CutPrefix(answer.Report, "s3://"+shared.Deployment.Bucket+"/")
	if !ok {
		t.Fatalf("the report lies at %q", answer.Report)
	}
	out, err := s3.NewFromConfig(shared.Engineer()).GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String(shared.Deployment.Bucket), Key: aws.String(key)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = out.Body.Close() }()
	var results []contract.Result
	if err := json.NewDecoder(out.Body).Decode(&results); err != nil {
		t.Fatal(err)
	}
	return results
}

func byTarget(results []contract.Result) map[contract.Target]contract.Result {
	found := map[contract.Target]contract.Result{}
	for _, result := range results {
		found[result.Target] = result
	}
	return found
}

// says shows a result in a test's message; by itself it is shown as its target.
func says(result contract.Result) string {
	return fmt.Sprintf("%s: %s %s, change %s (%s), proof %s: %s",
		result.Target, result.Outcome, result.Error, result.Change, result.ChangeUnknown, result.Proof, result.Message)
}
