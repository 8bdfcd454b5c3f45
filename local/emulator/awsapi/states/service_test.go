package states_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"
	"github.com/aws/smithy-go"

	"github.com/crossapply/crossapply/local/emulator/asl"
	"github.com/crossapply/crossapply/local/emulator/asl/asltest"
	"github.com/crossapply/crossapply/local/emulator/awsapi"
	"github.com/crossapply/crossapply/local/emulator/awsapi/awsapitest"
	"github.com/crossapply/crossapply/local/emulator/awsapi/iam"
	"github.com/crossapply/crossapply/local/emulator/awsapi/protocol"
	"github.com/crossapply/crossapply/local/emulator/awsapi/states"
)

// world is a Step Functions endpoint on a local AWS where a test plays Lambda.
type world struct {
	*states.Service
	aws    *awsapi.Server
	client *sfn.Client
	lambda http.HandlerFunc
	role   string // of the machines that create makes
}

// machineRole is the role of state machines.
var machineRole = awsapitest.MachineRole().ARN()

func newWorld(t testing.TB, change ...func(*states.Config)) *world {
	t.Helper()
	w := &world{aws: awsapitest.Start(t), role: machineRole}
	c := states.Config{Directory: w.aws.IAM, Endpoint: w.aws.URL, Engine: asltest.Engine(t)}
	for _, f := range change {
		f(&c)
	}
	w.Service = states.New(c)
	t.Cleanup(w.Close)
	w.aws.Mount(w.Service)
	w.aws.Mount(functions{w})
	w.client = w.as(awsapitest.Admin())
	return w
}

// as returns a client with the SDK's usual retries: it may close a connection whose
// server answers before the end of the request's body has been written, and then
// repeats the call.
func (w *world) as(u iam.User) *sfn.Client {
	return sfn.NewFromConfig(w.aws.UserConfig(u, awsapitest.Region))
}

// functions is Lambda, as the test plays it.
type functions struct{ *world }

func (functions) Name() string { return "lambda" }

func (functions) Protocol() protocol.Protocol { return protocol.RESTJSON }

func (f functions) Operation(*http.Request) protocol.Operation {
	return protocol.Operation{Name: "Invoke", Serve: func(w http.ResponseWriter, r *protocol.Request) error {
		f.lambda(w, r.Request)
		return nil
	}}
}

// deny keeps the administrator from an action, beside all that it may do.
func (w *world) deny(t *testing.T, action string) {
	t.Helper()
	u := awsapitest.Admin()
	u.Policies = append(u.Policies, awsapitest.Deny(action, "*"))
	if err := w.aws.IAM.PutUser(u); err != nil {
		t.Fatal(err)
	}
}

func (w *world) create(t testing.TB, name, definition string) string {
	t.Helper()
	out, err := w.client.CreateStateMachine(t.Context(), &sfn.CreateStateMachineInput{
		Name: aws.String(name), RoleArn: &w.role, Definition: aws.String(definition),
	})
	if err != nil {
		t.Fatal(err)
	}
	return *out.StateMachineArn
}

func (w *world) start(t testing.TB, machine, name, input string) string {
	t.Helper()
	out, err := w.client.StartExecution(t.Context(), &sfn.StartExecutionInput{
		StateMachineArn: aws.String(machine), Name: aws.String(name), Input: aws.String(input),
	})
	if err != nil {
		t.Fatal(err)
	}
	return *out.ExecutionArn
}

