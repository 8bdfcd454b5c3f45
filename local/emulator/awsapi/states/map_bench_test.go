package states_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"github.com/crossapply/crossapply/local/emulator/awsapi/awsapitest"
	"github.com/crossapply/crossapply/local/emulator/process"
)

// rollOut is a Map whose children call functions three times, with variables, a
// choice and outputs that are put together: what one expects of a real one.
const rollOut = `{"QueryLanguage":"JSONata","StartAt":"Map","States":{"Map":{"Type":"Map","Label":"Target","MaxConcurrency":1000,
	"ItemReader":{"Resource":"arn:aws:states:::s3:getObject","ReaderConfig":{"InputType":"JSON"},"Arguments":{"Bucket":"runs","Key":"items.json"}},
	"ItemSelector":{"run":{"bucket":"runs","id":"{% $states.context.Execution.Name %}"},"target":"{% $states.context.Map.Item.Value %}"},
	"ToleratedFailurePercentage":100,
	"ResultWriter":{"Resource":"arn:aws:states:::s3:putObject","Arguments":{"Bucket":"runs","Prefix":"out"}},
	"ItemProcessor":{"ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":"STANDARD"},"StartAt":"Resolve","States":{
		"Resolve":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","TimeoutSeconds":900,
			"Arguments":{"FunctionName":"f","Payload":"{% $states.input %}"},
			"Assign":{"item":"{% $states.input %}","cluster":"{% $states.result.Payload.cluster %}","window":0},"Output":{},"Next":"Apply"},
		"Apply":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","TimeoutSeconds":900,
			"Arguments":{"FunctionName":"f","Payload":"{% $merge([$item, {'cluster': $cluster}]) %}"},
			"Assign":{"applied":"{% $states.result.Payload.count %}"},"Output":"{% $states.result.Payload %}","Next":"Wait?"},
		"Wait?":{"Type":"Choice","Choices":[{"Condition":"{% $states.input.count = 0 %}","Next":"Done"}],"Default":"Poll"},
		"Poll":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","TimeoutSeconds":900,
			"Arguments":{"FunctionName":"f","Payload":"{% $merge([$item, {'cluster': $cluster, 'applied': $applied, 'window': $window}]) %}"},
			"Assign":{"window":"{% $window + 1 %}"},"Output":"{% $states.result.Payload %}","Next":"Done"},
		"Done":{"Type":"Pass","Output":"{% $merge([$item.target, {'outcome': 'Ready', 'windows': $window}]) %}","End":true}}},
	"End":true}}}`

// BenchmarkMap runs a distributed Map. Beside its time it reports the largest
// resident size of this process, in which the runner, S3 and the playing of Lambda
// are, and which never shrinks: run one size at a time.
func BenchmarkMap(b *testing.B) {
	for _, n := range []int{2_000, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) { benchmarkMap(b, n) })
	}
}

func benchmarkMap(b *testing.B, n int) {
	w := newWorld(b)
	reply := `{"count":1,"cluster":{"endpoint":"https://example.com","ca":"` + strings.Repeat("A", 1500) + `"}}`
	w.lambda = func(rw http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(rw, reply)
	}
	items := make([]map[string]string, n)
	for i := range items {
		items[i] = map[string]string{"account": "111111111111", "region": "eu-west-1", "cluster": fmt.Sprintf("cluster-%05d", i)}
	}
	body, err := json.Marshal(items)
	if err != nil {
		b.Fatal(err)
	}
	objects := s3.NewFromConfig(w.aws.UserConfig(awsapitest.Admin(), awsapitest.Region), func(o *s3.Options) { o.UsePathStyle = true })
	if _, err := objects.PutObject(b.Context(), &s3.PutObjectInput{Bucket: aws.String("runs"), Key: aws.String("items.json"), Body: strings.NewReader(string(body))}); err != nil {
		b.Fatal(err)
	}
	machine := w.create(b, "rollout", rollOut)
	for i := 0; b.Loop(); i++ {
		arn := w.start(b, machine, fmt.Sprintf("run-%d", i), "{}")
		if err := w.Wait(b.Context(), arn); err != nil {
			b.Fatal(err)
		}
		checkCounts(b, w, arn, n)
	}
	b.ReportMetric(float64(b.N*n)/b.Elapsed().Seconds(), "children/s")
	b.ReportMetric(float64(process.PeakMemory(os.Getpid()))/(1<<20), "this-process-MiB")
}

// checkCounts expects that all children have succeeded, and that their histories can
// be read.
func checkCounts(b *testing.B, w *world, arn string, n int) {
	b.Helper()
	runs, err := w.client.ListMapRuns(b.Context(), &sfn.ListMapRunsInput{ExecutionArn: &arn})
	if err != nil {
		b.Fatal(err)
	}
	run, err := w.client.DescribeMapRun(b.Context(), &sfn.DescribeMapRunInput{MapRunArn: runs.MapRuns[0].MapRunArn})
	if err != nil {
		b.Fatal(err)
	}
	if run.ExecutionCounts.Succeeded != int64(n) || run.Status != types.MapRunStatusSucceeded {
		b.Fatalf("%+v", run.ExecutionCounts)
	}
	children, err := w.client.ListExecutions(b.Context(), &sfn.ListExecutionsInput{MapRunArn: run.MapRunArn, MaxResults: 1})
	if err != nil {
		b.Fatal(err)
	}
	history, err := w.client.GetExecutionHistory(b.Context(), &sfn.GetExecutionHistoryInput{ExecutionArn: children.Executions[0].ExecutionArn})
	if err != nil {
		b.Fatal(err)
	}
	if last := history.Events[len(history.Events)-1]; last.Type != types.HistoryEventTypeExecutionSucceeded || time.Since(*last.Timestamp) > time.Hour {
		b.Fatalf("the last event is %+v", last)
	}
}
