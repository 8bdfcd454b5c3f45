package lambda_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/crossapply/crossapply/local/emulator/awsapi"
	"github.com/crossapply/crossapply/local/emulator/awsapi/awsapitest"
	"github.com/crossapply/crossapply/local/emulator/awsapi/iam"
	"github.com/crossapply/crossapply/local/emulator/awsapi/lambda"
)

// answer is what testdata/function returns.
type answer struct {
	Text        string
	PID         int
	Count       int
	RequestID   string
	FunctionARN string
	LeftMillis  int64
	Environment []string
	Caller      string
}

// binaries is where the test function is built; TestMain removes it.
var binaries string

func TestMain(m *testing.M) {
	if binary := os.Getenv(worldProcess); binary != "" {
		fmt.Fprintln(os.Stderr, runWorld(binary, os.Getenv(worldGate)))
		os.Exit(1)
	}
	var err error
	if binaries, err = os.MkdirTemp("", "lambda-test-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(binaries)
	os.Exit(code)
}

// functionBinary builds the test function once per test run.
var functionBinary = sync.OnceValues(func() (string, error) {
	binary := filepath.Join(binaries, "bootstrap")
	command := exec.Command("go", "build", "-tags", "lambda.norpc", "-o", binary, "./testdata/function")
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the test function: %w\n%s", err, out)
	}
	return binary, nil
})

func withFunctions(t *testing.T, functions ...lambda.Function) func(*awsapi.Config) {
	t.Helper()
	binary, err := functionBinary()
	if err != nil {
		t.Fatal(err)
	}
	return func(c *awsapi.Config) {
		for _, f := range functions {
			f.Account, f.RoleARN = awsapitest.Hub, awsapitest.FunctionRole().ARN()
			if f.Binary == "" {
				f.Binary = binary
			}
			c.Functions = append(c.Functions, f)
		}
	}
}

// follow returns the lines with a prefix, and the change that has a server print
// them there.
func follow(prefix string) (<-chan string, func(*awsapi.Config)) {
	printed := make(chan string, 100)
	return printed, func(c *awsapi.Config) {
		c.FollowLogs = func(line lambda.Line) {
			if strings.HasPrefix(line.Text, prefix) {
				printed <- line.Text
			}
		}
	}
}

func event(do, text string) []byte {
	payload, _ := json.Marshal(map[string]string{"do": do, "text": text}) // strings never fail
	return payload
}

func lambdaClient(s *awsapi.Server, u iam.User) *awslambda.Client {
	return awslambda.NewFromConfig(awsapitest.ConfigOf(s, u))
}

func invoke(t *testing.T, c *awslambda.Client, function, do, text string) (*awslambda.InvokeOutput, answer) {
	t.Helper()
	out, err := c.Invoke(context.Background(), &awslambda.InvokeInput{FunctionName: &function, Payload: event(do, text), LogType: types.LogTypeTail})
	if err != nil {
		t.Fatal(err)
	}
	var a answer
	if out.FunctionError == nil {
		if err := json.Unmarshal(out.Payload, &a); err != nil {
			t.Fatalf("%v in %s", err, out.Payload)
		}
	}
	return out, a
}