// wait waits until an execution has ended.
func (w *world) wait(t *testing.T, arn string) *sfn.DescribeExecutionOutput {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := w.Wait(ctx, arn); err != nil {
		t.Fatal(err)
	}
	out, err := w.client.DescribeExecution(t.Context(), &sfn.DescribeExecutionInput{ExecutionArn: aws.String(arn)})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

const (
	pass    = `{"QueryLanguage":"JSONata","StartAt":"P","States":{"P":{"Type":"Pass","Output":{"sum":"{% $states.input.a + 1 %}"},"End":true}}}`
	forever = `{"QueryLanguage":"JSONata","StartAt":"W","States":{"W":{"Type":"Wait","Seconds":86400,"End":true}}}`
	call    = `{"QueryLanguage":"JSONata","StartAt":"T","States":{"T":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke",
		"Arguments":{"FunctionName":"greet","Payload":"{% $states.input %}"},"End":true}}}`
	fleet = `{"QueryLanguage":"JSONata","StartAt":"Map","States":{"Map":{"Type":"Map","Label":"Target",
		"ItemReader":{"Resource":"arn:aws:states:::s3:getObject","ReaderConfig":{"InputType":"JSON"},"Arguments":{"Bucket":"runs","Key":"items.json"}},
		"ResultWriter":{"Resource":"arn:aws:states:::s3:putObject","Arguments":{"Bucket":"runs","Prefix":"out"}},
		"ItemProcessor":{"ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":"STANDARD"},"StartAt":"P","States":{"P":{"Type":"Pass","End":true}}},
		"End":true}}}`
)

func TestStartDescribeHistory(t *testing.T) {
	w := newWorld(t)
	arn := w.start(t, w.create(t, "sum", pass), "one", `{ "a": 41 }`)
	if want := "arn:aws:states:eu-west-1:111111111111:execution:sum:one"; arn != want {
		t.Errorf("execution %s, want %s", arn, want)
	}
	out := w.wait(t, arn)
	if out.Status != types.ExecutionStatusSucceeded || *out.Output != `{"sum":42}` || *out.Input != `{ "a": 41 }` {
		t.Errorf("%s %s %s", out.Status, aws.ToString(out.Output), *out.Input)
	}
	if age := time.Since(*out.StopDate); age < 0 || age > time.Minute {
		t.Errorf("stopped %s ago", age)
	}
	var seen []string
	pages := sfn.NewGetExecutionHistoryPaginator(w.client, &sfn.GetExecutionHistoryInput{ExecutionArn: aws.String(arn), MaxResults: 2})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, ev := range page.Events {
			seen = append(seen, fmt.Sprintf("%d<%d %s", ev.Id, ev.PreviousEventId, ev.Type))
		}
	}
	if got, want := strings.Join(seen, ", "), "1<0 ExecutionStarted, 2<1 PassStateEntered, 3<2 PassStateExited, 4<3 ExecutionSucceeded"; got != want {
		t.Errorf("events %s, want %s", got, want)
	}
	back, err := w.client.GetExecutionHistory(t.Context(), &sfn.GetExecutionHistoryInput{
		ExecutionArn: aws.String(arn), ReverseOrder: true, IncludeExecutionData: aws.Bool(false),
	})
	if err != nil {
		t.Fatal(err)
	}
	if first := back.Events[0]; first.Id != 4 || first.ExecutionSucceededEventDetails.Output != nil {
		t.Errorf("%+v", first)
	}
}

// sleeps is real time that tells when somebody waits.
type sleeps struct {
	asl.SystemClock
	begun chan struct{}
}

func (s sleeps) Sleep(ctx context.Context, d time.Duration) error {
	s.begun <- struct{}{}
	return s.SystemClock.Sleep(ctx, d)
}

