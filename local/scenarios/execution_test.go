package scenarios

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"
	"sigs.k8s.io/yaml"

	"github.com/crossapply/crossapply/local/emulator/awsapi/events"
	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/deployment"
	"github.com/crossapply/crossapply/shared/fault"
)

var executionCommands = map[string]command{
	"start":    {"[-nowait] <request>", 1, 2, true, startExecution},
	"ended":    {"", 0, 0, true, func(ctx context.Context, s *script, not bool, _ []string) error { return s.wait(ctx, not) }},
	"error":    {"<name> [<text>]", 1, 2, false, hasError},
	"answer":   {"<file>", 1, 1, false, hasAnswer},
	"outcomes": {"<file>", 1, 1, false, hasOutcomes},
	"results":  {"<file>", 1, 1, false, hasResults},
	"route":    {"[-target <cluster>] <file>", 1, 3, false, hasRoute},
	"events":   {"<file>", 1, 1, false, hasEvents},
	"report":   {"", 0, 0, false, func(ctx context.Context, s *script, _ bool, _ []string) error { return s.ask(ctx) }},
}

func stepFunctions() *sfn.Client { return sfn.NewFromConfig(shared.Engineer()) }

// next is the name of the next execution.
func (s *script) next() string { return fmt.Sprintf("%s-%d", s.topic, s.executions+1) }

func startExecution(ctx context.Context, s *script, not bool, args []string) error {
	request, err := s.yaml(args[len(args)-1]) // JSON is YAML
	if err != nil {
		return err
	}
	body, err := json.Marshal(request)
	if err != nil {
		return err
	}
	if err := s.mark(); err != nil {
		return err
	}
	name := s.next()
	s.killed = faults.of(name)
	out, err := stepFunctions().StartExecution(ctx, &sfn.StartExecutionInput{
		StateMachineArn: aws.String(shared.StateMachineARN), Name: &name, Input: aws.String(string(body)),
	})
	if err != nil {
		return err
	}
	s.executions++
	s.arn, s.ended, s.answer, s.report = aws.ToString(out.ExecutionArn), nil, nil, nil
	s.ts.Setenv("EXECUTION", s.arn)
	s.ts.Setenv("EXECUTION_"+strconv.Itoa(s.executions), s.arn)
	if args[0] == "-nowait" {
		return nil
	}
	return s.wait(ctx, not)
}

// wait waits for the end of the execution, which must be a success or, with fails, not.
func (s *script) wait(ctx context.Context, fails bool) (err error) {
	if err := shared.States.Wait(ctx, s.arn); err != nil {
		return err
	}
	if s.ended, err = stepFunctions().DescribeExecution(ctx, &sfn.DescribeExecutionInput{ExecutionArn: &s.arn}); err != nil {
		return err
	}
	body := aws.ToString(s.ended.Output)
	if aws.ToString(s.ended.Error) == string(fault.RolloutFailed) {
		body = aws.ToString(s.ended.Cause)
	}
	if body != "" {
		if err := s.read(ctx, body); err != nil {
			return err
		}
	}
	if (s.ended.Status != types.ExecutionStatusSucceeded) != fails {
		return fmt.Errorf("the execution is %s: %s %s%s", s.ended.Status, aws.ToString(s.ended.Error), aws.ToString(s.ended.Cause), body)
	}
	if s.answer != nil && s.answer["execution"] == s.arn {
		if err := s.honest(); err != nil {
			return err
		}
	}
	for _, k := range s.killed {
		if !k.happened() {
			return fmt.Errorf("%s was not called %s %s", k.function, k.when(), k.operation)
		}
	}
	return nil
}

// read reads an answer, and the report that it names.
func (s *script) read(ctx context.Context, body string) error {
	if err := strictly(body, new(contract.Answer)); err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(body), &s.answer); err != nil {
		return err
	}
	s.ts.Logf("%v", s.answer["message"])
	location, _ := s.answer["report"].(string)
	key, ok := strings.CutPrefix(location, "s3://"+shared.Deployment.Bucket+"/")
	if !ok {
		return fmt.Errorf("the report lies at %q", location)
	}
	object, err := s3.NewFromConfig(shared.Engineer()).GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String(shared.Deployment.Bucket), Key: &key})
	if err != nil {
		return err
	}
	defer func() { _ = object.Body.Close() }()
	report, err := io.ReadAll(object.Body)
	if err != nil {
		return err
	}
	if err := strictly(string(report), new([]contract.Result)); err != nil {
		return err
	}
	s.report = nil
	return yaml.Unmarshal(report, &s.report)
}

