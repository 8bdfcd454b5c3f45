package window_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/window"
)

const (
	berlin  = "Europe/Berlin"
	newYork = "America/New_York"
)

func TestNext(t *testing.T) {
	weekend := []string{"Sat", "Sun"}
	for _, test := range []struct {
		name   string
		window contract.Window
		// Both in UTC; 2026-01-05 is a Monday.
		now, want string
	}{
		{"always", contract.Window{}, "2026-01-05T10:00:00Z", "2026-01-05T10:00:00Z"},
		{"before it opens", contract.Window{From: "22:00", To: "23:00"}, "2026-01-05T10:00:00Z", "2026-01-05T22:00:00Z"},
		{"when it opens", contract.Window{From: "22:00", To: "23:00"}, "2026-01-05T22:00:00Z", "2026-01-05T22:00:00Z"},
		{"while it is open", contract.Window{From: "22:00", To: "23:00"}, "2026-01-05T22:59:59Z", "2026-01-05T22:59:59Z"},
		{"when it closes", contract.Window{From: "22:00", To: "23:00"}, "2026-01-05T23:00:00Z", "2026-01-06T22:00:00Z"},
		{"over midnight, before", contract.Window{From: "22:00", To: "04:00"}, "2026-01-05T21:59:59Z", "2026-01-05T22:00:00Z"},
		{"over midnight, on the day before", contract.Window{From: "22:00", To: "04:00"}, "2026-01-05T23:00:00Z", "2026-01-05T23:00:00Z"},
		{"over midnight, on the day after", contract.Window{From: "22:00", To: "04:00"}, "2026-01-06T03:59:00Z", "2026-01-06T03:59:00Z"},
		{"over midnight, after", contract.Window{From: "22:00", To: "04:00"}, "2026-01-06T04:00:00Z", "2026-01-06T22:00:00Z"},
		{"from alone", contract.Window{From: "22:00"}, "2026-01-05T23:59:00Z", "2026-01-05T23:59:00Z"},
		{"from alone, after midnight", contract.Window{From: "22:00"}, "2026-01-06T00:00:00Z", "2026-01-06T22:00:00Z"},
		{"to alone", contract.Window{To: "06:00"}, "2026-01-05T06:00:00Z", "2026-01-06T00:00:00Z"},
		{"from when it closes", contract.Window{From: "10:00", To: "10:00", Days: []string{"Mon"}}, "2026-01-06T09:00:00Z", "2026-01-06T09:00:00Z"},
		{"another day", contract.Window{Days: []string{"Wed"}}, "2026-01-05T10:00:00Z", "2026-01-07T00:00:00Z"},
		{"the day itself", contract.Window{Days: []string{"Mon"}}, "2026-01-05T23:59:59Z", "2026-01-05T23:59:59Z"},
		{"a week later", contract.Window{Days: []string{"Mon"}}, "2026-01-06T00:00:00Z", "2026-01-12T00:00:00Z"},
		{"over a month's end", contract.Window{Days: []string{"Sun"}}, "2026-01-31T10:00:00Z", "2026-02-01T00:00:00Z"},
		{"over a year's end", contract.Window{Days: weekend, From: "20:00", To: "21:00"}, "2026-12-31T10:00:00Z", "2027-01-02T20:00:00Z"},
		{"the night of a day belongs to it", contract.Window{Days: []string{"Mon"}, From: "22:00", To: "04:00"}, "2026-01-06T03:00:00Z", "2026-01-06T03:00:00Z"},
		{"the night before does not", contract.Window{Days: []string{"Mon"}, From: "22:00", To: "04:00"}, "2026-01-05T03:00:00Z", "2026-01-05T22:00:00Z"},
		{"a zone, east", contract.Window{From: "22:00", To: "23:00", TimeZone: "Asia/Tokyo"}, "2026-01-05T10:00:00Z", "2026-01-05T13:00:00Z"},
		{"a zone, west, on the day before there", contract.Window{Days: []string{"Sun"}, TimeZone: newYork}, "2026-01-05T04:59:00Z", "2026-01-05T04:59:00Z"},
		{"a zone, another date there", contract.Window{Days: []string{"Tue"}, TimeZone: "Pacific/Auckland"}, "2026-01-05T10:59:00Z", "2026-01-05T11:00:00Z"},
		{"a zone of half hours", contract.Window{From: "09:15", To: "10:00", TimeZone: "Asia/Kathmandu"}, "2026-01-05T00:00:00Z", "2026-01-05T03:30:00Z"},

		// In 2026 Berlin goes from 02:00 to 03:00 at 01:00 UTC of March 29, and from 03:00 to
		// 02:00 at 01:00 UTC of October 25: both are Sundays.
		{"Berlin, winter", contract.Window{From: "08:00", To: "09:00", TimeZone: berlin}, "2026-03-28T06:00:00Z", "2026-03-28T07:00:00Z"},
		{"Berlin, summer", contract.Window{From: "08:00", To: "09:00", TimeZone: berlin}, "2026-03-29T05:00:00Z", "2026-03-29T06:00:00Z"},
		{"Berlin, from does not exist", contract.Window{From: "02:30", To: "04:00", TimeZone: berlin}, "2026-03-29T00:00:00Z", "2026-03-29T01:00:00Z"},
		{"Berlin, to does not exist", contract.Window{From: "01:00", To: "02:30", TimeZone: berlin}, "2026-03-29T01:00:00Z", "2026-03-29T23:00:00Z"},
		{"Berlin, neither exists", contract.Window{From: "02:00", To: "03:00", TimeZone: berlin}, "2026-03-29T00:59:00Z", "2026-03-30T00:00:00Z"},
		{"Berlin, neither exists on the only day", contract.Window{Days: []string{"Sun"}, From: "02:15", To: "02:45", TimeZone: berlin}, "2026-03-28T00:00:00Z", "2026-04-05T00:15:00Z"},
		{"Berlin, from exists twice", contract.Window{From: "02:30", To: "04:00", TimeZone: berlin}, "2026-10-25T00:00:00Z", "2026-10-25T00:30:00Z"},
		{"Berlin, within the repeated hour", contract.Window{From: "02:30", To: "04:00", TimeZone: berlin}, "2026-10-25T01:10:00Z", "2026-10-25T01:10:00Z"},
		{"Berlin, to exists twice", contract.Window{From: "01:00", To: "02:30", TimeZone: berlin}, "2026-10-25T00:30:00Z", "2026-10-26T00:00:00Z"},
		{"Berlin, both exist twice", contract.Window{From: "02:15", To: "02:45", TimeZone: berlin}, "2026-10-25T01:20:00Z", "2026-10-26T01:15:00Z"},
		{"Berlin, all day", contract.Window{Days: []string{"Sun"}, TimeZone: berlin}, "2026-10-25T22:59:00Z", "2026-10-25T22:59:00Z"},
		{"Berlin, the day after", contract.Window{Days: []string{"Sun"}, TimeZone: berlin}, "2026-10-25T23:00:00Z", "2026-10-31T23:00:00Z"},

		// New York goes forward at 07:00 UTC of March 8, and back at 06:00 UTC of November 1.
		{"New York, from does not exist", contract.Window{From: "02:30", To: "04:00", TimeZone: newYork}, "2026-03-08T05:00:00Z", "2026-03-08T07:00:00Z"},
		{"New York, it closes an hour early", contract.Window{From: "22:00", To: "04:00", TimeZone: newYork}, "2026-03-08T08:00:00Z", "2026-03-09T02:00:00Z"},
		{"New York, from exists twice", contract.Window{From: "01:30", To: "03:00", TimeZone: newYork}, "2026-11-01T05:00:00Z", "2026-11-01T05:30:00Z"},
		{"New York, to exists twice", contract.Window{From: "00:00", To: "01:30", TimeZone: newYork}, "2026-11-01T05:30:00Z", "2026-11-02T05:00:00Z"},

		// Midnight of April 25, 2025, did not exist in Cairo.
		{"Cairo, midnight does not exist", contract.Window{Days: []string{"Fri"}, TimeZone: "Africa/Cairo"}, "2025-04-24T12:00:00Z", "2025-04-24T22:00:00Z"},
		// Nor did December 30, 2011, a Friday, in Samoa.
		{"Samoa, the day does not exist", contract.Window{Days: []string{"Fri"}, TimeZone: "Pacific/Apia"}, "2011-12-30T00:00:00Z", "2012-01-05T10:00:00Z"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := window.Next(&test.window, at(t, test.now))
			if err != nil {
				t.Fatal(err)
			}
			if !got.Equal(at(t, test.want)) {
				t.Errorf("it opens at %s, want %s", got.UTC().Format(time.RFC3339), test.want)
			}
			// It is open then, and asked again says so.
			if again, err := window.Next(&test.window, got); err != nil || !again.Equal(got) {
				t.Errorf("asked again: %s (%v)", again, err)
			}
		})
	}
}

