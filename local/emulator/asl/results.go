package asl

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/sfn/types"
)

// included is InputDetails and OutputDetails of a result file.
type included struct {
	Included bool `json:"Included"`
}

// record is one child in a result file, with Transformation NONE. The fields
// stand in the alphabet's order, as in the files that AWS writes.
// https://docs.aws.amazon.com/step-functions/latest/dg/input-output-resultwriter.html
type record struct {
	Cause               string    `json:"Cause,omitempty"`
	Error               string    `json:"Error,omitempty"`
	ExecutionArn        string    `json:"ExecutionArn,omitempty"`
	Input               string    `json:"Input"`
	InputDetails        included  `json:"InputDetails"`
	Name                string    `json:"Name,omitempty"`
	Output              *string   `json:"Output,omitempty"`
	OutputDetails       *included `json:"OutputDetails,omitempty"`
	RedriveCount        *int      `json:"RedriveCount,omitempty"`
	RedriveStatus       string    `json:"RedriveStatus,omitempty"`
	RedriveStatusReason string    `json:"RedriveStatusReason,omitempty"`
	StartDate           string    `json:"StartDate,omitempty"`
	StateMachineArn     string    `json:"StateMachineArn,omitempty"`
	Status              string    `json:"Status"`
	StopDate            string    `json:"StopDate,omitempty"`
}

func recordOf(child *Execution, end End, input, output json.RawMessage) json.RawMessage {
	r := record{
		Cause: end.Failure.Cause, Error: end.Failure.Name,
		ExecutionArn: child.ARN, Input: string(input), InputDetails: included{true}, Name: child.Name,
		OutputDetails: &included{end.Status == types.ExecutionStatusSucceeded},
		RedriveCount:  new(int), RedriveStatus: "REDRIVABLE",
		StartDate: timestamp(child.StartDate), StateMachineArn: child.MachineARN,
		Status: string(end.Status), StopDate: timestamp(end.StopDate),
	}
	if end.Status == types.ExecutionStatusSucceeded {
		r.Output = payload(output)
		r.RedriveStatus, r.RedriveStatusReason = "NOT_REDRIVABLE", "Execution is SUCCEEDED and cannot be redriven"
	}
	return encode(r)
}

// resultFiles are a run's results by the file that they go to.
type resultFiles struct{ succeeded, failed, pending []json.RawMessage }

// results gives the Map's result: what its children returned, or where the
// files with their results lie.
func (m *MapRun) results(ctx context.Context, at *bucketPlace) (json.RawMessage, error) {
	var files resultFiles
	var all []json.RawMessage
	m.mu.Lock()
	children, items, inputs := m.children, m.items, m.inputs
	m.mu.Unlock()
	for i, child := range children {
		if child == nil {
			input := inputs[i]
			if input == nil {
				input = items[i].Value
			}
			files.pending = append(files.pending, encode(record{Input: string(input), InputDetails: included{true}, Status: "PENDING"}))
			continue
		}
		transformed, err := m.transform(child)
		if err != nil {
			return nil, &Error{ErrRuntime, err.Error()}
		}
		switch {
		case at == nil:
			all = append(all, transformed...)
		case child.Status() == types.ExecutionStatusSucceeded:
			files.succeeded = append(files.succeeded, transformed...)
		default:
			files.failed = append(files.failed, transformed...)
		}
	}
	if at == nil {
		if m.state.distributed.outputType == "JSONL" {
			return encode(string(lines(all))), nil
		}
		return joinArray(all), nil
	}
	return m.write(ctx, *at, files)
}

// transform applies the WriterConfig. Children that failed are never changed.
func (m *MapRun) transform(child *Execution) ([]json.RawMessage, error) {
	end := child.End()
	input, output, err := child.Payloads()
	if err != nil {
		return nil, err
	}
	transformation := m.state.distributed.transformation
	if end.Status != types.ExecutionStatusSucceeded || transformation == "NONE" {
		return []json.RawMessage{recordOf(child, end, input, output)}, nil
	}
	if transformation == "FLATTEN" && kindOf(output) == kindArray {
		if items, err := elements(output); err == nil {
			return items, nil
		}
	}
	return []json.RawMessage{output}, nil
}

func lines(items []json.RawMessage) []byte {
	return append(bytes.Join(asBytes(items), []byte{'\n'}), '\n')
}

// resultFile is a file in the manifest.
type resultFile struct {
	Key  string `json:"Key"`
	Size int    `json:"Size"`
}

// manifest is the file manifest.json.
type manifest struct {
	DestinationBucket string `json:"DestinationBucket"`
	MapRunArn         string `json:"MapRunArn"`
	ResultFiles       struct {
		Failed    []resultFile `json:"FAILED"`
		Pending   []resultFile `json:"PENDING"`
		Succeeded []resultFile `json:"SUCCEEDED"`
	} `json:"ResultFiles"`
}

// write puts the result files and the manifest into the bucket.
func (m *MapRun) write(ctx context.Context, at bucketPlace, files resultFiles) (json.RawMessage, error) {
	dir := m.id + "/"
	if at.Prefix != "" {
		dir = strings.TrimSuffix(at.Prefix, "/") + "/" + dir
	}
	out := manifest{DestinationBucket: at.Bucket, MapRunArn: m.ARN}
	var err error
	put := func(status string, items []json.RawMessage) []resultFile {
		if err != nil || len(items) == 0 {
			return []resultFile{}
		}
		key, body := dir+status+"_0.json", []byte(joinArray(items))
		if m.state.distributed.outputType == "JSONL" {
			key, body = key+"l", lines(items)
		}
		err = m.put(ctx, at.Bucket, key, body)
		return []resultFile{{key, len(body)}}
	}
	out.ResultFiles.Failed = put("FAILED", files.failed)
	out.ResultFiles.Pending = put("PENDING", files.pending)
	out.ResultFiles.Succeeded = put("SUCCEEDED", files.succeeded)
	if err == nil {
		err = m.put(ctx, at.Bucket, dir+"manifest.json", encode(out))
	}
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	m.resultsWritten = int64(len(files.succeeded) + len(files.failed) + len(files.pending))
	m.mu.Unlock()
	return encode(map[string]any{
		"MapRunArn":           m.ARN,
		"ResultWriterDetails": map[string]string{"Bucket": at.Bucket, "Key": dir + "manifest.json"},
	}), nil
}

func (m *MapRun) put(ctx context.Context, bucket, key string, body []byte) error {
	e := m.Execution
	if e.runner.objects == nil {
		return &Error{ErrResultWriterFailed, "this runner has no objects to write"}
	}
	if err := e.runner.objects.Put(ctx, e, bucket, key, body); err != nil {
		return &Error{ErrResultWriterFailed, fmt.Sprintf("writing s3://%s/%s: %v", bucket, key, err)}
	}
	return nil
}
