package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsorganizations "github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"github.com/crossapply/crossapply/local/emulator/awsapi"
	"github.com/crossapply/crossapply/local/emulator/awsapi/iam"
	"github.com/crossapply/crossapply/local/emulator/awsapi/organizations"
	emulated "github.com/crossapply/crossapply/local/emulator/awsapi/s3"
	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/deployment"
	"github.com/crossapply/crossapply/shared/regions"
	"github.com/crossapply/crossapply/shared/runs"
)

const (
	hub    = "999999999999"
	region = "eu-west-1"
	bucket = "run-bucket"
)

// started is when executions start, and now when they are planned.
var (
	started = time.Date(2026, 11, 25, 23, 59, 59, 0, time.UTC)
	now     = started.Add(2 * time.Second)
)

// The organizational units of the hub's organization, which has the accounts
// 111111111111, 222222222222 and 333333333333; and a suspended one.
const (
	root   = "r-ab12"
	upper  = "ou-ab12-00000001"
	middle = "ou-ab12-00000002" // in upper
	bottom = "ou-ab12-00000003" // in middle
)

func organization() organizations.Organization {
	return organizations.Organization{
		ID: "o-example123", Root: root, Management: hub,
		Units: []organizations.Unit{{ID: upper}, {ID: middle, Parent: upper}, {ID: bottom, Parent: middle}},
		Accounts: []organizations.Account{
			{ID: hub}, {ID: "111111111111", Parent: upper}, {ID: "222222222222", Parent: bottom}, {ID: "333333333333", Parent: bottom},
			{ID: "444444444444", Parent: bottom, Status: "SUSPENDED"},
		},
	}
}

// world is a run bucket that plan reaches with its own permissions and no others,
// and executions.
type world struct {
	Planner
	executions *executions
	// configured is the configuration's part in what selectors mean.
	configured contract.ConfiguredTargets
	// s3 is a person's, who may do everything.
	s3 *s3.Client
}

