package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/crossapply/crossapply/shared/contract"
)

// States is what approve needs of Step Functions; *sfn.Client is one.
type States interface {
	sfn.ListExecutionsAPIClient
	sfn.GetExecutionHistoryAPIClient
	SendTaskSuccess(context.Context, *sfn.SendTaskSuccessInput, ...func(*sfn.Options)) (*sfn.SendTaskSuccessOutput, error)
	SendTaskFailure(context.Context, *sfn.SendTaskFailureInput, ...func(*sfn.Options)) (*sfn.SendTaskFailureOutput, error)
}

// Identities is what it needs of STS; *sts.Client is one.
type Identities interface {
	GetCallerIdentity(context.Context, *sts.GetCallerIdentityInput, ...func(*sts.Options)) (*sts.GetCallerIdentityOutput, error)
}

type approver struct {
	states     States
	identities Identities
	out        io.Writer
}

// list says which executions ask for an approval, and what for.
func (a approver) list(ctx context.Context, machine string) error {
	// An alias and a version have an eighth part.
	parts := strings.Split(machine, ":")
	machine = strings.Join(parts[:min(7, len(parts))], ":")
	pages := sfn.NewListExecutionsPaginator(a.states, &sfn.ListExecutionsInput{
		StateMachineArn: aws.String(machine), StatusFilter: types.ExecutionStatusRunning})
	asking := 0
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("list the executions of %s: %w", machine, err)
		}
		for _, execution := range page.Executions {
			asked, err := a.find(ctx, aws.ToString(execution.ExecutionArn))
			if err != nil {
				return err
			}
			if asked != nil {
				asking++
				fmt.Fprintln(a.out, asked)
			}
		}
	}
	if asking == 0 {
		fmt.Fprintln(a.out, "No execution asks for an approval.")
	}
	return nil
}

// answer approves what an execution asks for, or refuses to; where a wave is given, of
// that one alone: since somebody looked, another may be asked for.
func (a approver) answer(ctx context.Context, execution, wave string, approve bool, why string) error {
	asked, err := a.find(ctx, execution)
	if err != nil {
		return err
	}
	if asked == nil {
		return fmt.Errorf("%s does not ask for an approval", execution)
	}
	fmt.Fprintln(a.out, asked)
	if wave != "" && wave != asked.Wave {
		return fmt.Errorf("%s asks for approval of wave %s, not of wave %s", execution, asked.Wave, wave)
	}
	caller, err := a.identities.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return fmt.Errorf("find out who answers: %w", err)
	}
	message := "by " + aws.ToString(caller.Arn)
	if why != "" {
		message += ": " + why
	}
	if err := a.send(ctx, asked.TaskToken, approve, message); err != nil {
		return fmt.Errorf("answer %s: %w", execution, err)
	}
	fmt.Fprintf(a.out, "%s %s\n", word(approve), message)
	return nil
}

func word(approved bool) string {
	if approved {
		return "Approved"
	}
	return "Rejected"
}

// send answers as the definition reads it.
func (a approver) send(ctx context.Context, token string, approve bool, message string) error {
	if !approve {
		_, err := a.states.SendTaskFailure(ctx, &sfn.SendTaskFailureInput{
			TaskToken: aws.String(token), Error: aws.String(word(false)), Cause: aws.String(message)})
		return err
	}
	output, err := json.Marshal(map[string]string{"message": word(true) + " " + message})
	if err != nil {
		return err
	}
	_, err = a.states.SendTaskSuccess(ctx, &sfn.SendTaskSuccessInput{TaskToken: aws.String(token), Output: aws.String(string(output))})
	return err
}

// asking is the resource of a task that waits for an answer to the event it sends, as
// the history names it.
const asking = "putEvents.waitForTaskToken"

// find returns what an execution asks to be approved, or nil. While it waits for the
// answer, nothing else happens in it: before the newest event that is no part of the
// task's start, nothing need be looked at.
func (a approver) find(ctx context.Context, execution string) (*question, error) {
	const newest = 10
	history, err := a.states.GetExecutionHistory(ctx, &sfn.GetExecutionHistoryInput{
		ExecutionArn: aws.String(execution), ReverseOrder: true, MaxResults: newest, IncludeExecutionData: aws.Bool(true)})
	if err != nil {
		return nil, fmt.Errorf("read the history of %s: %w", execution, err)
	}
	for _, event := range history.Events {
		switch event.Type {
		case types.HistoryEventTypeTaskSubmitted, types.HistoryEventTypeTaskStarted:
		case types.HistoryEventTypeTaskScheduled:
			scheduled := event.TaskScheduledEventDetails
			if aws.ToString(scheduled.Resource) != asking {
				return nil, nil
			}
			return read(execution, aws.ToTime(event.Timestamp), aws.ToString(scheduled.Parameters))
		default:
			return nil, nil
		}
	}
	return nil, nil
}

// question is what an execution asks to be approved.
type question struct {
	execution string
	asked     time.Time
	Operation contract.Operation
	Resources []contract.ResourceRef
	Labels    map[string]string
	DryRun    bool
	// Wave is the wave's name, and Targets its number of targets, of Total.
	Wave           string
	Targets, Total int
	// Counts are the outcomes of the waves before.
	Counts         map[contract.Outcome]int
	TimeoutSeconds int
	// TaskToken is what an answer takes. No text of the question holds it.
	TaskToken string
}

// read reads the parameters of the task that asks.
func read(execution string, asked time.Time, parameters string) (*question, error) {
	var given struct {
		Entries []struct{ Detail json.RawMessage }
	}
	q := question{execution: execution, asked: asked}
	err := json.Unmarshal([]byte(parameters), &given)
	if err == nil && len(given.Entries) != 1 {
		err = fmt.Errorf("it sends %d events", len(given.Entries))
	}
	if err == nil {
		err = json.Unmarshal(given.Entries[0].Detail, &q)
	}
	if err == nil && q.TaskToken == "" {
		err = errors.New("its event has no taskToken")
	}
	if err != nil {
		return nil, fmt.Errorf("read what %s asks: %w", execution, err)
	}
	return &q, nil
}

// String tells people what is asked.
func (q question) String() string {
	var text strings.Builder
	fmt.Fprintf(&text, "%s\n  asks for approval of wave %s, %d of its %d targets: %s", q.execution, q.Wave, q.Targets, q.Total, q.Operation)
	for _, resource := range q.Resources {
		text.WriteString(" " + resource.String())
	}
	if q.DryRun {
		text.WriteString(", as a dry run")
	}
	until := q.asked.Add(time.Duration(q.TimeoutSeconds) * time.Second)
	fmt.Fprintf(&text, "\n  since %s, until %s", q.asked.UTC().Format(time.RFC3339), until.UTC().Format(time.RFC3339))
	text.WriteString(listed("\n  so far: ", q.Counts))
	text.WriteString(listed("\n  labels: ", q.Labels))
	return text.String()
}

// listed returns a line of a map, or nothing where it is empty.
func listed[K ~string, V any](title string, values map[K]V) string {
	var parts []string
	for _, key := range slices.Sorted(maps.Keys(values)) {
		parts = append(parts, fmt.Sprintf("%s %v", key, values[key]))
	}
	if parts == nil {
		return ""
	}
	return title + strings.Join(parts, ", ")
}
