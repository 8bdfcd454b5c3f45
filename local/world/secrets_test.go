package world_test

import (
	"encoding/json"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sfn"

	"github.com/crossapply/crossapply/local/operator"
	"github.com/crossapply/crossapply/local/world"
	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/deployment"
	"github.com/crossapply/crossapply/shared/runs"
)

// No secret crosses a state, and none is logged: every event of every execution
// that the tests started, children too, every object in the run bucket, every event
// on the bus and every line of the functions' logs is searched.
func TestNoSecretsAnywhere(t *testing.T) {
	const body = "SECRET-IN-THE-MANIFEST"
	request := topic{name: "secrets", targets: []contract.Target{payments, noRBAC, foreign}, maxFailures: "2",
		annotations: map[string]string{"example.com/note": body, operator.BehaviorAnnotation: string(operator.Converge)}}.request(t)
	wait(t, start(t, strings.Replace(request, "{", `{"idempotencyKey": "secrets",`, 1)))
	token := approved(t)
	history, executions := allHistory(t, shared)
	if executions < 4 {
		t.Fatalf("searched only %d executions and children", executions)
	}
	objects, keys := allObjects(t, shared)
	for _, kind := range []string{
		runs.Claims, runs.Locks, "/" + runs.Request, "/" + runs.Accounts, "/" + runs.Discovered, "/" + runs.Listing, "/" + runs.Plan, "/" + runs.Layout,
		"/" + runs.Resources, "/" + runs.Items, "/" + runs.Results, "/" + runs.Phases, "/" + runs.Journal, "/" + runs.Failed, runs.Reports,
	} {
		if !slices.ContainsFunc(keys, func(key string) bool { return strings.Contains(key, kind) }) {
			t.Errorf("no %s was searched", kind)
		}
	}
	logs := allLogs(shared)
	places := map[string]string{"the history": history, "the run bucket": objects, "the logs": logs, "the event bus": allEvents(t, shared)}
	needles := map[string]string{"k8s-aws-v1.": "a bearer token", "X-Amz-Signature": "a presigned URL"}
	for _, c := range shared.AWS.IAM.Credentials() {
		needles[c.SecretAccessKey] = "a secret key of " + c.Caller.ARN
		if c.SessionToken != "" {
			needles[c.SessionToken] = "a session token of " + c.Caller.ARN
		}
	}
	if len(needles) < 20 {
		t.Fatalf("only %d secrets are known: were none issued?", len(needles))
	}
	for place, text := range places {
		if text == "" {
			t.Fatalf("%s is empty", place)
		}
		for _, what := range found(text, needles) {
			t.Errorf("%s holds %s", place, what)
		}
	}
	// The token of a request for approval says which question an answer is for, so it
	// is where the question is: once in the history, among the parameters of the task that
	// asks, and once on the bus, in the event.
	for place, text := range places {
		want := 0
		if place == "the history" || place == "the event bus" {
			want = 1
		}
		if got := strings.Count(text, token); got != want {
			t.Errorf("%s holds the token of an approval %d times, want %d", place, got, want)
		}
	}
	// The manifest lies in the bucket and in the input that the caller gave, but
	// no function logs it.
	manifest := map[string]string{body: "a manifest's body"}
	if len(found(logs, manifest)) > 0 {
		t.Error("the logs hold a manifest's body")
	}
	if len(found(objects, manifest)) == 0 || len(found(history, manifest)) == 0 {
		t.Error("the search finds nothing")
	}
}

// approved runs a rollout by a selector whose second wave is approved by somebody, and
// returns the token of the task that asked, which its parameters in the history hold.
func approved(t *testing.T) string {
	t.Helper()
	r := phased("approved")
	r.waves[1].Approval = aws.Bool(true)
	arn := startNamed(t, r.name, r.request(t))
	question := approvalOf(t, shared, arn)
	approve(t, shared, question)
	if ended := answerOf(t, wait(t, arn)); ended.Counts[contract.OutcomeReady] != 2 {
		t.Errorf("%+v", ended)
	}
	history, err := sfn.NewFromConfig(shared.Engineer()).GetExecutionHistory(t.Context(), &sfn.GetExecutionHistoryInput{ExecutionArn: aws.String(arn), MaxResults: 1000})
	if err != nil {
		t.Fatal(err)
	}
	for _, event := range history.Events {
		if task := event.TaskScheduledEventDetails; task != nil && strings.Contains(aws.ToString(task.Parameters), question.TaskToken) {
			return question.TaskToken
		}
	}
	t.Error("the task that asks does not hold its token")
	return question.TaskToken
}

