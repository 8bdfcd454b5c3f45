package mapresults

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/crossapply/crossapply/shared/fault"
)

// Reader is where the results lie; [runs.Bucket] is one.
type Reader interface {
	Open(ctx context.Context, key string) (io.ReadCloser, error)
}

// Child is the entry of one child execution. The times are text: one that cannot be
// read must not hide the rest.
type Child struct {
	Input     string `json:"Input"`
	Output    string `json:"Output"`
	Status    string `json:"Status"`
	Error     string `json:"Error"`
	Cause     string `json:"Cause"`
	StartDate string `json:"StartDate"`
	StopDate  string `json:"StopDate"`

	// Place says where the entry is, for messages: its file, and its number there.
	Place string `json:"-"`
	// odd is why the entry could not be read whole.
	odd error
}

// manifest is what lies beside the files with the results.
type manifest struct {
	ResultFiles map[string][]struct {
		Key string `json:"Key"`
	} `json:"ResultFiles"`
}

// Read visits every child in the results of one Map below a prefix, which is the one
// that its ResultWriter was given; keys are all keys that there are below it, and may
// hold others. One entry is held at a time. A Map writes its results when it ends,
// whether or not it succeeded: written says that it did. Lost says what cannot be read
// without it being known which children it is about. Read fails only with what may
// pass; then all is worth another try.
func Read(ctx context.Context, store Reader, prefix string, keys []string, visit func(Child)) (written bool, lost []string, err error) {
	r := reading{store: store, visit: visit, files: map[string]bool{}}
	for _, key := range keys {
		if !strings.HasPrefix(key, prefix+"/") || path.Ext(key) != ".json" {
			continue
		}
		// All files that are there, so that a broken manifest hides none; and those
		// that a manifest names, so that a missing one is noticed.
		if path.Base(key) != "manifest.json" {
			r.files[key] = true
			continue
		}
		written = true
		if err := r.tolerate(r.manifest(ctx, key)); err != nil {
			return written, r.lost, err
		}
	}
	for _, key := range slices.Sorted(maps.Keys(r.files)) {
		if err := r.tolerate(r.file(ctx, key)); err != nil {
			return written, r.lost, err
		}
	}
	return written, r.lost, nil
}

// reading is the state of a [Read].
type reading struct {
	store Reader
	visit func(Child)
	files map[string]bool
	lost  []string
}

// tolerate notes an error that costs some results, and returns one that may pass.
func (r *reading) tolerate(err error) error {
	if err == nil {
		return nil
	}
	if fault.Catalogue()[fault.NameOf(err)].Passes {
		return fmt.Errorf("read the Map's results: %w", err)
	}
	r.lost = append(r.lost, fault.Shorten(err.Error(), maxMessage))
	return nil
}

// manifest takes from a manifest which files it names.
func (r *reading) manifest(ctx context.Context, key string) error {
	body, err := r.store.Open(ctx, key)
	if err != nil {
		return err
	}
	var m manifest
	if err := errors.Join(json.NewDecoder(body).Decode(&m), body.Close()); err != nil {
		return fmt.Errorf("read %s: %w", key, err)
	}
	for _, named := range m.ResultFiles {
		for _, file := range named {
			r.files[file.Key] = true
		}
	}
	return nil
}

// file reads a file of entries, as far as it can be read.
func (r *reading) file(ctx context.Context, key string) error {
	body, err := r.store.Open(ctx, key)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }() // what was read of it counts
	entries := json.NewDecoder(body)
	if err := opens(entries); err != nil {
		return fmt.Errorf("%s is not a JSON array: %w", key, err)
	}
	for i := 0; entries.More(); i++ {
		var entry json.RawMessage
		if err := entries.Decode(&entry); err != nil {
			return fmt.Errorf("%s: from entry %d on: %w", key, i, err)
		}
		child := Child{Place: fmt.Sprintf("%s: entry %d", key, i)}
		child.odd = json.Unmarshal(entry, &child) // reads all the same what it can
		r.visit(child)
	}
	if _, err := entries.Token(); err != nil {
		return fmt.Errorf("%s: at its end: %w", key, err)
	}
	return nil
}

// opens reads the beginning of a JSON array.
func opens(entries *json.Decoder) error {
	start, err := entries.Token()
	if err == nil && start != json.Delim('[') {
		err = fmt.Errorf("it begins with %v", start)
	}
	return err
}
