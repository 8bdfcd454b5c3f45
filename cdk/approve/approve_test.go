package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

const (
	machine = "arn:aws-cn:states:cn-north-1:111111111111:stateMachine:crossapply"
	ours    = "arn:aws-cn:states:cn-north-1:111111111111:execution:crossapply:"
	token   = "AQCEAAAAKgAAAAMAAAAAAAAAAZ"
)

// account has executions, each with the newest events of its history. They are listed
// one by one.
type account struct {
	States
	names     []string
	histories map[string][]types.HistoryEvent
	answers   []string
}

func (a *account) ListExecutions(_ context.Context, in *sfn.ListExecutionsInput, _ ...func(*sfn.Options)) (*sfn.ListExecutionsOutput, error) {
	if *in.StateMachineArn != machine || in.StatusFilter != types.ExecutionStatusRunning {
		return nil, fmt.Errorf("asked for %s executions of %s", in.StatusFilter, *in.StateMachineArn)
	}
	at := 0
	_, _ = fmt.Sscan(aws.ToString(in.NextToken), &at) // none is the first
	out := &sfn.ListExecutionsOutput{Executions: []types.ExecutionListItem{{ExecutionArn: aws.String(ours + a.names[at])}}}
	if at+1 < len(a.names) {
		out.NextToken = aws.String(fmt.Sprint(at + 1))
	}
	return out, nil
}

func (a *account) GetExecutionHistory(_ context.Context, in *sfn.GetExecutionHistoryInput, _ ...func(*sfn.Options)) (*sfn.GetExecutionHistoryOutput, error) {
	events := a.histories[strings.TrimPrefix(*in.ExecutionArn, ours)]
	if !in.ReverseOrder || int(in.MaxResults) < len(events) {
		return nil, fmt.Errorf("asked for %d events, in reverse: %t", in.MaxResults, in.ReverseOrder)
	}
	return &sfn.GetExecutionHistoryOutput{Events: events}, nil
}

func (a *account) SendTaskSuccess(_ context.Context, in *sfn.SendTaskSuccessInput, _ ...func(*sfn.Options)) (*sfn.SendTaskSuccessOutput, error) {
	a.answers = append(a.answers, *in.TaskToken+" yes "+*in.Output)
	return &sfn.SendTaskSuccessOutput{}, nil
}

func (a *account) SendTaskFailure(_ context.Context, in *sfn.SendTaskFailureInput, _ ...func(*sfn.Options)) (*sfn.SendTaskFailureOutput, error) {
	a.answers = append(a.answers, *in.TaskToken+" no "+*in.Error+": "+*in.Cause)
	return &sfn.SendTaskFailureOutput{}, nil
}

func (a *account) GetCallerIdentity(context.Context, *sts.GetCallerIdentityInput, ...func(*sts.Options)) (*sts.GetCallerIdentityOutput, error) {
	return &sts.GetCallerIdentityOutput{Arn: aws.String("arn:aws-cn:sts::111111111111:assumed-role/approvers/ann")}, nil
}

func event(kind types.HistoryEventType) types.HistoryEvent { return types.HistoryEvent{Type: kind} }

// scheduled is the event of a task of Events that is started with some parameters.
func scheduled(resource, parameters string) types.HistoryEvent {
	return types.HistoryEvent{
		Type: types.HistoryEventTypeTaskScheduled, Timestamp: aws.Time(time.Date(2026, 11, 25, 20, 0, 0, 0, time.UTC)),
		TaskScheduledEventDetails: &types.TaskScheduledEventDetails{
			ResourceType: aws.String("events"), Resource: aws.String(resource), Parameters: aws.String(parameters),
		},
	}
}

// detail is what the definition sends.
const detail = `{"execution": "` + ours + `rollout", "operation": "apply", "labels": {"commit": "a1b2c3", "ticket": "OPS-1"},
  "resources": [{"apiVersion": "kafka.strimzi.io/v1beta2", "kind": "KafkaTopic", "namespace": "kafka", "name": "orders"}],
  "wave": "25%", "targets": 75, "total": 300, "plan": false, "dryRun": true, "counts": {"Ready": 24, "Failed": 1}, "timeoutSeconds": 86400, "taskToken": "` + token + `"}`

const asked = ours + `rollout
  asks for approval of wave 25%, 75 of its 300 targets: apply KafkaTopic kafka/orders, as a dry run
  since 2026-11-25T20:00:00Z, until 2026-11-26T20:00:00Z
  so far: Failed 1, Ready 24
  labels: commit a1b2c3, ticket OPS-1
`