// TestReverseHistoryWhileItGrows reads the newest events first while others are
// added: each page begins where the last one ended.
func TestReverseHistoryWhileItGrows(t *testing.T) {
	clock := sleeps{begun: make(chan struct{}, 1)}
	w := newWorld(t, func(c *states.Config) { c.Clock = clock })
	arn := w.start(t, w.create(t, "m", forever), "n", `{}`)
	<-clock.begun // now it has two events: started, and waiting
	var seen []int64
	pages := sfn.NewGetExecutionHistoryPaginator(w.client, &sfn.GetExecutionHistoryInput{
		ExecutionArn: aws.String(arn), MaxResults: 1, ReverseOrder: true,
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, ev := range page.Events {
			seen = append(seen, ev.Id)
		}
		if _, err := w.client.StopExecution(t.Context(), &sfn.StopExecutionInput{ExecutionArn: aws.String(arn)}); err != nil {
			t.Fatal(err)
		}
	}
	if want := []int64{2, 1}; !slices.Equal(seen, want) {
		t.Errorf("events %d, want %d", seen, want)
	}
}

// TestDeletionEndsExecutions deletes a machine while its function runs.
func TestDeletionEndsExecutions(t *testing.T) {
	w := newWorld(t)
	running, answer := make(chan struct{}), make(chan struct{})
	w.lambda = func(rw http.ResponseWriter, _ *http.Request) {
		close(running)
		<-answer
		_, _ = io.WriteString(rw, "{}")
	}
	machine := w.create(t, "m", `{"QueryLanguage":"JSONata","StartAt":"T","States":{"T":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke",
		"Arguments":{"FunctionName":"f"},"Next":"Z"},"Z":{"Type":"Succeed"}}}`)
	arn := w.start(t, machine, "n", `{}`)
	<-running
	if _, err := w.client.DeleteStateMachine(t.Context(), &sfn.DeleteStateMachineInput{StateMachineArn: &machine}); err != nil {
		t.Fatal(err)
	}
	close(answer)
	if out := w.wait(t, arn); out.Status != types.ExecutionStatusAborted {
		t.Errorf("%s %s", out.Status, aws.ToString(out.Output))
	}
	history, err := w.client.GetExecutionHistory(t.Context(), &sfn.GetExecutionHistoryInput{ExecutionArn: aws.String(arn)})
	if err != nil {
		t.Fatal(err)
	}
	var entered int
	for _, ev := range history.Events {
		if ev.StateEnteredEventDetails != nil {
			entered++
		}
	}
	if entered != 1 {
		t.Errorf("%d states entered, want the first only", entered)
	}
}

// TestInvokeArguments sends names that only look like those of the Arguments.
func TestInvokeArguments(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"payload", "functionName", "Colour"} {
		machine := w.create(t, "with-"+name, `{"QueryLanguage":"JSONata","StartAt":"T","States":{"T":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke",
			"Arguments":{"FunctionName":"f","`+name+`":"x"},"End":true}}}`)
		out := w.wait(t, w.start(t, machine, "n", `{}`))
		if aws.ToString(out.Error) != "States.Runtime" || !strings.Contains(aws.ToString(out.Cause), name) {
			t.Errorf("%s: %s %s %s", name, out.Status, aws.ToString(out.Error), aws.ToString(out.Cause))
		}
	}
}

func TestRedriveFilter(t *testing.T) {
	w := newWorld(t)
	machine := w.create(t, "m", pass)
	w.wait(t, w.start(t, machine, "n", `{"a":1}`))
	for filter, want := range map[types.ExecutionRedriveFilter]int{"": 1, types.ExecutionRedriveFilterNotRedriven: 1, types.ExecutionRedriveFilterRedriven: 0} {
		out, err := w.client.ListExecutions(t.Context(), &sfn.ListExecutionsInput{StateMachineArn: &machine, RedriveFilter: filter})
		if err != nil || len(out.Executions) != want {
			t.Errorf("%q: %d executions, %v", filter, len(out.Executions), err)
		}
	}
}

func TestStartIsIdempotentWhileOpen(t *testing.T) {
	w := newWorld(t)
	machine := w.create(t, "m", forever)
	first := w.start(t, machine, "n", `{"a":1}`)
	if again := w.start(t, machine, "n", `{"a":1}`); again != first {
		t.Errorf("%s, want %s", again, first)
	}
	start := func(input string) error {
		_, err := w.client.StartExecution(t.Context(), &sfn.StartExecutionInput{
			StateMachineArn: aws.String(machine), Name: aws.String("n"), Input: aws.String(input),
		})
		return err
	}
	var exists *types.ExecutionAlreadyExists
	if err := start(`{"a":2}`); !errors.As(err, &exists) {
		t.Errorf("other input: %v", err)
	}
	if _, err := w.client.StopExecution(t.Context(), &sfn.StopExecutionInput{
		ExecutionArn: aws.String(first), Error: aws.String("Enough"), Cause: aws.String("really"),
	}); err != nil {
		t.Fatal(err)
	}
	out := w.wait(t, first)
	if out.Status != types.ExecutionStatusAborted || *out.Error != "Enough" || *out.Cause != "really" {
		t.Errorf("%s %s", out.Status, aws.ToString(out.Error))
	}
	if err := start(`{"a":1}`); !errors.As(err, &exists) {
		t.Errorf("after the end: %v", err)
	}
}