func TestInvoke(t *testing.T) {
	s := awsapitest.Start(t, withFunctions(t, lambda.Function{Name: "mine", Environment: map[string]string{"COLOUR": "blue"}, Timeout: 10 * time.Second, MemoryMB: 256}))
	c := lambdaClient(s, awsapitest.Guest())
	out, first := invoke(t, c, "mine", "print", "one")
	if out.StatusCode != 200 || *out.ExecutedVersion != "$LATEST" || out.FunctionError != nil || first.Text != "one" || first.RequestID == "" {
		t.Errorf("invocation %+v, %+v", out, first)
	}
	if first.LeftMillis < 5000 || first.LeftMillis > 10000 {
		t.Errorf("%d ms left of 10 s", first.LeftMillis)
	}
	tail, err := base64.StdEncoding.DecodeString(*out.LogResult)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"START RequestId: " + first.RequestID + " Version: $LATEST\n",
		"line of one\n",
		"END RequestId: " + first.RequestID + "\n",
		"Memory Size: 256 MB\t", "\tInit Duration: ",
	} {
		if !strings.Contains(string(tail), want) {
			t.Errorf("no %q in the log tail:\n%s", want, tail)
		}
	}

	for i, name := range []string{"mine:$LATEST", "arn:aws:lambda:eu-west-1:111111111111:function:mine", "111111111111:function:mine"} {
		// The guest may invoke the function itself, not a version of it.
		if i == 0 {
			c = lambdaClient(s, awsapitest.Admin())
		}
		_, again := invoke(t, c, name, "", "")
		if again.PID != first.PID || again.Count != i+2 {
			t.Errorf("%s: process %d, invocation %d; want the warm one %d", name, again.PID, again.Count, first.PID)
		}
	}
	invocations := s.Lambda.Invocations()
	if len(invocations) != 4 || !invocations[0].Cold || invocations[0].Init <= 0 || invocations[1].Cold || invocations[1].Duration <= 0 {
		t.Errorf("records %+v", invocations)
	}
	if s.CallsTo("lambda", "Invoke") != 4 {
		t.Errorf("calls %v", s.Calls())
	}
}

func TestSandboxEnvironment(t *testing.T) {
	t.Setenv("SHELL_SECRET", "of the developer")
	s := awsapitest.Start(t, withFunctions(t, lambda.Function{Name: "mine", Environment: map[string]string{"COLOUR": "blue"}}))
	_, a := invoke(t, lambdaClient(s, awsapitest.Guest()), "mine", "environment", "")
	variables := map[string]string{}
	for _, variable := range a.Environment {
		name, value, _ := strings.Cut(variable, "=")
		variables[name] = value
	}
	for name, want := range map[string]string{
		"COLOUR": "blue", "AWS_REGION": awsapitest.Region, "AWS_LAMBDA_FUNCTION_NAME": "mine", "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128", "AWS_ENDPOINT_URL": s.URL(), "SHELL_SECRET": "", "HOME": "",
	} {
		if variables[name] != want {
			t.Errorf("%s=%q, want %q", name, variables[name], want)
		}
	}
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_LAMBDA_RUNTIME_API", "LAMBDA_TASK_ROOT"} {
		if variables[name] == "" {
			t.Errorf("%s is missing", name)
		}
	}
	_, a = invoke(t, lambdaClient(s, awsapitest.Guest()), "mine", "whoami", "")
	if want := "arn:aws:sts::111111111111:assumed-role/function/mine"; a.Caller != want {
		t.Errorf("the function is %s, want %s", a.Caller, want)
	}
}

