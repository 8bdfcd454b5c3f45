package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/deployment"
	"github.com/crossapply/crossapply/shared/fault"
)

// children is how the child executions ended, by what the Map wrote. Whatever in
// it cannot be read costs the targets that it is about, and no others.
type children struct {
	now time.Time
	// ended has a key for every target of the execution; its value is nil where no
	// result was found.
	ended map[contract.Target]*contract.Result
	// written says that the Map wrote its results: it does when it ends, whether or
	// not it succeeded.
	written bool
	// lost says what cannot be read without it being known which targets it is about.
	lost []string
}

// manifest is what a Map's ResultWriter writes beside the files with the results.
// https://docs.aws.amazon.com/step-functions/latest/dg/input-output-resultwriter.html
type manifest struct {
	ResultFiles map[string][]struct {
		Key string `json:"Key"`
	} `json:"ResultFiles"`
}

// readChildren reads the results below a prefix, of those keys. It fails only with
// what may pass; then the whole report is worth another try.
func readChildren(ctx context.Context, store Store, prefix string, keys map[string]bool, targets []contract.Target, now time.Time) (children, error) {
	c := children{now: now, ended: make(map[contract.Target]*contract.Result, len(targets))}
	for _, target := range targets {
		c.ended[target] = nil
	}
	// All files that are there, so that a broken manifest hides none; and those that
	// a manifest names, so that a missing one is noticed.
	files := map[string]bool{}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		if !strings.HasPrefix(key, prefix) || path.Ext(key) != ".json" {
			continue
		}
		if path.Base(key) != "manifest.json" {
			files[key] = true
			continue
		}
		c.written = true
		var m manifest
		if err := c.tolerate(store.GetJSON(ctx, key, &m)); err != nil {
			return c, err
		}
		for _, named := range m.ResultFiles {
			for _, file := range named {
				files[file.Key] = true
			}
		}
	}
	for _, key := range slices.Sorted(maps.Keys(files)) {
		body, err := store.Get(ctx, key)
		if err == nil {
			err = c.readFile(key, body)
		}
		if err := c.tolerate(err); err != nil {
			return c, err
		}
	}
	return c, nil
}

// tolerate notes an error that costs some results, and returns one that may pass.
func (c *children) tolerate(err error) error {
	if err == nil {
		return nil
	}
	if fault.Catalogue()[fault.NameOf(err)].Passes {
		return err
	}
	c.lost = append(c.lost, fault.Shorten(err.Error(), maxMessage))
	return nil
}

// readFile reads a file of results, one by one and as far as it can be read.
func (c *children) readFile(key string, body []byte) error {
	file := json.NewDecoder(bytes.NewReader(body))
	if start, err := file.Token(); err != nil || start != json.Delim('[') {
		return fmt.Errorf("%s is not a JSON array", key)
	}
	for i := 0; file.More(); i++ {
		var entry json.RawMessage
		if err := file.Decode(&entry); err != nil {
			return fmt.Errorf("%s: from entry %d on: %w", key, i, err)
		}
		if err := c.add(entry); err != nil {
			c.lost = append(c.lost, fault.Shorten(fmt.Sprintf("%s: entry %d: %v", key, i, err), maxMessage))
		}
	}
	if _, err := file.Token(); err != nil {
		return fmt.Errorf("%s: at its end: %w", key, err)
	}
	return nil
}

// child is one child execution in a file of results. The times are text: one that
// cannot be read must not hide the rest.
type child struct {
	Input     string `json:"Input"`
	Output    string `json:"Output"`
	Status    string `json:"Status"`
	Error     string `json:"Error"`
	Cause     string `json:"Cause"`
	StartDate string `json:"StartDate"`
	StopDate  string `json:"StopDate"`
}

// add takes an entry of a file of results. It fails where the entry does not say
// which of the targets it is about.
func (c *children) add(entry json.RawMessage) error {
	var one child
	odd := json.Unmarshal(entry, &one) // reads all the same what it can
	target, err := one.target()
	if err != nil {
		return fmt.Errorf("its input: %w", err)
	}
	before, listed := c.ended[target]
	if !listed {
		return fmt.Errorf("%s is not a target of this execution", target)
	}
	result, err := one.result(target, c.now)
	if before != nil {
		odd = errors.New("there are two of them")
	}
	if err := cmp.Or(odd, err); err != nil {
		result = unreadable(target, err)
	}
	c.ended[target] = &result
	return nil
}