func TestErrors(t *testing.T) {
	w := newWorld(t)
	machine := w.create(t, "m", pass)
	w.deny(t, "states:ListExecutions")
	startWith := func(name, input string) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := w.client.StartExecution(ctx, &sfn.StartExecutionInput{StateMachineArn: &machine, Name: &name, Input: &input})
			return err
		}
	}
	createWith := func(name, roleARN, definition string) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := w.client.CreateStateMachine(ctx, &sfn.CreateStateMachineInput{Name: &name, RoleArn: &roleARN, Definition: &definition})
			return err
		}
	}
	for _, tc := range []struct {
		name, code, text string
		do               func(context.Context) error
	}{
		{"bad input", "InvalidExecutionInput", "JSON", startWith("x", "{")},
		{"input of a number that no double holds", "InvalidExecutionInput", "1e400", startWith("x", `{"a":[1e400]}`)},
		{"large input", "ValidationException", "262144", startWith("x", `"`+strings.Repeat("x", 262144)+`"`)},
		{"bad name", "InvalidName", "a b", startWith("a b", "{}")},
		{"colon", "InvalidName", "a:b", startWith("a:b", "{}")},
		{"long name", "ValidationException", "80", startWith(strings.Repeat("x", 81), "{}")},
		{"no machine", "StateMachineDoesNotExist", "none", func(ctx context.Context) error {
			_, err := w.client.StartExecution(ctx, &sfn.StartExecutionInput{StateMachineArn: aws.String(strings.Replace(machine, ":m", ":none", 1))})
			return err
		}},
		{"bad arn", "InvalidArn", "nonsense", func(ctx context.Context) error {
			_, err := w.client.DescribeExecution(ctx, &sfn.DescribeExecutionInput{ExecutionArn: aws.String("nonsense")})
			return err
		}},
		{"no execution", "ExecutionDoesNotExist", "none", func(ctx context.Context) error {
			_, err := w.client.GetExecutionHistory(ctx, &sfn.GetExecutionHistoryInput{ExecutionArn: aws.String("arn:aws:states:eu-west-1:111111111111:execution:m:none")})
			return err
		}},
		{"bad token", "InvalidToken", "", func(ctx context.Context) error {
			_, err := w.client.ListStateMachines(ctx, &sfn.ListStateMachinesInput{NextToken: aws.String("zzz")})
			return err
		}},
		{"denied", "AccessDeniedException", "not authorized to perform: states:ListExecutions", func(ctx context.Context) error {
			_, err := w.client.ListExecutions(ctx, &sfn.ListExecutionsInput{StateMachineArn: &machine})
			return err
		}},
		{"not a definition", "InvalidDefinition", "INVALID_JSON_DESCRIPTION", createWith("d", machineRole, "{")},
		{"JSONPath", "InvalidDefinition", "JSONPath", createWith("d", machineRole, `{"StartAt":"P","States":{"P":{"Type":"Pass","End":true}}}`)},
		{"untrusted role", "AccessDeniedException", "authorized to assume the provided role", createWith("d", awsapitest.FunctionRole().ARN(), pass)},
		{"same name", "StateMachineAlreadyExists", "m", createWith("m", machineRole, forever)},
		{"same name with other logging", "StateMachineAlreadyExists", "m", func(ctx context.Context) error {
			_, err := w.client.CreateStateMachine(ctx, &sfn.CreateStateMachineInput{Name: aws.String("m"), RoleArn: &machineRole, Definition: aws.String(pass),
				LoggingConfiguration: &types.LoggingConfiguration{Level: types.LogLevelAll}})
			return err
		}},
		{"version on creation", "ValidationException", "publish", func(ctx context.Context) error {
			_, err := w.client.CreateStateMachine(ctx, &sfn.CreateStateMachineInput{Name: aws.String("v"), RoleArn: &machineRole, Definition: aws.String(pass), Publish: true})
			return err
		}},
		{"version on update", "ValidationException", "publish", func(ctx context.Context) error {
			_, err := w.client.UpdateStateMachine(ctx, &sfn.UpdateStateMachineInput{StateMachineArn: &machine, Definition: aws.String(forever), Publish: true})
			return err
		}},
		{"own keys", "ValidationException", "encryptionConfiguration", func(ctx context.Context) error {
			_, err := w.client.CreateStateMachine(ctx, &sfn.CreateStateMachineInput{Name: aws.String("v"), RoleArn: &machineRole, Definition: aws.String(pass),
				EncryptionConfiguration: &types.EncryptionConfiguration{Type: types.EncryptionTypeCustomerManagedKmsKey, KmsKeyId: aws.String("k")}})
			return err
		}},
		{"version", "UnknownOperationException", "PublishStateMachineVersion", func(ctx context.Context) error {
			_, err := w.client.PublishStateMachineVersion(ctx, &sfn.PublishStateMachineVersionInput{StateMachineArn: &machine})
			return err
		}},
		{"alias", "UnknownOperationException", "CreateStateMachineAlias", func(ctx context.Context) error {
			_, err := w.client.CreateStateMachineAlias(ctx, &sfn.CreateStateMachineAliasInput{Name: aws.String("a"),
				RoutingConfiguration: []types.RoutingConfigurationListItem{{StateMachineVersionArn: aws.String(machine + ":1"), Weight: 100}}})
			return err
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := tc.do(t.Context())
			var api smithy.APIError
			if !errors.As(err, &api) || api.ErrorCode() != tc.code || !strings.Contains(api.ErrorMessage(), tc.text) {
				t.Errorf("got %v, want %s with %q", err, tc.code, tc.text)
			}
		})
	}
}

