package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/deployment"
)

// progress is where one target, or the whole rollout, is.
type progress struct {
	stage            string
	elapsed          time.Duration
	ended, succeeded bool
}

// watcher follows an execution and its children.
type watcher struct {
	api       *sfn.Client
	execution string
	// items are the inputs of the children seen so far, by ARN.
	items map[string]contract.Item
}

// snapshot is how an execution is at a moment.
type snapshot struct {
	execution *sfn.DescribeExecutionOutput
	rollout   progress
	// targets are those that have been started, each where it is in the last phase that
	// works on it.
	targets map[contract.Target]progress
}

// look says how the execution is.
func (w *watcher) look(ctx context.Context, now time.Time) (snapshot, error) {
	seen, err := w.snapshot(ctx, now)
	if err != nil {
		return seen, fmt.Errorf("watch the execution: %w", err)
	}
	return seen, nil
}

func (w *watcher) snapshot(ctx context.Context, now time.Time) (snapshot, error) {
	// Described first: once it has ended, the children below are final.
	seen := snapshot{targets: map[contract.Target]progress{}}
	var err error
	if seen.execution, err = w.api.DescribeExecution(ctx, &sfn.DescribeExecutionInput{ExecutionArn: &w.execution}); err != nil {
		return seen, err
	}
	if seen.rollout, err = w.progress(ctx, types.ExecutionListItem{
		ExecutionArn: &w.execution, Status: seen.execution.Status, StartDate: seen.execution.StartDate, StopDate: seen.execution.StopDate}, now); err != nil {
		return seen, err
	}
	runs, err := w.api.ListMapRuns(ctx, &sfn.ListMapRunsInput{ExecutionArn: &w.execution})
	if err != nil {
		return seen, err
	}
	// A later phase takes the place of an earlier one.
	slices.SortFunc(runs.MapRuns, func(a, b types.MapRunListItem) int { return a.StartDate.Compare(*b.StartDate) })
	for _, run := range runs.MapRuns {
		if strings.Contains(aws.ToString(run.MapRunArn), "/"+deployment.DiscoveryLabel+":") {
			continue // over accounts
		}
		pages := sfn.NewListExecutionsPaginator(w.api, &sfn.ListExecutionsInput{MapRunArn: run.MapRunArn})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return seen, err
			}
			for _, child := range page.Executions {
				item, err := w.item(ctx, child.ExecutionArn)
				if err != nil {
					return seen, err
				}
				at, err := w.progress(ctx, child, now)
				if err != nil {
					return seen, err
				}
				at.stage = fmt.Sprintf("%s %s: %s", item.Phase.Kind, item.Phase.Name, at.stage)
				seen.targets[item.Target] = at
			}
		}
	}
	return seen, nil
}

// item returns the input of a child.
func (w *watcher) item(ctx context.Context, arn *string) (contract.Item, error) {
	if item, known := w.items[*arn]; known {
		return item, nil
	}
	var item contract.Item
	described, err := w.api.DescribeExecution(ctx, &sfn.DescribeExecutionInput{ExecutionArn: arn})
	if err != nil {
		return item, err
	}
	if err := json.Unmarshal([]byte(aws.ToString(described.Input)), &item); err != nil {
		return item, fmt.Errorf("read the input of %s: %w", *arn, err)
	}
	w.items[*arn] = item
	return item, nil
}

func (w *watcher) progress(ctx context.Context, e types.ExecutionListItem, now time.Time) (progress, error) {
	if e.Status != types.ExecutionStatusRunning {
		return progress{stage: string(e.Status), elapsed: e.StopDate.Sub(*e.StartDate), ended: true, succeeded: e.Status == types.ExecutionStatusSucceeded}, nil
	}
	stage, err := w.stage(ctx, e.ExecutionArn)
	return progress{stage: stage, elapsed: now.Sub(*e.StartDate)}, err
}

// stage returns the name of the state that an execution entered last.
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
