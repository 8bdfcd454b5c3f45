package world_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"github.com/crossapply/crossapply/local/emulator/awsapi/lambda"
	"github.com/crossapply/crossapply/local/operator"
	"github.com/crossapply/crossapply/shared/contract"
)

// BenchmarkRollout measures whole executions of one target whose resource is
// Ready already, so that what is left is the workflow's own time. Beside the
// time of an execution it reports, per function, the median of what an
// invocation took in a warm sandbox, and how long a new sandbox took to start (init).
func BenchmarkRollout(b *testing.B) {
	resource, err := object("measured", 1).MarshalJSON()
	if err != nil {
		b.Fatal(err)
	}
	request, err := json.Marshal(contract.Request{Resource: resource, Targets: []contract.TargetSelector{
		{Account: payments.Account, Region: payments.Region, Cluster: payments.Cluster}}})
	if err != nil {
		b.Fatal(err)
	}
	execute(b, string(request)) // creates the resource and waits until it is Ready
	for b.Loop() {
		execute(b, string(request))
	}
	for name, times := range byFunction(shared.AWS.Lambda.Invocations()) {
		b.ReportMetric(median(times.warm), name+"-warm-ms")
		b.ReportMetric(median(times.init), name+"-init-ms")
	}
}

// BenchmarkReadyToEnd measures how long after the operator's Ready, within a
// window, an execution of one target has ended.
func BenchmarkReadyToEnd(b *testing.B) {
	var took []float64
	for i := 0; b.Loop(); i++ {
		name := fmt.Sprintf("ready-to-end-%d", i)
		arn := start(b, topic{name: name, annotations: map[string]string{operator.BehaviorAnnotation: string(operator.Silent)}, targets: []contract.Target{payments}}.request(b))
		waitFor(b, payments, name)
		time.Sleep(300 * time.Millisecond) // until poll watches
		ready := time.Now()
		setReady(b, payments, name, "Ready")
		if ended := wait(b, arn); ended.Status != types.ExecutionStatusSucceeded {
			b.Fatal(aws.ToString(ended.Cause))
		}
		took = append(took, milliseconds(time.Since(ready)))
	}
	b.ReportMetric(median(took), "p50-ms")
	b.ReportMetric(slices.Max(took), "max-ms")
}

func execute(b *testing.B, request string) {
	b.Helper()
	api := sfn.NewFromConfig(shared.Engineer())
	started, err := api.StartExecution(context.Background(), &sfn.StartExecutionInput{StateMachineArn: &shared.StateMachineARN, Input: &request})
	if err != nil {
		b.Fatal(err)
	}
	if err := shared.States.Wait(context.Background(), *started.ExecutionArn); err != nil {
		b.Fatal(err)
	}
	out, err := api.DescribeExecution(context.Background(), &sfn.DescribeExecutionInput{ExecutionArn: started.ExecutionArn})
	if err != nil {
		b.Fatal(err)
	}
	if out.Status != types.ExecutionStatusSucceeded {
		b.Fatal(aws.ToString(out.Cause))
	}
}

// times are durations of invocations and of starts, in milliseconds.
type times struct{ warm, init []float64 }

func byFunction(invocations []lambda.Invocation) map[string]*times {
	all := map[string]*times{}
	for _, i := range invocations {
		name := i.Function[strings.LastIndex(i.Function, "-")+1:]
		if all[name] == nil {
			all[name] = &times{}
		}
		if i.Cold {
			all[name].init = append(all[name].init, milliseconds(i.Init))
		} else {
			all[name].warm = append(all[name].warm, milliseconds(i.Duration))
		}
	}
	return all
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	return values[len(values)/2]
}