func TestMachines(t *testing.T) {
	w := newWorld(t)
	arn := w.create(t, "m", pass)
	if again := w.create(t, "m", pass); again != arn {
		t.Errorf("created again as %s", again)
	}
	if again, err := w.client.CreateStateMachine(t.Context(), &sfn.CreateStateMachineInput{
		Name: aws.String("m"), RoleArn: &machineRole, Definition: aws.String(pass), Tags: []types.Tag{{Key: aws.String("new"), Value: aws.String("v")}},
	}); err != nil || *again.StateMachineArn != arn {
		t.Errorf("created again with tags: %v", err)
	}
	update, err := w.client.UpdateStateMachine(t.Context(), &sfn.UpdateStateMachineInput{StateMachineArn: &arn, Definition: aws.String(forever)})
	if err != nil {
		t.Fatal(err)
	}
	out, err := w.client.DescribeStateMachine(t.Context(), &sfn.DescribeStateMachineInput{StateMachineArn: &arn})
	if err != nil || *out.Definition != forever || *out.RoleArn != machineRole || *out.RevisionId != *update.RevisionId {
		t.Errorf("%+v, %v", out, err)
	}
	list, err := w.client.ListStateMachines(t.Context(), &sfn.ListStateMachinesInput{})
	if err != nil || len(list.StateMachines) != 1 || *list.StateMachines[0].Name != "m" {
		t.Errorf("%+v, %v", list, err)
	}
	if _, err := w.client.TagResource(t.Context(), &sfn.TagResourceInput{ResourceArn: &arn, Tags: []types.Tag{{Key: aws.String("k"), Value: aws.String("v")}}}); err != nil {
		t.Fatal(err)
	}
	tags, err := w.client.ListTagsForResource(t.Context(), &sfn.ListTagsForResourceInput{ResourceArn: &arn})
	if err != nil || len(tags.Tags) != 1 || *tags.Tags[0].Value != "v" {
		t.Errorf("%+v, %v", tags, err)
	}
	valid, err := w.client.ValidateStateMachineDefinition(t.Context(), &sfn.ValidateStateMachineDefinitionInput{
		Definition: aws.String(`{"QueryLanguage":"JSONata","StartAt":"P","States":{"P":{"Type":"Pass","Color":"red","End":true}}}`),
	})
	if err != nil || valid.Result != types.ValidateStateMachineDefinitionResultCodeFail || *valid.Diagnostics[0].Code != "SCHEMA_VALIDATION_FAILED" || *valid.Diagnostics[0].Location != "/States/P" {
		t.Errorf("%+v, %v", valid, err)
	}
	if _, err := w.client.DeleteStateMachine(t.Context(), &sfn.DeleteStateMachineInput{StateMachineArn: &arn}); err != nil {
		t.Error(err)
	}
	var gone *types.StateMachineDoesNotExist
	if _, err := w.client.DescribeStateMachine(t.Context(), &sfn.DescribeStateMachineInput{StateMachineArn: &arn}); !errors.As(err, &gone) {
		t.Errorf("after the deletion: %v", err)
	}
}