// strictly decodes what documents all of its fields.
func strictly(body string, value any) error {
	decoder := json.NewDecoder(strings.NewReader(body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(value); err != nil {
		return fmt.Errorf("%w: %s", err, body)
	}
	return nil
}

// ask has the report function report on the execution.
func (s *script) ask(ctx context.Context) error {
	out, err := lambda.NewFromConfig(shared.Engineer()).Invoke(ctx, &lambda.InvokeInput{
		FunctionName: aws.String(deployment.Name + "-report"), Payload: []byte(`{"execution": "` + s.arn + `"}`)})
	if err != nil {
		return err
	}
	if out.FunctionError != nil {
		return errors.New(string(out.Payload))
	}
	return s.read(ctx, string(out.Payload))
}

func hasError(_ context.Context, s *script, _ bool, args []string) error {
	if s.ended == nil {
		return errors.New("the execution was not waited for")
	}
	name, cause := aws.ToString(s.ended.Error), aws.ToString(s.ended.Cause)
	if name != args[0] {
		return fmt.Errorf("the error is %s: %s", name, cause)
	}
	if len(args) > 1 {
		var function struct {
			Message string `json:"errorMessage"`
		}
		if json.Unmarshal([]byte(cause), &function) == nil {
			cause = function.Message
		}
		return fit("the cause", cause, "~"+args[1])
	}
	return nil
}

func hasAnswer(_ context.Context, s *script, _ bool, args []string) error {
	want, err := s.yaml(args[0])
	if err != nil {
		return err
	}
	return fits(decoded(s.answer), want)
}

// decoded is a value as package yaml decodes it.
func decoded(value any) (same any) {
	body, err := json.Marshal(value)
	if err == nil {
		err = yaml.Unmarshal(body, &same)
	}
	if err != nil {
		panic(err) // it came from JSON
	}
	return same
}

// target is a result's name, see [named].
func target(result map[string]any) string {
	account, _ := result["account"].(string)
	name, _ := result["cluster"].(string)
	return named(contract.Target{Account: account, Cluster: name})
}

func hasOutcomes(_ context.Context, s *script, _ bool, args []string) error {
	want := s.lines(args[0])
	used := make([]bool, len(want))
	for _, result := range s.report {
		got := fmt.Sprintf("%s %v %v", target(result), result["outcome"], or(result["error"], ""))
		i := slices.IndexFunc(want, func(line string) bool {
			fits, err := path.Match(strings.Fields(line)[0], target(result))
			return fits && err == nil
		})
		if i < 0 {
			return fmt.Errorf("%s: not expected: %v", got, result["message"])
		}
		used[i] = true
		if expected := strings.Fields(want[i]); !slices.Equal(expected[1:], strings.Fields(got)[1:]) {
			return fmt.Errorf("%s, want %s: %v", got, want[i], result["message"])
		}
	}
	if i := slices.Index(used, false); i >= 0 {
		return fmt.Errorf("the report has no target for %q", want[i])
	}
	return nil
}

func or(value, otherwise any) any {
	if value == nil {
		return otherwise
	}
	return value
}

func hasResults(_ context.Context, s *script, _ bool, args []string) error {
	want, err := s.yaml(args[0])
	if err != nil {
		return err
	}
	got := map[string]any{}
	for _, result := range s.report {
		got[target(result)] = decoded(result)
	}
	return fits(got, want)
}

func hasRoute(ctx context.Context, s *script, _ bool, args []string) error {
	entered, err := statesOf(ctx, s.arn)
	if args[0] == "-target" {
		entered, err = statesOfTarget(ctx, s.arn, args[1])
	}
	if err != nil {
		return err
	}
	if want := s.lines(args[len(args)-1]); !slices.Equal(entered, want) {
		return fmt.Errorf("it entered\n%s", strings.Join(entered, "\n"))
	}
	return nil
}

func statesOf(ctx context.Context, arn string) (entered []string, err error) {
	pages := sfn.NewGetExecutionHistoryPaginator(stepFunctions(), &sfn.GetExecutionHistoryInput{ExecutionArn: &arn, MaxResults: 1000})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, event := range page.Events {
			if event.StateEnteredEventDetails != nil {
				entered = append(entered, aws.ToString(event.StateEnteredEventDetails.Name))
			}
		}
	}
	return entered, nil
}

// statesOfTarget returns the states of all children for a target, in the order of the
// phases.
func statesOfTarget(ctx context.Context, arn, cluster string) (entered []string, err error) {
	runs, err := stepFunctions().ListMapRuns(ctx, &sfn.ListMapRunsInput{ExecutionArn: &arn})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(runs.MapRuns, func(a, b types.MapRunListItem) int { return a.StartDate.Compare(*b.StartDate) })
	for _, run := range runs.MapRuns {
		children, err := stepFunctions().ListExecutions(ctx, &sfn.ListExecutionsInput{MapRunArn: run.MapRunArn, MaxResults: 1000})
		if err != nil {
			return nil, err
		}
		for _, child := range children.Executions {
			described, err := stepFunctions().DescribeExecution(ctx, &sfn.DescribeExecutionInput{ExecutionArn: child.ExecutionArn})
			if err != nil {
				return nil, err
			}
			var input struct{ Target contract.Target }
			if err := json.Unmarshal([]byte(aws.ToString(described.Input)), &input); err != nil {
				return nil, err
			}
			if input.Target.Cluster != cluster {
				continue
			}
			states, err := statesOf(ctx, aws.ToString(child.ExecutionArn))
			if err != nil {
				return nil, err
			}
			entered = append(entered, states...)
		}
	}
	return entered, nil
}

// eventDetail is what all events of executions have, and what commands look for.
type eventDetail struct {
	Execution string
	TaskToken string
	Phase     struct {
		Name string
		Kind contract.PhaseKind
	}
}

// detail reads an event. Those of others read as the zero value.
func detail(event events.Event) (d eventDetail) {
	if event.Source == deployment.EventSource {
		_ = json.Unmarshal(event.Detail, &d) // an object without our fields is none of ours
	}
	return d
}

// kindOf is an event's type without the word that all begin with.
func kindOf(event events.Event) string { return strings.TrimPrefix(event.DetailType, "crossapply ") }

func hasEvents(_ context.Context, s *script, _ bool, args []string) error {
	want, err := s.yaml(args[0])
	if err != nil {
		return err
	}
	got := []any{}
	for _, event := range shared.AWS.Events.Events() {
		if detail(event).Execution != s.arn {
			continue
		}
		var value map[string]any
		if err := yaml.Unmarshal(event.Detail, &value); err != nil {
			return err
		}
		value["type"] = kindOf(event)
		got = append(got, value)
	}
	return fits(got, want)
}