// target returns the target that a child is about. The input of a child that was
// never started can be the item itself, as the Map read it: AWS does not say
// whether its ItemSelector was evaluated by then.
func (c child) target() (contract.Target, error) {
	var item struct {
		Target *contract.Target `json:"target"`
	}
	if err := json.Unmarshal([]byte(c.Input), &item); err != nil {
		return contract.Target{}, err
	}
	if item.Target != nil {
		return *item.Target, nil
	}
	var target contract.Target
	return target, json.Unmarshal([]byte(c.Input), &target)
}

// unreadable is the result of a target whose own cannot be read.
func unreadable(target contract.Target, reason error) contract.Result {
	return contract.Result{
		Target: target, Outcome: contract.OutcomeFailed, Error: string(fault.ResultUnreadable),
		Message: fault.Shorten(fmt.Sprintf("%s: the result that Step Functions wrote cannot be read: %v", target, reason), maxMessage),
	}
}

// result says how a child ended in the words of the answer.
func (c child) result(target contract.Target, now time.Time) (contract.Result, error) {
	result := contract.Result{Target: target}
	switch c.Status {
	case "SUCCEEDED":
		if err := json.Unmarshal([]byte(c.Output), &result); err != nil {
			return result, fmt.Errorf("its output: %w", err)
		}
		if err := check(result, target); err != nil {
			return result, fmt.Errorf("its output: %w", err)
		}
	case "FAILED", "TIMED_OUT":
		result.Outcome, result.Error, result.Message = outcomeOf(c.Error), c.Error, messageOf(c)
	case "ABORTED", "RUNNING":
		result.Outcome, result.Message = contract.OutcomeStopped, aborted
		switch stopped, err := time.Parse(time.RFC3339, c.StopDate); {
		case c.StartDate == "": // aborted before it began
			result.Outcome, result.Message = contract.OutcomeNotStarted, notStarted
		case err != nil || now.Before(stopped.Add(afterStop())):
			result = unknown(result, stillAtWork)
		}
	case "PENDING":
		result.Outcome, result.Message = contract.OutcomeNotStarted, notStarted
	default:
		return result, fmt.Errorf("its status is %q", c.Status)
	}
	result.Seconds = seconds(c.StartDate, c.StopDate)
	return result, nil
}

// afterStop is how long the function that changes a target may go on after its
// child was stopped: Lambda does not learn of it, and ends it at its timeout.
func afterStop() time.Duration {
	functions := deployment.Functions()
	apply := slices.IndexFunc(functions, func(f deployment.Function) bool { return f.Name == "apply" })
	return time.Duration(functions[apply].TimeoutSeconds) * time.Second
}

// check refuses the output of a child that is not the result of its target.
func check(result contract.Result, target contract.Target) error {
	switch {
	case result.Target != target:
		return fmt.Errorf("it is about %s", result.Target)
	case !slices.Contains(contract.Outcomes(), result.Outcome):
		return fmt.Errorf("its outcome is %q", result.Outcome)
	case result.Change != "" && !slices.Contains(contract.Changes(), result.Change):
		return fmt.Errorf("its change is %q", result.Change)
	case result.Proof != "" && !slices.Contains(contract.Proofs(), result.Proof):
		return fmt.Errorf("its proof is %q", result.Proof)
	}
	return nil
}

// outcomeOf returns the outcome of a target that failed with an error.
func outcomeOf(name string) contract.Outcome {
	if name == string(fault.ReadyTimeout) {
		return contract.OutcomeTimedOut
	}
	return contract.OutcomeFailed
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

// seconds returns the time between two moments, in seconds with milliseconds, and 0
// where one of them is not given.
func seconds(from, to string) float64 {
	start, err := time.Parse(time.RFC3339, from)
	if err != nil {
		return 0
	}
	end, err := time.Parse(time.RFC3339, to)
	if err != nil {
		return 0
	}
	return float64(end.Sub(start).Milliseconds()) / 1000
}
