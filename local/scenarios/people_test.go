package scenarios

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/smithy-go"

	"github.com/crossapply/crossapply/local/emulator/awsapi/eks"
	"github.com/crossapply/crossapply/local/emulator/awsapi/events"
	"github.com/crossapply/crossapply/local/emulator/awsapi/lambda"
	"github.com/crossapply/crossapply/local/world"
	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/deployment"
	"github.com/crossapply/crossapply/shared/runs"
)

var peopleCommands = map[string]command{
	"approve":  {"yes|no [<message>] [as <person>]", 1, 4, true, approve},
	"began":    {"", 0, 0, false, awaitStart},
	"phase":    {"<wave> [<kind>]", 1, 2, false, awaitPhase},
	"stopmark": {"", 0, 0, false, writeStopMark},
	"abort":    {"", 0, 0, false, abort},
	"dies":     {"<function> before|after <service:operation> [on <cluster>] [always]", 3, 6, false, killFunction},
	"deaf":     {"", 0, 0, false, deafen},
	"gone":     {"<cluster>", 1, 1, false, gone},
	"upload":   {"<file>", 1, 1, false, upload},
}

func approve(ctx context.Context, s *script, not bool, args []string) error {
	person := "approver"
	if n := len(args); n > 2 && args[n-2] == "as" {
		person, args = args[n-1], args[:n-2]
	}
	asked, err := s.event(ctx, "Approval Requested", func(d eventDetail) bool { return !s.answered[d.TaskToken] })
	if err != nil {
		return err
	}
	token := asked.TaskToken
	err = answer(ctx, sfn.NewFromConfig(shared.Person(person)), token, args[0] == "yes", strings.Join(args[1:], " "))
	var refused smithy.APIError
	switch {
	case not && errors.As(err, &refused) && refused.ErrorCode() == "AccessDeniedException":
		return nil
	case not:
		return fmt.Errorf("%s may: %w", person, err)
	}
	s.answered[token] = true
	return err
}

func answer(ctx context.Context, by *sfn.Client, token string, yes bool, message string) error {
	if !yes {
		_, err := by.SendTaskFailure(ctx, &sfn.SendTaskFailureInput{TaskToken: &token, Error: aws.String("Rejected"), Cause: &message})
		return err
	}
	output, err := json.Marshal(map[string]string{"message": message})
	if err != nil {
		return err
	}
	_, err = by.SendTaskSuccess(ctx, &sfn.SendTaskSuccessInput{TaskToken: &token, Output: aws.String(string(output))})
	return err
}

// event waits for an event of the execution.
func (s *script) event(ctx context.Context, kind string, wanted func(eventDetail) bool) (eventDetail, error) {
	found, err := shared.AWS.Events.Await(ctx, func(event events.Event) bool {
		d := detail(event)
		return kindOf(event) == kind && d.Execution == s.arn && wanted(d)
	})
	return detail(found), err
}

func awaitStart(ctx context.Context, s *script, _ bool, _ []string) error {
	_, err := s.event(ctx, "Execution Started", func(eventDetail) bool { return true })
	return err
}

func awaitPhase(ctx context.Context, s *script, _ bool, args []string) error {
	kind := contract.PhaseWave
	if len(args) > 1 {
		kind = contract.PhaseKind(args[1])
	}
	_, err := s.event(ctx, "Phase Ended", func(d eventDetail) bool { return d.Phase.Name == args[0] && d.Phase.Kind == kind })
	return err
}

func put(ctx context.Context, key, body string) error {
	_, err := s3.NewFromConfig(shared.Engineer()).PutObject(ctx, &s3.PutObjectInput{
		Bucket: aws.String(shared.Deployment.Bucket), Key: &key, Body: strings.NewReader(body)})
	return err
}

func writeStopMark(ctx context.Context, s *script, _ bool, _ []string) error {
	_, name, err := contract.ParseExecution(s.arn)
	if err != nil {
		return err
	}
	return put(ctx, runs.Prefix(name)+runs.Stop, "")
}

func abort(ctx context.Context, s *script, _ bool, _ []string) error {
	if _, err := stepFunctions().StopExecution(ctx, &sfn.StopExecutionInput{ExecutionArn: &s.arn}); err != nil {
		return err
	}
	return shared.States.Wait(ctx, s.arn)
}

func upload(ctx context.Context, s *script, _ bool, args []string) error {
	body := s.file(args[0])
	sum := sha256.Sum256([]byte(body))
	s.ts.Setenv("SHA256", hex.EncodeToString(sum[:]))
	return put(ctx, runs.Inputs+s.topic+"/"+args[0], body)
}

func gone(_ context.Context, _ *script, _ bool, args []string) error {
	targets, err := clusters(args[0])
	for _, t := range targets {
		shared.AWS.EKS.Delete(eks.Cluster{Account: t.Account, Region: t.Region, Name: t.Cluster}.ARN())
	}
	return err
}

// faults are what befalls executions, by their names.
var faults = &misfortunes{kills: map[string][]*kill{}, deaf: map[string]bool{}}

type misfortunes struct {
	mu    sync.Mutex
	kills map[string][]*kill
	deaf  map[string]bool // EventBridge takes none of their events
}

// kill is a call at which a function dies.
type kill struct {
	function, operation string
	after, always       bool
	cluster             string // "": any

	mu sync.Mutex
	n  int
}

func (k *kill) when() string {
	if k.after {
		return "after"
	}
	return "before"
}

func (k *kill) happened() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.n > 0
}

func (k *kill) at(call lambda.Call, cluster string) bool {
	here := call.Function == deployment.Name+"-"+k.function && call.Done == k.after &&
		strings.HasPrefix(call.Service+":"+call.Operation, k.operation) && (k.cluster == "" || k.cluster == cluster)
	k.mu.Lock()
	defer k.mu.Unlock()
	if !here || k.n > 0 && !k.always {
		return false
	}
	k.n++
	return true
}

func killFunction(_ context.Context, s *script, _ bool, args []string) error {
	k := &kill{function: args[0], after: args[1] == "after", operation: args[2]}
	rest := args[3:]
	if len(rest) > 1 && rest[0] == "on" {
		k.cluster, rest = rest[1], rest[2:]
	}
	k.always = slices.Equal(rest, []string{"always"})
	if len(rest) > 0 && !k.always {
		return fmt.Errorf("%s: not understood", rest)
	}
	faults.mu.Lock()
	defer faults.mu.Unlock()
	faults.kills[s.next()] = append(faults.kills[s.next()], k)
	return nil
}

func deafen(_ context.Context, s *script, _ bool, _ []string) error {
	faults.mu.Lock()
	defer faults.mu.Unlock()
	faults.deaf[s.next()] = true
	return nil
}

func (m *misfortunes) of(execution string) []*kill {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.kills[execution]
}

// kill says whether a function dies at a call.
func (m *misfortunes) kill(call lambda.Call) bool {
	name, target, ok := world.Invocation(call.Event)
	if !ok {
		return false
	}
	return slices.ContainsFunc(m.of(name), func(k *kill) bool { return k.at(call, target.Cluster) })
}

// fail says whether EventBridge fails to take an event.
func (m *misfortunes) fail(event events.Event) bool {
	_, name, err := contract.ParseExecution(detail(event).Execution)
	m.mu.Lock()
	defer m.mu.Unlock()
	return err == nil && m.deaf[name]
}