func TestFunctionErrors(t *testing.T) {
	s := awsapitest.Start(t, withFunctions(t,
		lambda.Function{Name: "mine", Timeout: 5 * time.Second},
		lambda.Function{Name: "slow", Timeout: time.Second},
		lambda.Function{Name: "broken", Environment: map[string]string{"FAIL_INIT": "exit"}},
		lambda.Function{Name: "unready", Environment: map[string]string{"FAIL_INIT": "report"}},
		lambda.Function{Name: "missing", Binary: "/nowhere/bootstrap"},
	))
	c := lambdaClient(s, awsapitest.Admin())
	tests := []struct {
		function, do, text string
		errorType, message string
		dies               bool
	}{
		{"mine", "error", "it went wrong", "errorString", "it went wrong", false},
		{"mine", "named", "taken by another", "CrossApply.Conflict", "taken by another", false},
		{"mine", "panic", "help", "string", "help", true},
		{"mine", "exit", "", "Runtime.ExitError", "RequestId: %s Error: Runtime exited with error: exit status 1", true},
		{"mine", "large", "", "Function.ResponseSizeTooLarge", "Response payload size exceeded maximum allowed payload size (6291556 bytes).", true},
		{"slow", "sleep", "1h", "Sandbox.Timedout", "RequestId: %s Error: Task timed out after 1.00 seconds", true},
		{"broken", "", "", "Runtime.ExitError", "RequestId: %s Error: Runtime exited with error: exit status 3", true},
		{"unready", "", "", "Init.NoConfig", "no configuration", true},
		{"missing", "", "", "Runtime.InvalidEntrypoint", "RequestId: %s Error: fork/exec /nowhere/bootstrap: no such file or directory", true},
	}
	for _, tt := range tests {
		t.Run(tt.function+" "+tt.do, func(t *testing.T) {
			out, _ := invoke(t, c, tt.function, tt.do, tt.text)
			if out.StatusCode != 200 || aws.ToString(out.FunctionError) != "Unhandled" {
				t.Fatalf("status %d, function error %q, payload %s", out.StatusCode, aws.ToString(out.FunctionError), out.Payload)
			}
			var e struct{ ErrorType, ErrorMessage string }
			if err := json.Unmarshal(out.Payload, &e); err != nil {
				t.Fatal(err)
			}
			want := tt.message
			if strings.Contains(want, "%s") {
				invocations := s.Lambda.Invocations()
				want = fmt.Sprintf(want, invocations[len(invocations)-1].RequestID)
			}
			if e.ErrorType != tt.errorType || e.ErrorMessage != want {
				t.Errorf("%s: %s, want %s: %s", e.ErrorType, e.ErrorMessage, tt.errorType, want)
			}
			if tt.function != "mine" {
				return
			}
			if _, after := invoke(t, c, "mine", "", ""); (after.Count == 1) != tt.dies {
				t.Errorf("the next invocation is number %d of its process", after.Count)
			}
		})
	}
	lines := s.Lambda.Logs().Lines("arn:aws:lambda:eu-west-1:111111111111:function:broken")
	if !slices.ContainsFunc(lines, func(l lambda.Line) bool { return l.Text == "cannot start" }) {
		t.Errorf("the failed start left no log line: %v", lines)
	}
}

func TestConcurrency(t *testing.T) {
	two := 2
	s := awsapitest.Start(t, withFunctions(t, lambda.Function{Name: "mine", Timeout: 20 * time.Second, ReservedConcurrency: &two}))
	c := lambdaClient(s, awsapitest.Admin())
	arrived, release := make(chan struct{}), make(chan struct{})
	gate := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		arrived <- struct{}{}
		<-release
	}))
	defer gate.Close()
	var wg sync.WaitGroup
	answers := make([]answer, 2)
	for i := range answers {
		wg.Go(func() { _, answers[i] = invoke(t, c, "mine", "get", gate.URL) })
	}
	<-arrived
	<-arrived
	_, err := c.Invoke(context.Background(), &awslambda.InvokeInput{FunctionName: aws.String("mine")})
	awsapitest.CheckCode(t, err, "TooManyRequestsException", 429)
	close(release)
	wg.Wait()
	if answers[0].PID == answers[1].PID {
		t.Error("two invocations at a time ran in one process")
	}
	_, after := invoke(t, c, "mine", "", "")
	if after.PID != answers[0].PID && after.PID != answers[1].PID {
		t.Error("no warm process was used")
	}
}

// An invocation that finds no sandbox free waits for one, where a limit is set.
func TestSandboxes(t *testing.T) {
	s := awsapitest.Start(t, withFunctions(t, lambda.Function{Name: "mine", Timeout: 20 * time.Second}), func(c *awsapi.Config) { c.Sandboxes = 2 })
	c := lambdaClient(s, awsapitest.Admin())
	arrived, release := make(chan struct{}, 10), make(chan struct{})
	gate := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		arrived <- struct{}{}
		<-release
	}))
	defer gate.Close()
	var wg sync.WaitGroup
	answers := make([]answer, 5)
	for i := range answers {
		wg.Go(func() { _, answers[i] = invoke(t, c, "mine", "get", gate.URL) })
	}
	<-arrived
	<-arrived
	close(release)
	wg.Wait()
	processes := map[int]bool{}
	for _, a := range answers {
		processes[a.PID] = true
	}
	if len(processes) != 2 {
		t.Errorf("five invocations at a time ran in %d processes, want 2", len(processes))
	}
	for _, i := range s.Lambda.Invocations() {
		if runtime.GOOS == "linux" && (i.Memory < 1<<20 || i.Memory > 1<<30) {
			t.Errorf("an invocation used %d bytes", i.Memory)
		}
	}
}

