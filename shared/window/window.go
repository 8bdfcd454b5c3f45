// Package window says when a wave may start: the times of day, on days of the week,
// of a [contract.Window].
//
// Where clocks are changed, a time of day that does not exist is the moment at which
// they are set forward, and one that exists twice is the first of the two. So a window
// can be an hour shorter or longer on that day, and one that lies in the hour that is
// left out does not open.
package window

import (
	"cmp"
	"fmt"
	"slices"
	"time"
	_ "time/tzdata" // a function's runtime need not bring the time zones

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/crossapply/crossapply/shared/contract"
)

// days are the days of the week, each at its number in package time.
var days = []string{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"}

// clock is a time of day.
type clock struct{ hour, minute int }

func (c clock) before(other clock) bool {
	return c.hour < other.hour || c.hour == other.hour && c.minute < other.minute
}

// Check says what is wrong with a window, at path.
func Check(w contract.Window, path *field.Path) field.ErrorList {
	_, problems := parse(w, path)
	return problems
}

// Next returns when the window is open next: now where it is open, or where there is
// no window. An error says that the window is one that [Check] refuses.
func Next(w *contract.Window, now time.Time) (time.Time, error) {
	if w == nil {
		return now, nil
	}
	parsed, problems := parse(*w, field.NewPath("window"))
	if err := problems.ToAggregate(); err != nil {
		return time.Time{}, err
	}
	// It may have opened yesterday. A week later it opens again, and in a week more
	// where it does not open once because the clocks are changed.
	year, month, today := now.In(parsed.zone).Date()
	for day := today - 1; day <= today+15; day++ {
		opens, closes := parsed.on(year, month, day)
		if opens.Before(closes) && now.Before(closes) {
			return latest(now, opens), nil
		}
	}
	return time.Time{}, fmt.Errorf("the window %+v does not open within two weeks of %s", *w, now)
}

func latest(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// parsed is a window whose times are read.
type parsed struct {
	weekdays []time.Weekday
	from, to clock
	zone     *time.Location
}

func parse(w contract.Window, path *field.Path) (parsed, field.ErrorList) {
	var problems field.ErrorList
	var p parsed
	for i, name := range w.Days {
		at := path.Child("days").Index(i)
		day := slices.Index(days, name)
		switch {
		case day < 0:
			problems = append(problems, field.NotSupported(at, name, append(slices.Clone(days[1:]), days[0])))
		case slices.Contains(p.weekdays, time.Weekday(day)):
			problems = append(problems, field.Duplicate(at, name))
		}
		p.weekdays = append(p.weekdays, time.Weekday(day))
	}
	timeOfDay := func(text, name string) clock {
		t, err := time.Parse("15:04", cmp.Or(text, "00:00"))
		if err != nil || len(text) == len("1:00") {
			problems = append(problems, field.Invalid(path.Child(name), text, "must be a time of day such as 22:00"))
		}
		return clock{t.Hour(), t.Minute()}
	}
	p.from, p.to = timeOfDay(w.From, "from"), timeOfDay(w.To, "to")
	var err error
	if p.zone, err = time.LoadLocation(w.TimeZone); err != nil || w.TimeZone == "Local" {
		problems = append(problems, field.Invalid(path.Child("timeZone"), w.TimeZone, "must be an IANA time zone such as Europe/Berlin"))
	}
	return p, problems
}

// on returns when the window opens and closes that opens on a day, which may lie
// beyond the month's end: never, both zero, where it does not open on that day of the
// week.
func (p parsed) on(year int, month time.Month, day int) (opens, closes time.Time) {
	weekday := time.Date(year, month, day, 12, 0, 0, 0, time.UTC).Weekday()
	if len(p.weekdays) > 0 && !slices.Contains(p.weekdays, weekday) {
		return time.Time{}, time.Time{}
	}
	end := day
	if !p.from.before(p.to) {
		end++
	}
	return p.at(year, month, day, p.from), p.at(year, month, end, p.to)
}

// at returns the moment at which clocks in the zone show a time of day. (time.Date
// does not promise which, where there are two or none.)
func (p parsed) at(year int, month time.Month, day int, c clock) time.Time {
	shown := time.Date(year, month, day, c.hour, c.minute, 0, 0, time.UTC)
	// No zone is farther from UTC than a day, so these are the offsets before and after
	// any change that matters.
	_, before := shown.AddDate(0, 0, -1).In(p.zone).Zone()
	_, after := shown.AddDate(0, 0, 1).In(p.zone).Zone()
	first := shown.Add(-time.Duration(before) * time.Second).In(p.zone)
	if _, offset := first.Zone(); offset == before {
		return first
	}
	second := shown.Add(-time.Duration(after) * time.Second).In(p.zone)
	if _, offset := second.Zone(); offset == after {
		return second
	}
	change, _ := first.ZoneBounds()
	return change
}