func TestInvoke(t *testing.T) {
	for _, tc := range []struct {
		name, wantError, wantCause string
		lambda                     http.HandlerFunc
	}{
		{"success", "", "", func(rw http.ResponseWriter, r *http.Request) {
			rw.Header().Set("X-Amz-Executed-Version", "$LATEST")
			_, _ = io.Copy(rw, r.Body)
		}},
		{"function error", "CrossApply.Invalid", `{"errorType":"CrossApply.Invalid","errorMessage":"<no>"}`, func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("X-Amz-Function-Error", "Unhandled")
			_, _ = io.WriteString(rw, `{"errorType":"CrossApply.Invalid","errorMessage":"<no>"}`)
		}},
		{"error without a type", "Lambda.Unknown", "did not return an error type", func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("X-Amz-Function-Error", "Unhandled")
			_, _ = io.WriteString(rw, `{"errorMessage":"Task timed out after 3.00 seconds"}`)
		}},
		{"throttled", "Lambda.TooManyRequestsException", "Rate Exceeded.", lambdaFailure(429, "TooManyRequestsException", "Rate Exceeded.")},
		{"service", "Lambda.ServiceException", "oh", lambdaFailure(500, "ServiceException", "oh")},
		{"missing", "Lambda.ResourceNotFoundException", "Function not found", lambdaFailure(404, "ResourceNotFoundException", "Function not found")},
		{"denied", "Lambda.AWSLambdaException", "not authorized", lambdaFailure(403, "AccessDeniedException", "not authorized")},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			w.lambda = tc.lambda
			out := w.wait(t, w.start(t, w.create(t, "call", call), "x", `{"who":"<you>"}`))
			if aws.ToString(out.Error) != tc.wantError || !strings.Contains(aws.ToString(out.Cause), tc.wantCause) {
				t.Errorf("%s: %s, want %s: %s", aws.ToString(out.Error), aws.ToString(out.Cause), tc.wantError, tc.wantCause)
			}
			if tc.wantError != "" {
				return
			}
			var result struct {
				ExecutedVersion string
				Payload         json.RawMessage
				StatusCode      int
				SdkHttpMetadata struct{ HttpStatusCode int } //nolint:revive // Step Functions' spelling
			}
			if err := json.Unmarshal([]byte(*out.Output), &result); err != nil {
				t.Fatal(err)
			}
			if string(result.Payload) != `{"who":"<you>"}` || result.StatusCode != http.StatusOK || result.ExecutedVersion != "$LATEST" || result.SdkHttpMetadata.HttpStatusCode != http.StatusOK {
				t.Errorf("%s", *out.Output)
			}
		})
	}
}

func lambdaFailure(status int, code, message string) http.HandlerFunc {
	return func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("X-Amzn-Errortype", code)
		rw.WriteHeader(status)
		_ = json.NewEncoder(rw).Encode(map[string]string{"Message": message})
	}
}

func (w *world) putItems(t *testing.T, n int) {
	t.Helper()
	items := make([]int, n)
	for i := range items {
		items[i] = i
	}
	body, _ := json.Marshal(items) // numbers never fail
	_, err := s3.NewFromConfig(awsapitest.ConfigOf(w.aws, awsapitest.Admin())).PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: aws.String("runs"), Key: aws.String("items.json"), Body: bytes.NewReader(body),
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestMapRuns(t *testing.T) {
	const n = 250
	w := newWorld(t)
	w.putItems(t, n)
	arn := w.start(t, w.create(t, "fleet", fleet), "x", `{}`)
	if out := w.wait(t, arn); out.Status != types.ExecutionStatusSucceeded {
		t.Fatalf("%s %s %s", out.Status, aws.ToString(out.Error), aws.ToString(out.Cause))
	}
	runs, err := w.client.ListMapRuns(t.Context(), &sfn.ListMapRunsInput{ExecutionArn: &arn})
	if err != nil || len(runs.MapRuns) != 1 {
		t.Fatalf("%+v, %v", runs, err)
	}
	run, err := w.client.DescribeMapRun(t.Context(), &sfn.DescribeMapRunInput{MapRunArn: runs.MapRuns[0].MapRunArn})
	if err != nil || run.Status != types.MapRunStatusSucceeded || run.ItemCounts.Succeeded != n || run.ExecutionCounts.ResultsWritten != n {
		t.Errorf("%+v, %v", run, err)
	}
	names := map[string]bool{}
	var child types.ExecutionListItem
	pages := sfn.NewListExecutionsPaginator(w.client, &sfn.ListExecutionsInput{MapRunArn: run.MapRunArn, StatusFilter: types.ExecutionStatusSucceeded})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, child = range page.Executions {
			names[*child.Name] = true
		}
	}
	if len(names) != n {
		t.Errorf("%d children", len(names))
	}
	described, err := w.client.DescribeExecution(t.Context(), &sfn.DescribeExecutionInput{ExecutionArn: child.ExecutionArn})
	if err != nil || *described.MapRunArn != *run.MapRunArn || !strings.HasPrefix(*child.ExecutionArn, "arn:aws:states:eu-west-1:111111111111:execution:fleet/Target:") {
		t.Errorf("%+v, %v", described, err)
	}
	machine, err := w.client.DescribeStateMachineForExecution(t.Context(), &sfn.DescribeStateMachineForExecutionInput{ExecutionArn: child.ExecutionArn})
	if err != nil || *machine.Label != "Target" || !strings.Contains(*machine.Definition, "DISTRIBUTED") {
		t.Errorf("%+v, %v", machine, err)
	}
	list, err := w.client.ListExecutions(t.Context(), &sfn.ListExecutionsInput{StateMachineArn: aws.String("arn:aws:states:eu-west-1:111111111111:stateMachine:fleet")})
	if err != nil || len(list.Executions) != 1 {
		t.Errorf("%+v, %v", list, err)
	}
}

