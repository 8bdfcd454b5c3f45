package events_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/crossapply/crossapply/local/emulator/awsapi"
	"github.com/crossapply/crossapply/local/emulator/awsapi/awsapitest"
	"github.com/crossapply/crossapply/local/emulator/awsapi/events"
	"github.com/crossapply/crossapply/local/emulator/awsapi/iam"
)

func clientOf(s *awsapi.Server, u iam.User) *eventbridge.Client {
	return eventbridge.NewFromConfig(awsapitest.ConfigOf(s, u))
}

func entry(source, detailType, detail string) types.PutEventsRequestEntry {
	return types.PutEventsRequestEntry{Source: &source, DetailType: &detailType, Detail: &detail}
}

func TestPutEvents(t *testing.T) {
	s := awsapitest.Start(t)
	var delivered []events.Event
	s.Events.Subscribe(func(ev events.Event) { delivered = append(delivered, ev) })
	first, second := entry("shop", "Order", `{"id": 1}`), entry("shop", "Order", `{"id": 2}`)
	first.Resources = []string{"arn:aws:s3:::runs"}
	first.Time = aws.Time(time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC))
	out, err := clientOf(s, awsapitest.Admin()).PutEvents(t.Context(), &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{first, second}})
	if err != nil {
		t.Fatal(err)
	}
	if out.FailedEntryCount != 0 || len(out.Entries) != 2 || len(delivered) != 2 {
		t.Fatalf("%+v, delivered %+v", out, delivered)
	}
	body, err := json.Marshal(delivered[0])
	if err != nil {
		t.Fatal(err)
	}
	want := `{"version":"0","id":"` + *out.Entries[0].EventId + `","detail-type":"Order","source":"shop","account":"111111111111",` +
		`"time":"2026-01-02T03:04:05Z","region":"eu-west-1","resources":["arn:aws:s3:::runs"],"detail":{"id":1}}`
	if string(body) != want || delivered[0].Bus != "arn:aws:events:eu-west-1:111111111111:event-bus/default" {
		t.Errorf("event %s on %s", body, delivered[0].Bus)
	}
	if recorded := s.Events.Events(); len(recorded) != 2 || recorded[1].ID != *out.Entries[1].EventId {
		t.Errorf("recorded %+v", recorded)
	}
}

// An entry that is wrong does not keep the others away.
func TestEntriesThatFail(t *testing.T) {
	s := awsapitest.Start(t)
	for name, tt := range map[string]struct {
		entry         types.PutEventsRequestEntry
		code, message string
	}{
		"no source":      {types.PutEventsRequestEntry{DetailType: aws.String("a"), Detail: aws.String("{}")}, "InvalidArgument", "Parameter Source is not valid. Reason: Source is a required argument."},
		"no detail type": {types.PutEventsRequestEntry{Source: aws.String("a"), Detail: aws.String("{}")}, "InvalidArgument", "Parameter DetailType is not valid. Reason: DetailType is a required argument."},
		"no detail":      {types.PutEventsRequestEntry{Source: aws.String("a"), DetailType: aws.String("a")}, "InvalidArgument", "Parameter Detail is not valid. Reason: Detail is a required argument."},
		"no JSON":        {entry("a", "a", "{"), "MalformedDetail", "Detail is malformed."},
		"no object":      {entry("a", "a", `["a"]`), "MalformedDetail", "Detail is malformed."},
		"null":           {entry("a", "a", `null`), "MalformedDetail", "Detail is malformed."},
		"AWS's name":     {entry("aws.ec2", "a", `{}`), "NotAuthorizedForSourceException", "Not authorized for the source."},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := clientOf(s, awsapitest.Admin()).PutEvents(t.Context(), &eventbridge.PutEventsInput{
				Entries: []types.PutEventsRequestEntry{tt.entry, entry("good", "a", "{}")},
			})
			if err != nil {
				t.Fatal(err)
			}
			failed := out.Entries[0]
			if out.FailedEntryCount != 1 || failed.EventId != nil || aws.ToString(failed.ErrorCode) != tt.code ||
				aws.ToString(failed.ErrorMessage) != tt.message || out.Entries[1].EventId == nil {
				t.Errorf("%d failed: %s %s", out.FailedEntryCount, aws.ToString(failed.ErrorCode), aws.ToString(failed.ErrorMessage))
			}
		})
	}
	for _, ev := range s.Events.Events() {
		if ev.Source != "good" {
			t.Errorf("recorded %+v", ev)
		}
	}
}

