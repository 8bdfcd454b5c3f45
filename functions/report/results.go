package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
)

// manifest is what a Map's ResultWriter writes beside the results. There is one
// even where the Map failed.
// https://docs.aws.amazon.com/step-functions/latest/dg/input-output-resultwriter.html
type manifest struct {
	ResultFiles map[string][]struct {
		Key string `json:"Key"`
	} `json:"ResultFiles"`
}

// child is one child execution in a file of results.
type child struct {
	Input     string    `json:"Input"`
	Output    string    `json:"Output"`
	Status    string    `json:"Status"`
	Error     string    `json:"Error"`
	Cause     string    `json:"Cause"`
	StartDate time.Time `json:"StartDate"`
	StopDate  time.Time `json:"StopDate"`
}

// mapResults reads the results of all child executions. written says whether the
// Map wrote any.
func mapResults(ctx context.Context, store Store, prefix string) (results map[contract.Target]contract.Result, written bool, err error) {
	keys, err := store.List(ctx, prefix+"/")
	if err != nil {
		return nil, false, err
	}
	results = map[contract.Target]contract.Result{}
	for _, key := range keys {
		if !strings.HasSuffix(key, "/manifest.json") {
			continue
		}
		written = true
		var m manifest
		if err := store.GetJSON(ctx, key, &m); err != nil {
			return nil, false, err
		}
		for _, files := range m.ResultFiles {
			for _, file := range files {
				if err := readChildren(ctx, store, file.Key, results); err != nil {
					return nil, false, err
				}
			}
		}
	}
	return results, written, nil
}

func readChildren(ctx context.Context, store Store, key string, results map[contract.Target]contract.Result) error {
	var children []child
	if err := store.GetJSON(ctx, key, &children); err != nil {
		return err
	}
	for i, c := range children {
		result, err := c.result()
		if err != nil {
			return fmt.Errorf("%s: child %d: %w", key, i, err)
		}
		results[result.Target] = result
	}
	return nil
}

// result says how a child ended in the words of the answer.
func (c child) result() (contract.Result, error) {
	var item contract.Item
	if err := json.Unmarshal([]byte(c.Input), &item); err != nil {
		return contract.Result{}, fmt.Errorf("its input: %w", err)
	}
	result := contract.Result{Target: item.Target}
	switch c.Status {
	case "SUCCEEDED":
		if err := json.Unmarshal([]byte(c.Output), &result); err != nil {
			return contract.Result{}, fmt.Errorf("its output: %w", err)
		}
	case "FAILED", "TIMED_OUT":
		result.Outcome, result.Error, result.Message = contract.OutcomeFailed, c.Error, messageOf(c)
		if c.Error == string(fault.ReadyTimeout) {
			result.Outcome = contract.OutcomeTimedOut
		}
	case "ABORTED", "RUNNING":
		result.Outcome, result.Message = contract.OutcomeStopped, stopped
	default: // PENDING
		result.Outcome, result.Message = contract.OutcomeNotStarted, notStarted
	}
	if c.StartDate.IsZero() {
		// Aborted before it began.
		result.Outcome, result.Message = contract.OutcomeNotStarted, notStarted
	}
	result.Seconds = seconds(c.StartDate, c.StopDate)
	return result, nil
}

// messageOf returns the message in the cause of a failed child: what a function
// reports as its error, or the service's own words, if it has any.
func messageOf(c child) string {
	var reported struct {
		Message string `json:"errorMessage"`
	}
	if err := json.Unmarshal([]byte(c.Cause), &reported); err == nil && reported.Message != "" {
		return reported.Message
	}
	return cmp.Or(c.Cause, "Step Functions ended the target with "+c.Error)
}
