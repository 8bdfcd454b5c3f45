package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"github.com/crossapply/crossapply/shared/contract"
)

// Demo starts executions and shows them.
type Demo struct {
	// AWS is the configuration of whoever starts the execution.
	AWS aws.Config
	// StateMachineARN is the workflow.
	StateMachineARN string
	// Out is where progress is shown; Terminal says that lines can be redrawn.
	Out      io.Writer
	Terminal bool
}

// Run starts an execution with a request and shows it until it has ended. It
// returns the answer, and an error when the execution did not succeed.
func (d Demo) Run(ctx context.Context, request []byte) (contract.Answer, error) {
	api := sfn.NewFromConfig(d.AWS)
	started, err := api.StartExecution(ctx, &sfn.StartExecutionInput{
		StateMachineArn: aws.String(d.StateMachineARN), Input: aws.String(string(request))})
	if err != nil {
		return contract.Answer{}, fmt.Errorf("start the execution: %w", err)
	}
	view := newView(d.Out, d.Terminal)
	watcher := &watcher{api: api, execution: aws.ToString(started.ExecutionArn), items: map[string]contract.Item{}}
	ended, err := follow(ctx, watcher, view)
	if err != nil {
		return contract.Answer{}, err
	}
	return d.conclude(ctx, ended, view)
}

func follow(ctx context.Context, w *watcher, v *view) (*sfn.DescribeExecutionOutput, error) {
	tick := time.NewTicker(redrawEvery)
	defer tick.Stop()
	for {
		seen, err := w.look(ctx, time.Now())
		if err != nil {
			return nil, err
		}
		v.update(seen)
		if seen.rollout.ended {
			return seen.execution, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-tick.C:
		}
	}
}

// conclude reads the answer, which is the output of an execution that succeeded
// and the cause of one that failed on its targets, and shows the full report.
func (d Demo) conclude(ctx context.Context, ended *sfn.DescribeExecutionOutput, v *view) (contract.Answer, error) {
	var answer contract.Answer
	body := aws.ToString(ended.Output)
	if ended.Status != types.ExecutionStatusSucceeded {
		body = aws.ToString(ended.Cause)
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil || answer.Status == "" {
		return answer, fmt.Errorf("the execution is %s: %s: %s", ended.Status, aws.ToString(ended.Error), body)
	}
	results, err := d.report(ctx, answer.Report)
	if err != nil {
		return answer, err
	}
	v.table(results)
	v.print("\n%s\n", answer.Message)
	if answer.Status != contract.StatusSucceeded {
		return answer, errors.New("the rollout failed")
	}
	return answer, nil
}

func (d Demo) report(ctx context.Context, uri string) ([]contract.Result, error) {
	bucket, key, _ := strings.Cut(strings.TrimPrefix(uri, "s3://"), "/")
	out, err := s3.NewFromConfig(d.AWS).GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &key})
	if err != nil {
		return nil, fmt.Errorf("read the full report: %w", err)
	}
	defer func() { _ = out.Body.Close() }() // read to its end
	var results []contract.Result
	if err := json.NewDecoder(out.Body).Decode(&results); err != nil {
		return nil, fmt.Errorf("read the full report: %w", err)
	}
	return results, nil
}