func TestEventInvocation(t *testing.T) {
	printed, following := follow("line of later")
	s := awsapitest.Start(t, withFunctions(t, lambda.Function{Name: "mine"}), following)
	out, err := lambdaClient(s, awsapitest.Guest()).Invoke(context.Background(), &awslambda.InvokeInput{
		FunctionName: aws.String("mine"), InvocationType: types.InvocationTypeEvent, Payload: event("print", "later"),
	})
	if err != nil || out.StatusCode != 202 {
		t.Fatalf("%+v, %v", out, err)
	}
	<-printed
	out, err = lambdaClient(s, awsapitest.Guest()).Invoke(context.Background(), &awslambda.InvokeInput{FunctionName: aws.String("mine"), InvocationType: types.InvocationTypeDryRun})
	if err != nil || out.StatusCode != 204 {
		t.Errorf("dry run: %+v, %v", out, err)
	}
}

func TestLambdaRefusals(t *testing.T) {
	s := awsapitest.Start(t, withFunctions(t, lambda.Function{Name: "mine"}, lambda.Function{Name: "other"}))
	ctx := context.Background()
	try := func(u iam.User, function string, payload []byte) error {
		_, err := lambdaClient(s, u).Invoke(ctx, &awslambda.InvokeInput{FunctionName: &function, Payload: payload})
		return err
	}
	awsapitest.CheckCode(t, try(awsapitest.Guest(), "other", nil), "AccessDeniedException", 403)
	awsapitest.CheckCode(t, try(awsapitest.Guest(), "none", nil), "AccessDeniedException", 403)
	awsapitest.CheckCode(t, try(awsapitest.Admin(), "none", nil), "ResourceNotFoundException", 404)
	awsapitest.CheckCode(t, try(awsapitest.Admin(), "mine:7", nil), "ResourceNotFoundException", 404)
	awsapitest.CheckCode(t, try(awsapitest.Outsider(), "arn:aws:lambda:eu-west-1:111111111111:function:mine", nil), "AccessDeniedException", 403)
	awsapitest.CheckCode(t, try(awsapitest.Admin(), "mine", []byte("{nonsense")), "InvalidRequestContentException", 400)
	awsapitest.CheckCode(t, try(awsapitest.Admin(), "mine", fmt.Appendf(nil, "%q", strings.Repeat("x", 6<<20))), "RequestTooLargeException", 413)
	_, err := lambdaClient(s, awsapitest.Admin()).DeleteFunction(ctx, &awslambda.DeleteFunctionInput{FunctionName: aws.String("mine")})
	awsapitest.CheckCode(t, err, "UnknownOperationException", 404)

	// The role's trust is checked again when a process starts.
	untrusted := awsapitest.FunctionRole()
	untrusted.Trust = awsapitest.Trust(`{"Service":"states.amazonaws.com"}`, "")
	if err := s.IAM.PutRole(untrusted); err != nil {
		t.Fatal(err)
	}
	awsapitest.CheckCode(t, try(awsapitest.Admin(), "mine", nil), "AccessDeniedException", 403)
	if err := s.Lambda.Put(lambda.Function{Account: awsapitest.Hub, Region: awsapitest.Region, Name: "new", RoleARN: untrusted.ARN()}); err == nil {
		t.Error("a function was accepted whose role does not trust Lambda")
	}
	if err := s.Lambda.Put(lambda.Function{Account: awsapitest.Hub, Region: awsapitest.Region, Name: "new", Environment: map[string]string{"AWS_REGION": "x"}}); err == nil {
		t.Error("a reserved environment variable was accepted")
	}

	list, err := lambdaClient(s, awsapitest.Admin()).ListFunctions(ctx, nil)
	if err != nil || len(list.Functions) != 2 || *list.Functions[0].FunctionName != "mine" {
		t.Errorf("functions %+v, %v", list, err)
	}
	one, err := lambdaClient(s, awsapitest.Admin()).GetFunction(ctx, &awslambda.GetFunctionInput{FunctionName: aws.String("mine")})
	if err != nil || one.Configuration.Runtime != types.RuntimeProvidedal2023 {
		t.Errorf("function %+v, %v", one, err)
	}
}

