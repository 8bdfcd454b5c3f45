package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"github.com/crossapply/crossapply/shared/contract"
)

// progress is where one target is.
type progress struct {
	stage   string
	elapsed time.Duration
	ended   bool
}

// watcher follows an execution and its children.
type watcher struct {
	api       *sfn.Client
	execution string
	// targets of the children seen so far, by ARN.
	targets map[string]contract.Target
}

// snapshot says where every started target is, and how the execution is.
func (w *watcher) snapshot(ctx context.Context, now time.Time) (map[contract.Target]progress, *sfn.DescribeExecutionOutput, error) {
	// Described first: once it has ended, the children below are final.
	execution, err := w.api.DescribeExecution(ctx, &sfn.DescribeExecutionInput{ExecutionArn: &w.execution})
	if err != nil {
		return nil, nil, fmt.Errorf("watch the execution: %w", err)
	}
	runs, err := w.api.ListMapRuns(ctx, &sfn.ListMapRunsInput{ExecutionArn: &w.execution})
	if err != nil {
		return nil, nil, fmt.Errorf("watch the execution: %w", err)
	}
	seen := map[contract.Target]progress{}
	for _, run := range runs.MapRuns {
		pages := sfn.NewListExecutionsPaginator(w.api, &sfn.ListExecutionsInput{MapRunArn: run.MapRunArn})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return nil, nil, fmt.Errorf("watch the execution: %w", err)
			}
			for _, child := range page.Executions {
				target, at, err := w.child(ctx, child, now)
				if err != nil {
					return nil, nil, fmt.Errorf("watch the execution: %w", err)
				}
				seen[target] = at
			}
		}
	}
	return seen, execution, nil
}

func (w *watcher) child(ctx context.Context, child types.ExecutionListItem, now time.Time) (contract.Target, progress, error) {
	arn := aws.ToString(child.ExecutionArn)
	target, known := w.targets[arn]
	if !known {
		described, err := w.api.DescribeExecution(ctx, &sfn.DescribeExecutionInput{ExecutionArn: child.ExecutionArn})
		if err != nil {
			return target, progress{}, err
		}
		var item contract.Item
		if err := json.Unmarshal([]byte(aws.ToString(described.Input)), &item); err != nil {
			return target, progress{}, fmt.Errorf("read the input of %s: %w", arn, err)
		}
		target = item.Target
		w.targets[arn] = target
	}
	if child.Status != types.ExecutionStatusRunning {
		return target, progress{stage: string(child.Status), elapsed: child.StopDate.Sub(*child.StartDate), ended: true}, nil
	}
	stage, err := w.stage(ctx, child.ExecutionArn)
	return target, progress{stage: stage, elapsed: now.Sub(*child.StartDate)}, err
}

// stage returns the name of the state that a child entered last.
func (w *watcher) stage(ctx context.Context, arn *string) (string, error) {
	history, err := w.api.GetExecutionHistory(ctx, &sfn.GetExecutionHistoryInput{ExecutionArn: arn, ReverseOrder: true, MaxResults: 10})
	if err != nil {
		return "", err
	}
	for _, event := range history.Events {
		if event.StateEnteredEventDetails != nil {
			return aws.ToString(event.StateEnteredEventDetails.Name), nil
		}
	}
	return "starting", nil
}