func newWorld(t testing.TB) world {
	t.Helper()
	person := iam.User{Account: hub, Name: "person", AccessKeyID: "AKIAPERSONPERSON", SecretAccessKey: "secret-1",
		Policies: []string{policy([]string{"*"}, "*", "")}}
	function := iam.User{Account: hub, Name: "plan", AccessKeyID: "AKIAPLANPLANPLAN", SecretAccessKey: "secret-2", Policies: append(policiesOfPlan(),
		policy([]string{"organizations:ListAccountsForParent", "organizations:ListOrganizationalUnitsForParent"}, "*", ""))}
	server, err := awsapi.Start(awsapi.Config{
		Region: region, Accounts: []iam.Account{{ID: hub}}, Organizations: []organizations.Organization{organization()}, Users: []iam.User{person, function},
		Buckets: []emulated.Bucket{{Name: bucket, Account: hub, Region: region}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	known := &executions{known: map[string]sfn.DescribeExecutionOutput{}}
	config := server.UserConfig(function, region)
	return world{
		Planner: Planner{
			store: runs.NewBucket(s3.NewFromConfig(config), bucket), executions: known, organization: awsorganizations.NewFromConfig(config),
			scope: regions.Scope{Partition: "aws"}, now: func() time.Time { return now },
		},
		executions: known,
		configured: contract.ConfiguredTargets{Accounts: "111111111111 222222222222", Regions: "eu-west-1 us-east-1"},
		s3:         s3.NewFromConfig(server.UserConfig(person, region)),
	}
}

// policiesOfPlan are what the deployment lets plan do in the run bucket.
func policiesOfPlan() []string {
	var policies []string
	for _, f := range deployment.Functions() {
		if f.Name != "plan" {
			continue
		}
		for _, objects := range f.Objects {
			var actions []string
			if objects.Read {
				actions = append(actions, "s3:GetObject")
			}
			if objects.Write {
				actions = append(actions, "s3:PutObject")
			}
			policies = append(policies, policy(actions, "arn:aws:s3:::"+bucket+"/"+objects.Keys, ""))
		}
		for _, prefix := range f.Lists {
			policies = append(policies, policy([]string{"s3:ListBucket"}, "arn:aws:s3:::"+bucket, prefix))
		}
	}
	return policies
}

func policy(actions []string, resource, prefix string) string {
	statement := map[string]any{"Effect": "Allow", "Action": actions, "Resource": resource}
	if prefix != "" {
		statement["Condition"] = map[string]any{"StringLike": map[string]any{"s3:prefix": prefix}}
	}
	text, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": statement})
	if err != nil {
		panic(err) // of texts and lists
	}
	return string(text)
}

func arn(name string) string {
	return "arn:aws:states:" + region + ":" + hub + ":execution:crossapply:" + name
}

// start plans an execution of that name, which runs until it is ended.
func (w world) start(t testing.TB, name, request string) (contract.PlanOutput, error) {
	t.Helper()
	w.executions.set(arn(name), types.ExecutionStatusRunning)
	return w.Handle(t.Context(), contract.PlanInput{Execution: arn(name), Name: name, Started: started,
		Request: json.RawMessage(request), Configured: w.configured})
}

// mustStart is start for an execution that must be planned.
func (w world) mustStart(t testing.TB, name, request string) contract.PlanOutput {
	t.Helper()
	out, err := w.start(t, name, request)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// report writes how the targets of an execution ended, as the report function does.
func (w world) report(t testing.TB, name string, results []contract.Result) {
	t.Helper()
	w.put(t, runs.ReportKey(name, started), jsonOf(t, results))
}

// put writes an object.
func (w world) put(t testing.TB, key, text string) {
	t.Helper()
	_, err := w.s3.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String(key), Body: strings.NewReader(text)})
	if err != nil {
		t.Fatal(err)
	}
}

// layout is what was planned for an execution.
func (w world) layout(t testing.TB, name string) contract.Layout {
	t.Helper()
	var layout contract.Layout
	if err := json.Unmarshal([]byte(w.objects(t)["runs/"+name+"/layout.json"]), &layout); err != nil {
		t.Fatal(err)
	}
	return layout
}

// objects returns all that lies in the bucket, without the final newlines.
func (w world) objects(t testing.TB) map[string]string {
	t.Helper()
	list, err := w.s3.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String(bucket)})
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, object := range list.Contents {
		got, err := w.s3.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String(bucket), Key: object.Key})
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(got.Body)
		if err != nil {
			t.Fatal(err)
		}
		all[*object.Key] = strings.TrimSuffix(string(text), "\n")
	}
	return all
}

// executions is what Step Functions knows of executions, by ARN.
type executions struct {
	mu    sync.Mutex
	known map[string]sfn.DescribeExecutionOutput
}

func (e *executions) set(execution string, status types.ExecutionStatus) {
	e.tell(contract.FirstExecution{Execution: execution, Status: string(status)})
}

func (e *executions) tell(x contract.FirstExecution) {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := sfn.DescribeExecutionOutput{ExecutionArn: aws.String(x.Execution), Status: types.ExecutionStatus(x.Status)}
	if x.Output != "" {
		out.Output = aws.String(x.Output)
	}
	if x.Error != "" {
		out.Error, out.Cause = aws.String(x.Error), aws.String(x.Cause)
	}
	e.known[x.Execution] = out
}

func (e *executions) DescribeExecution(_ context.Context, in *sfn.DescribeExecutionInput, _ ...func(*sfn.Options)) (*sfn.DescribeExecutionOutput, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	out, known := e.known[*in.ExecutionArn]
	if !known {
		return nil, &types.ExecutionDoesNotExist{Message: aws.String(fmt.Sprintf("Execution Does Not Exist: '%s'", *in.ExecutionArn))}
	}
	return &out, nil
}