func at(t *testing.T, text string) time.Time {
	t.Helper()
	moment, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return moment
}

func TestNoWindow(t *testing.T) {
	now := at(t, "2026-01-05T10:00:00Z")
	if got, err := window.Next(nil, now); err != nil || got != now {
		t.Errorf("%s, %v", got, err)
	}
}

// Where clocks are not changed, a window is open at the times of day that it says.
func TestNextIsOpen(t *testing.T) {
	w := &contract.Window{Days: []string{"Tue", "Fri"}, From: "21:30", To: "03:15", TimeZone: "Asia/Kolkata"}
	zone, err := time.LoadLocation(w.TimeZone)
	if err != nil {
		t.Fatal(err)
	}
	for now := at(t, "2026-05-01T00:00:00Z"); now.Before(at(t, "2026-05-20T00:00:00Z")); now = now.Add(15 * time.Minute) {
		local := now.In(zone)
		clock, day := local.Format("15:04"), local.Weekday()
		open := clock >= "21:30" && (day == time.Tuesday || day == time.Friday) || clock < "03:15" && (day == time.Wednesday || day == time.Saturday)
		if got, err := window.Next(w, now); err != nil || got.Equal(now) != open {
			t.Errorf("at %s, %s %s there: %s (%v)", now, day, clock, got, err)
		}
	}
}

