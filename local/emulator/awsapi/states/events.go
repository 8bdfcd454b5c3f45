package states

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/crossapply/crossapply/local/emulator/asl"
)

// putEvents is the integration events:putEvents. It names the state machine and the
// execution among each event's resources, and one failed entry fails the state.
// https://docs.aws.amazon.com/step-functions/latest/dg/connect-eventbridge.html
func (c *clients) putEvents(ctx context.Context, task asl.Task) (json.RawMessage, error) {
	var in struct{ Entries []json.RawMessage }
	if err := arguments("events:putEvents", task.Arguments, &in, "Entries"); err != nil {
		return nil, err
	}
	request := &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{}}
	for i, raw := range in.Entries {
		entry, err := entryOf(fmt.Sprintf("events:putEvents, Entries[%d]", i), raw)
		if err != nil {
			return nil, err
		}
		entry.Resources = append(entry.Resources, task.MachineARN, task.ExecutionARN)
		request.Entries = append(request.Entries, entry)
	}
	out, err := c.events.PutEvents(ctx, request)
	if err != nil {
		return nil, serviceError("EventBridge", "EventBridgeException", err)
	}
	result, err := putEventsResult(out)
	if err == nil && out.FailedEntryCount > 0 {
		return nil, &asl.Error{Name: "EventBridge.FailedEntry", Cause: string(result)}
	}
	return result, err
}

// entryOf reads one entry. Its Detail is an object, or the text of one.
func entryOf(where string, raw json.RawMessage) (types.PutEventsRequestEntry, error) {
	var in struct {
		Source, DetailType, EventBusName *string
		Detail                           json.RawMessage
		Resources                        []string
		Time                             *time.Time
	}
	if err := arguments(where, raw, &in); err != nil {
		return types.PutEventsRequestEntry{}, err
	}
	entry := types.PutEventsRequestEntry{
		Source: in.Source, DetailType: in.DetailType, EventBusName: in.EventBusName, Resources: in.Resources, Time: in.Time,
	}
	var text string
	switch {
	case in.Detail == nil:
	case json.Unmarshal(in.Detail, &text) == nil:
		entry.Detail = &text
	default:
		entry.Detail = aws.String(string(bytes.TrimSpace(in.Detail)))
	}
	return entry, nil
}

func putEventsResult(out *eventbridge.PutEventsOutput) (json.RawMessage, error) {
	entries, err := marshalResult(out.Entries)
	if err != nil {
		return nil, err
	}
	return json.Marshal(struct {
		Entries          json.RawMessage
		FailedEntryCount int32
		sdkMetadata
	}{entries, out.FailedEntryCount, metadataOf(out.ResultMetadata)})
}