func TestCloseLeavesNoProcess(t *testing.T) {
	started, following := follow("START ")
	s := awsapitest.Start(t, withFunctions(t, lambda.Function{Name: "mine", Timeout: time.Minute}), following)
	c := lambdaClient(s, awsapitest.Admin())
	_, idle := invoke(t, c, "mine", "", "")
	if err := syscall.Kill(idle.PID, 0); err != nil {
		t.Fatalf("the warm process is gone: %v", err)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := c.Invoke(context.Background(), &awslambda.InvokeInput{FunctionName: aws.String("mine"), Payload: event("sleep", "1h")})
		ended <- err
	}()
	<-started
	<-started
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	<-ended //nolint:errcheck // how it ended does not matter
	if err := syscall.Kill(idle.PID, 0); err == nil {
		t.Error("a process is left")
	}
}

// A process gets its credentials once, when it starts: one that would outlive
// them is replaced.
func TestSandboxesEndBeforeTheirCredentials(t *testing.T) {
	clock := &awsapitest.Clock{}
	s := awsapitest.Start(t, withFunctions(t, lambda.Function{Name: "mine"}), func(c *awsapi.Config) { c.Now = clock.Now })
	pid := func() int {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL()+"/2015-03-31/functions/mine/invocations", strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		// The SDK would sign with the real time.
		response := awsapitest.Send(t, r, awsapitest.Admin(), "lambda", clock.Now())
		var a answer
		if err := json.NewDecoder(response.Body).Decode(&a); err != nil {
			t.Fatal(err)
		}
		return a.PID
	}
	first := pid()
	if again := pid(); again != first {
		t.Errorf("process %d, want the warm one %d", again, first)
	}
	clock.Advance(11*time.Hour + 45*time.Minute)
	if after := pid(); after == first {
		t.Error("the process is used up to the end of its credentials")
	}
}

// worldProcess and worldGate make TestMain be a world of its own, whose function
// gets a URL: for the test below, which kills it.
const (
	worldProcess = "LAMBDA_TEST_WORLD"
	worldGate    = "LAMBDA_TEST_GATE"
)

func TestSandboxesEndWithTheServersProcess(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux ends children when their parent is killed")
	}
	binary, err := functionBinary()
	if err != nil {
		t.Fatal(err)
	}
	arrived, gone := make(chan struct{}), make(chan struct{})
	gate := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done() // the function's connection is closed with its process
		close(gone)
	}))
	defer gate.Close()
	server := exec.Command(os.Args[0])
	// It cannot tidy up, so its temporary files belong to this test.
	server.Env = append(os.Environ(), worldProcess+"="+binary, worldGate+"="+gate.URL, "TMPDIR="+t.TempDir())
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	<-arrived
	if err := server.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = server.Wait() // it was killed
	select {
	case <-gone:
	case <-time.After(20 * time.Second):
		t.Error("the function's process outlives the server's")
	}
}

// runWorld starts a server and has a function get a URL, until it is killed.
func runWorld(binary, url string) error {
	s, err := awsapi.Start(awsapi.Config{
		Region: awsapitest.Region, Accounts: []iam.Account{{ID: awsapitest.Hub}},
		Users: []iam.User{awsapitest.Admin()}, Roles: []iam.Role{awsapitest.FunctionRole()},
		Functions: []lambda.Function{{
			Account: awsapitest.Hub, Name: "mine", Binary: binary, RoleARN: awsapitest.FunctionRole().ARN(), Timeout: time.Minute,
		}},
	})
	if err != nil {
		return err
	}
	out, err := lambdaClient(s, awsapitest.Admin()).Invoke(context.Background(),
		&awslambda.InvokeInput{FunctionName: aws.String("mine"), Payload: event("get", url)})
	if err != nil {
		return err
	}
	return fmt.Errorf("the function returned %s", out.Payload)
}