func TestCheck(t *testing.T) {
	for _, test := range []struct {
		window contract.Window
		want   string
	}{
		{contract.Window{}, ""},
		{contract.Window{Days: []string{"Mon", "Sun"}, From: "00:00", To: "23:59", TimeZone: "UTC"}, ""},
		{contract.Window{Days: []string{"mon"}}, `w.days[0]: Unsupported value: "mon": supported values: "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"`},
		{contract.Window{Days: []string{"Mon", "Tue", "Mon"}}, `w.days[2]: Duplicate value: "Mon"`},
		{contract.Window{From: "24:00"}, `w.from: Invalid value: "24:00": must be a time of day such as 22:00`},
		{contract.Window{From: "9:00"}, `w.from: Invalid value: "9:00"`},
		{contract.Window{To: "22:00:00"}, `w.to: Invalid value: "22:00:00"`},
		{contract.Window{To: "10pm"}, `w.to: Invalid value: "10pm"`},
		{contract.Window{TimeZone: "CEST"}, `w.timeZone: Invalid value: "CEST": must be an IANA time zone such as Europe/Berlin`},
		{contract.Window{TimeZone: "Local"}, `w.timeZone: Invalid value: "Local"`},
		{contract.Window{TimeZone: "../etc/passwd"}, `w.timeZone: Invalid value`},
	} {
		problems := window.Check(test.window, field.NewPath("w"))
		if got := fmt.Sprint(problems); (len(problems) == 0) != (test.want == "") || !strings.Contains(got, test.want) {
			t.Errorf("%+v: %s, want %q", test.window, got, test.want)
		}
		if _, err := window.Next(&test.window, time.Unix(0, 0)); (err != nil) != (test.want != "") {
			t.Errorf("%+v: %v", test.window, err)
		}
	}
}