func newAccount() *account {
	parameters := `{"Entries": [{"EventBusName": "default", "Source": "crossapply", "Detail": ` + detail + `}]}`
	submitted, started, entered := event(types.HistoryEventTypeTaskSubmitted), event(types.HistoryEventTypeTaskStarted), event(types.HistoryEventTypeTaskStateEntered)
	return &account{
		names: []string{"working", "telling", "rollout", "answered"},
		histories: map[string][]types.HistoryEvent{
			"rollout":  {submitted, started, scheduled(asking, parameters), entered},
			"working":  {event(types.HistoryEventTypeMapRunStarted), event(types.HistoryEventTypeMapStateEntered)},
			"telling":  {started, scheduled("putEvents", parameters), entered},
			"answered": {event(types.HistoryEventTypeTaskSucceeded), submitted, started, scheduled(asking, parameters)},
			"failed":   {event(types.HistoryEventTypeExecutionFailed), event(types.HistoryEventTypeTaskTimedOut), submitted, started, scheduled(asking, parameters)},
			"other":    {scheduled(asking, `{"Entries": [{"Detail": {"wave": "canary"}}]}`)},
		},
	}
}

func TestList(t *testing.T) {
	for _, given := range []string{machine, machine + ":live"} {
		var out strings.Builder
		a := newAccount()
		if err := (approver{states: a, out: &out}).list(t.Context(), given); err != nil {
			t.Fatal(err)
		}
		if out.String() != asked {
			t.Errorf("it says\n%swant\n%s", &out, asked)
		}
		if len(a.answers) > 0 {
			t.Errorf("looking answers %q", a.answers)
		}
	}
}

func TestListNothing(t *testing.T) {
	var out strings.Builder
	a := newAccount()
	a.names = []string{"working"}
	if err := (approver{states: a, out: &out}).list(t.Context(), machine); err != nil || out.String() != "No execution asks for an approval.\n" {
		t.Errorf("it says %q, %v", &out, err)
	}
}

// Yes and no are what the definition reads: a message, and an error with its cause.
// Neither what is said of it nor an error shows the token.
func TestAnswer(t *testing.T) {
	const by = "by arn:aws-cn:sts::111111111111:assumed-role/approvers/ann"
	for _, tt := range []struct {
		name, execution string
		approve         bool
		why             string
		answer, says    string
		err             string
	}{
		{"yes", "rollout", true, "", `yes {"message":"Approved ` + by + `"}`, "Approved " + by, ""},
		{"yes, and why", "rollout", true, `"go"`, `yes {"message":"Approved ` + by + `: \"go\""}`, "Approved " + by + `: "go"`, ""},
		{"no", "rollout", false, "", "no Rejected: " + by, "Rejected " + by, ""},
		{"no, and why", "rollout", false, "not on a Friday", "no Rejected: " + by + ": not on a Friday", "Rejected " + by + ": not on a Friday", ""},
		{"it works", "working", true, "", "", "", "does not ask for an approval"},
		{"it sends another event", "telling", true, "", "", "", "does not ask for an approval"},
		{"it has its answer", "answered", true, "", "", "", "does not ask for an approval"},
		{"it has ended", "failed", true, "", "", "", "does not ask for an approval"},
		{"another definition", "other", true, "", "", "", "its event has no taskToken"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out strings.Builder
			a := newAccount()
			err := approver{states: a, identities: a, out: &out}.answer(t.Context(), ours+tt.execution, "", tt.approve, tt.why)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) || len(a.answers) > 0 {
					t.Errorf("%v, answers %q", err, a.answers)
				}
				return
			}
			if err != nil || len(a.answers) != 1 || a.answers[0] != token+" "+tt.answer {
				t.Errorf("%v, answers %q, want %q", err, a.answers, tt.answer)
			}
			if out.String() != asked+tt.says+"\n" {
				t.Errorf("it says\n%s", &out)
			}
		})
	}
}

// The wave that somebody has looked at may not be the one that is asked for by now.
func TestAnswerOfAWave(t *testing.T) {
	for wave, answers := range map[string]int{"25%": 1, "canary": 0} {
		a := newAccount()
		err := approver{states: a, identities: a, out: io.Discard}.answer(t.Context(), ours+"rollout", wave, true, "")
		if len(a.answers) != answers || answers == 0 && (err == nil || !strings.Contains(err.Error(), "asks for approval of wave 25%, not of wave canary")) {
			t.Errorf("%s: %v, answers %q", wave, err, a.answers)
		}
	}
}