// EventBridge may fail to take an event that nothing is wrong with.
func TestFailure(t *testing.T) {
	s := awsapitest.Start(t)
	s.Events.SetFailure(func(e events.Event) bool { return e.Source == "unlucky" })
	out, err := clientOf(s, awsapitest.Admin()).PutEvents(t.Context(), &eventbridge.PutEventsInput{
		Entries: []types.PutEventsRequestEntry{entry("unlucky", "a", "{}"), entry("good", "a", "{}")},
	})
	if err != nil || out.FailedEntryCount != 1 || aws.ToString(out.Entries[0].ErrorCode) != "InternalFailure" || out.Entries[1].EventId == nil {
		t.Errorf("%+v, %v", out, err)
	}
	if recorded := s.Events.Events(); len(recorded) != 1 || recorded[0].Source != "good" {
		t.Errorf("recorded %+v", recorded)
	}
}

func TestRequestsThatAreRefused(t *testing.T) {
	s := awsapitest.Start(t)
	half := entry("a", "a", `{"a":"`+strings.Repeat("x", 1<<19)+`"}`)
	for name, tt := range map[string]struct {
		in      eventbridge.PutEventsInput
		message string
	}{
		"none":      {eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{}}, "greater than or equal to 1"},
		"eleven":    {eventbridge.PutEventsInput{Entries: make([]types.PutEventsRequestEntry, 11)}, "less than or equal to 10"},
		"over 1 MB": {eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{half, half}}, "Total size of the entries in the request is over the limit."},
	} {
		_, err := clientOf(s, awsapitest.Admin()).PutEvents(t.Context(), &tt.in)
		awsapitest.CheckCode(t, err, "ValidationException", 400)
		if err != nil && !strings.Contains(err.Error(), tt.message) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := s.Events.Events(); len(got) != 0 {
		t.Errorf("recorded %d events", len(got))
	}
}

// A policy names the bus, and may name the source.
func TestPutEventsPolicies(t *testing.T) {
	const mine = "arn:aws:events:eu-west-1:111111111111:event-bus/mine"
	guest := awsapitest.Guest()
	guest.Policies = []string{`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"events:PutEvents","Resource":"` + mine + `",
		"Condition":{"StringEquals":{"events:source":"shop"}}}}`}
	s := awsapitest.Start(t, func(c *awsapi.Config) {
		c.Users = []iam.User{guest, awsapitest.Admin()}
		c.Buses = []events.Bus{{Account: awsapitest.Hub, Name: "mine"}}
	})
	put := func(u iam.User, bus, source string) error {
		e := entry(source, "a", "{}")
		e.EventBusName = &bus
		_, err := clientOf(s, u).PutEvents(t.Context(), &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{e}})
		return err
	}
	for _, bus := range []string{"mine", mine} {
		if err := put(guest, bus, "shop"); err != nil {
			t.Error(err)
		}
	}
	awsapitest.CheckCode(t, put(guest, "mine", "another"), "AccessDeniedException", 400)
	awsapitest.CheckCode(t, put(guest, "default", "shop"), "AccessDeniedException", 400)
	// A bus of another account has a say of its own.
	awsapitest.CheckCode(t, put(awsapitest.Admin(), "arn:aws:events:eu-west-1:222222222222:event-bus/default", "shop"), "AccessDeniedException", 400)
	// What a bus takes that does not exist is lost.
	if err := put(awsapitest.Admin(), "nobody", "shop"); err != nil {
		t.Error(err)
	}
	if got := s.Events.Events(); len(got) != 2 || got[0].Bus != mine || got[1].Bus != mine {
		t.Errorf("recorded %+v", got)
	}
}

func TestAwait(t *testing.T) {
	s := awsapitest.Start(t)
	second := func(ev events.Event) bool { return string(ev.Detail) == `{"n":2}` }
	got := make(chan error, 1)
	go func() {
		_, err := s.Events.Await(t.Context(), second)
		got <- err
	}()
	for _, detail := range []string{`{"n":1}`, `{"n":2}`} {
		if _, err := clientOf(s, awsapitest.Admin()).PutEvents(t.Context(), &eventbridge.PutEventsInput{
			Entries: []types.PutEventsRequestEntry{entry("a", "a", detail)},
		}); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-got; err != nil {
		t.Error(err)
	}
	if _, err := s.Events.Await(t.Context(), second); err != nil { // one that was there before
		t.Error(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	gone := errors.New("gone")
	cancel(gone)
	if _, err := s.Events.Await(ctx, func(events.Event) bool { return false }); !errors.Is(err, gone) {
		t.Error(err)
	}
}