func TestMapNeedsStartExecution(t *testing.T) {
	w := newWorld(t)
	w.putItems(t, 1)
	without := awsapitest.MachineRole()
	without.Policies = without.Policies[:1]
	if err := w.aws.IAM.PutRole(without); err != nil {
		t.Fatal(err)
	}
	out := w.wait(t, w.start(t, w.create(t, "fleet", fleet), "x", `{}`))
	if out.Status != types.ExecutionStatusFailed || !strings.Contains(*out.Cause, "not authorized to perform: states:StartExecution") {
		t.Errorf("%s %s %s", out.Status, aws.ToString(out.Error), aws.ToString(out.Cause))
	}
}

func TestMapReaderFailure(t *testing.T) {
	w := newWorld(t)
	out := w.wait(t, w.start(t, w.create(t, "fleet", fleet), "x", `{}`))
	if aws.ToString(out.Error) != "States.ItemReaderFailed" || !strings.Contains(*out.Cause, "NoSuchKey") {
		t.Errorf("%s %s %s", out.Status, aws.ToString(out.Error), aws.ToString(out.Cause))
	}
}

// TestCloseStopsExecutions passes when the cleanup of the world ends: the
// execution would wait for a day.
func TestCloseStopsExecutions(t *testing.T) {
	w := newWorld(t)
	w.start(t, w.create(t, "m", forever), "x", `{}`)
}

func TestUnknownTarget(t *testing.T) {
	w := newWorld(t)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.aws.URL(), strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Amz-Target", "SomethingElse.Do")
	res := awsapitest.Send(t, req, awsapitest.Admin(), "states", time.Now())
	body, _ := io.ReadAll(res.Body)
	if res.StatusCode != http.StatusBadRequest || !strings.Contains(string(body), "UnknownOperationException") {
		t.Errorf("%d %s", res.StatusCode, body)
	}
}

func TestPassRole(t *testing.T) {
	w := newWorld(t)
	create := func(name, service string) error {
		u := iam.User{Account: awsapitest.Hub, Name: name, AccessKeyID: "AKIAPASSER" + strings.ToUpper(name), SecretAccessKey: "s"}
		u.Policies = []string{
			awsapitest.Allow("states:*", "*"),
			`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"iam:PassRole","Resource":"*",
				"Condition":{"StringEquals":{"iam:PassedToService":"` + service + `"}}}}`,
		}
		if err := w.aws.IAM.PutUser(u); err != nil {
			t.Fatal(err)
		}
		_, err := w.as(u).CreateStateMachine(t.Context(), &sfn.CreateStateMachineInput{Name: &name, RoleArn: &machineRole, Definition: aws.String(pass)})
		return err
	}
	if err := create("deployer", "states.amazonaws.com"); err != nil {
		t.Error(err)
	}
	awsapitest.CheckCode(t, create("builder", "codebuild.amazonaws.com"), "AccessDeniedException", 400)
}
