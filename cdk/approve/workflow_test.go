package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/crossapply/crossapply/local/emulator/asl/asltest"
	"github.com/crossapply/crossapply/local/emulator/awsapi"
	"github.com/crossapply/crossapply/local/emulator/awsapi/events"
	"github.com/crossapply/crossapply/local/emulator/awsapi/iam"
	"github.com/crossapply/crossapply/local/emulator/awsapi/states"
	deployed "github.com/crossapply/crossapply/shared/deployment"
	"github.com/crossapply/crossapply/statemachine"
)

// deployment is what the local world is started from, and what a deployment makes.
type deployment struct {
	Account, Region string
	Roles           []struct {
		Account, Name string
		Trust         json.RawMessage
		Policies      []json.RawMessage
	}
	Substitutions map[string]string
	Policies      map[string]json.RawMessage
}

// The definition under the deployed policies: what an approver answers is what it reads,
// and a caller can give no answer.
func TestWorkflow(t *testing.T) {
	d, server, service := startAWS(t)
	admin := sfn.NewFromConfig(server.UserConfig(d.user("admin"), d.Region))
	created, err := admin.CreateStateMachine(t.Context(), &sfn.CreateStateMachineInput{
		Name: aws.String("crossapply"), RoleArn: aws.String("arn:aws:iam::" + d.Account + ":role/crossapply-workflow"), Definition: aws.String(asks(t, d)),
	})
	if err != nil {
		t.Fatal(err)
	}
	as := func(name string) (approver, *strings.Builder) {
		config, out := server.UserConfig(d.user(name), d.Region), &strings.Builder{}
		return approver{states: sfn.NewFromConfig(config), identities: sts.NewFromConfig(config), out: out}, out
	}
	approver, said := as("approver")
	caller, _ := as("caller")
	by := "by arn:aws:iam::" + d.Account + ":user/approver"
	for _, tt := range []struct {
		name    string
		approve bool
		want    string
	}{
		{"good", true, `{"approved":true,"message":"Approved ` + by + `: checked"}`},
		{"bad", false, `{"approved":false,"message":"Rejected: ` + by + `: checked"}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			started, err := admin.StartExecution(t.Context(), &sfn.StartExecutionInput{StateMachineArn: created.StateMachineArn, Name: aws.String(tt.name)})
			if err != nil {
				t.Fatal(err)
			}
			execution := *started.ExecutionArn
			if _, err := server.Events.Await(t.Context(), asksFor(execution)); err != nil {
				t.Fatal(err)
			}
			if err := caller.answer(t.Context(), execution, "", tt.approve, ""); err == nil || !strings.Contains(err.Error(), "AccessDenied") {
				t.Errorf("a caller answers: %v", err)
			}
			said.Reset()
			if err := approver.list(t.Context(), *created.StateMachineArn+":live"); err != nil || !strings.Contains(said.String(), execution+"\n  asks for approval of wave canary, 3 of its 30 targets: apply Topic kafka/audit") {
				t.Errorf("%v: %s", err, said)
			}
			if err := approver.answer(t.Context(), execution, "", tt.approve, "checked"); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			if err := service.Wait(ctx, execution); err != nil {
				t.Fatal(err)
			}
			ended, err := admin.DescribeExecution(t.Context(), &sfn.DescribeExecutionInput{ExecutionArn: &execution})
			if err != nil {
				t.Fatal(err)
			}
			if got := aws.ToString(ended.Output); got != tt.want {
				t.Errorf("the approval is %s %s, want %s", got, aws.ToString(ended.Cause), tt.want)
			}
			if err := approver.answer(t.Context(), execution, "", tt.approve, ""); err == nil || !strings.Contains(err.Error(), "does not ask") {
				t.Errorf("answered twice: %v", err)
			}
		})
	}
}

// asks is the definition with fixed answers of plan and review in the place of theirs: a
// wave has to be approved, and the execution's output is the approval.
func asks(t *testing.T, d deployment) string {
	t.Helper()
	text, err := statemachine.Substitute(d.Substitutions)
	if err != nil {
		t.Fatal(err)
	}
	var definition map[string]json.RawMessage
	var states map[string]json.RawMessage
	if err := errors.Join(json.Unmarshal([]byte(text), &definition), json.Unmarshal([]byte(text), &struct{ States any }{&states})); err != nil {
		t.Fatal(err)
	}
	states["Plan"] = json.RawMessage(`{"Type": "Pass", "Assign": {
		"plan": {
			"run": {"execution": "{% $states.context.Execution.Id %}", "operation": "apply", "apply": {"dryRun": false},
				"resources": [{"kind": "Topic", "namespace": "kafka", "name": "audit"}]},
			"next": {}, "labels": {}, "preview": false, "total": 30
		},
		"next": {"action": "approve", "phase": {"name": "canary"}, "total": 3, "counts": {}, "timeoutSeconds": 600},
		"approval": null
	}, "Output": {}, "Next": "Planned?"}`)
	states["Review"] = json.RawMessage(`{"Type": "Succeed", "Output": "{% $approval %}"}`)
	if definition["States"], err = json.Marshal(states); err != nil {
		t.Fatal(err)
	}
	changed, err := json.Marshal(definition)
	if err != nil {
		t.Fatal(err)
	}
	return string(changed)
}

// asksFor finds the event by which an execution asks.
func asksFor(execution string) func(events.Event) bool {
	return func(e events.Event) bool {
		return e.DetailType == deployed.EventApprovalRequested && strings.Contains(string(e.Detail), `"`+execution+`"`)
	}
}

// user is somebody of the hub account: the admin, or one with the managed policy of that
// name.
func (d deployment) user(name string) iam.User {
	policy := string(d.Policies[name])
	if name == "admin" {
		policy = `{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}`
	}
	return iam.User{Account: d.Account, Name: name, AccessKeyID: "AKIALOCLPERSON" + strings.ToUpper(name), SecretAccessKey: "secret", Policies: []string{policy}}
}

func startAWS(t *testing.T) (deployment, *awsapi.Server, *states.Service) {
	t.Helper()
	text, err := os.ReadFile("../../local/world/deployments/aws.json")
	if err != nil {
		t.Fatal(err)
	}
	var d deployment
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	c := awsapi.Config{Region: d.Region, Accounts: []iam.Account{{ID: d.Account}}}
	for _, name := range []string{"admin", "caller", "approver"} {
		c.Users = append(c.Users, d.user(name))
	}
	for _, r := range d.Roles {
		if r.Account != d.Account {
			continue
		}
		role := iam.Role{Account: r.Account, Name: r.Name, Trust: string(r.Trust)}
		for _, policy := range r.Policies {
			role.Policies = append(role.Policies, string(policy))
		}
		c.Roles = append(c.Roles, role)
	}
	server, err := awsapi.Start(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	service := states.New(states.Config{Directory: server.IAM, Endpoint: server.URL, Engine: asltest.Engine(t)})
	t.Cleanup(service.Close)
	server.Mount(service)
	return d, server, service
}
