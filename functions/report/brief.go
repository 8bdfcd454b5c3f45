package main

import (
	"cmp"
	"encoding/json"
	"slices"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
)

// Bounds that keep the answer within a few KiB: it crosses states, and a Fail
// state's cause may hold 32,768 characters. Those in bytes are of JSON, in which a
// character of a message may take six.
// https://docs.aws.amazon.com/step-functions/latest/dg/state-fail.html
const (
	answerBytes = 30_000

	maxFailed      = 20
	maxSlowest     = 5
	maxDifferences = 10
	maxNotes       = 10

	// What of these there is no room for is counted.
	failedBytes      = 14 << 10
	slowestBytes     = 2 << 10
	differencesBytes = 5 << 10

	// What of these there is no room for is noted.
	resourcesBytes = 4 << 10
	rulesBytes     = 3 << 10
	inputsBytes    = 2 << 10
	labelsBytes    = 4 << 10
	wavesBytes     = 4 << 10

	notesBytes = 2 << 10

	maxMessage   = 400 // bytes, as are the next two
	maxErrorName = 256 // https://docs.aws.amazon.com/step-functions/latest/apireference/API_HistoryEvent.html
	maxPath      = 100
	maxPaths     = 5 // of fields, in one result or group
	maxNamed     = 5 // targets of a group
	maxOverrides = 5
	maxResources = 5 // of a target
)

// brief bounds the words of a result. What get found is in the report alone.
func brief(result contract.Result) contract.Result {
	result.Error = fault.Shorten(result.Error, maxErrorName)
	result.Message = fault.Shorten(result.Message, maxMessage)
	result.ChangeUnknown = fault.Shorten(result.ChangeUnknown, maxMessage)
	result.Fields = briefFields(result.Fields)
	result.Wave = fault.Shorten(result.Wave, maxPath)
	result.Overrides = first(result.Overrides, maxOverrides)
	result.Resources = briefResources(result.Resources)
	result.Values, result.ObjectKey, result.Object = nil, "", nil
	return result
}

// briefResources returns the first of the resources, without the words, those first
// that did not succeed, and those last that were not started.
func briefResources(resources []contract.ResourceResult) []contract.ResourceResult {
	rank := func(r contract.ResourceResult) int {
		switch {
		case r.Outcome == contract.OutcomeNotStarted:
			return 2
		case r.Outcome.Succeeded():
			return 1
		}
		return 0
	}
	byRank := func(a, b contract.ResourceResult) int { return cmp.Compare(rank(a), rank(b)) }
	var short []contract.ResourceResult
	for _, r := range first(slices.SortedStableFunc(slices.Values(resources), byRank), maxResources) {
		short = append(short, contract.ResourceResult{Resource: r.Resource, Outcome: r.Outcome, Change: r.Change})
	}
	return short
}

// briefFields bounds the paths of fields, those that were removed first.
func briefFields(fields *contract.FieldChanges) *contract.FieldChanges {
	if fields == nil {
		return nil
	}
	room, omitted := maxPaths, fields.Omitted
	some := func(paths []string) []string {
		var shown []string
		for _, path := range first(paths, room) {
			shown = append(shown, fault.Shorten(path, maxPath))
		}
		room -= len(shown)
		omitted += len(paths) - len(shown)
		return shown
	}
	short := &contract.FieldChanges{Removed: some(fields.Removed), Changed: some(fields.Changed), Added: some(fields.Added)}
	short.Omitted = omitted
	return short
}

// fitting returns the first of the items, as many as fit that many bytes of JSON.
// It returns an empty list rather than none.
func fitting[T any](items []T, size int) []T {
	fit := []T{}
	for _, item := range items {
		if size -= sizeOf(item) + len(","); size < 0 {
			break
		}
		fit = append(fit, item)
	}
	return fit
}

// sizeOf returns how many bytes of JSON a value takes. All that the answer holds can be
// written as JSON.
func sizeOf(value any) int {
	body, err := json.Marshal(value)
	if err != nil {
		return answerBytes
	}
	return len(body)
}

// first returns the first of the items, at most that many.
func first[T any](items []T, most int) []T { return items[:min(len(items), most)] }