// allEvents returns what the buses have taken.
func allEvents(t *testing.T, w *world.World) string {
	t.Helper()
	body, err := json.Marshal(w.AWS.Events.Events())
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// found returns what the needles are that a text holds. There are thousands of
// them, and much text: so each place is looked at once, by a needle's first bytes.
func found(text string, needles map[string]string) []string {
	const first = 8
	byFirst := map[string][]string{}
	for needle := range needles {
		byFirst[needle[:first]] = append(byFirst[needle[:first]], needle)
	}
	var held []string
	for ; len(text) >= first; text = text[1:] {
		for _, needle := range byFirst[text[:first]] {
			if strings.HasPrefix(text, needle) {
				held = append(held, needles[needle])
			}
		}
	}
	return held
}

// allHistory returns the events of all executions and their children, and how
// many there were.
func allHistory(t *testing.T, w *world.World) (string, int) {
	t.Helper()
	var text strings.Builder
	count := 0
	api := sfn.NewFromConfig(w.Engineer())
	var walk func(in *sfn.ListExecutionsInput)
	walk = func(in *sfn.ListExecutionsInput) {
		pages := sfn.NewListExecutionsPaginator(api, in)
		for pages.HasMorePages() {
			page, err := pages.NextPage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, execution := range page.Executions {
				count++
				addHistory(t, api, execution.ExecutionArn, &text)
				if in.MapRunArn != nil {
					continue
				}
				runs, err := api.ListMapRuns(t.Context(), &sfn.ListMapRunsInput{ExecutionArn: execution.ExecutionArn})
				if err != nil {
					t.Fatal(err)
				}
				for _, run := range runs.MapRuns {
					walk(&sfn.ListExecutionsInput{MapRunArn: run.MapRunArn})
				}
			}
		}
	}
	walk(&sfn.ListExecutionsInput{StateMachineArn: aws.String(w.StateMachineARN)})
	return text.String(), count
}

func addHistory(t *testing.T, api *sfn.Client, arn *string, text *strings.Builder) {
	t.Helper()
	pages := sfn.NewGetExecutionHistoryPaginator(api, &sfn.GetExecutionHistoryInput{ExecutionArn: arn, IncludeExecutionData: aws.Bool(true), MaxResults: 1000})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := json.NewEncoder(text).Encode(page.Events); err != nil {
			t.Fatal(err)
		}
	}
}

// allObjects returns the contents of all objects in the run bucket, and their keys.
func allObjects(t *testing.T, w *world.World) (string, []string) {
	t.Helper()
	var text strings.Builder
	var keys []string
	api := s3.NewFromConfig(w.Engineer())
	pages := s3.NewListObjectsV2Paginator(api, &s3.ListObjectsV2Input{Bucket: aws.String(w.Deployment.Bucket)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, object := range page.Contents {
			keys = append(keys, aws.ToString(object.Key))
			out, err := api.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String(w.Deployment.Bucket), Key: object.Key})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(&text, out.Body); err != nil {
				t.Fatal(err)
			}
			_ = out.Body.Close() // read to its end
		}
	}
	return text.String(), keys
}

func allLogs(w *world.World) string {
	var text strings.Builder
	for _, line := range w.AWS.Lambda.Logs().Lines("") {
		text.WriteString(line.Text + "\n")
	}
	return text.String()
}

// Every line that a function logs says which execution, target and stage it is
// about: discover's which account, and those of the functions that work for the whole
// execution no target.
func TestLogLinesCarryTheirSubject(t *testing.T) {
	rollout(t, phased("logged-phases"))
	rollout(t, topic{name: "logged", targets: []contract.Target{payments, missing}, maxFailures: "1"})
	seen := map[string]bool{}
	for _, line := range shared.AWS.Lambda.Logs().Lines("") {
		if !strings.HasPrefix(line.Text, "{") {
			continue // one of Lambda's own: START, END, REPORT
		}
		var fields map[string]any
		if err := json.Unmarshal([]byte(line.Text), &fields); err != nil {
			t.Errorf("%v: %s", err, line.Text)
			continue
		}
		stage, _ := fields["stage"].(string)
		seen[stage] = true
		needs := []string{"timestamp", "level", "message", "stage", "requestId", "execution"}
		switch stage {
		case "plan", "review", "report":
		case "discover":
			needs = append(needs, "account")
		default:
			needs = append(needs, "target")
		}
		for _, key := range needs {
			if fields[key] == nil {
				t.Errorf("no %s in %s", key, line.Text)
			}
		}
	}
	for _, stage := range deployment.FunctionNames() {
		if !seen[stage] {
			t.Errorf("%s logged nothing", stage)
		}
	}
}
