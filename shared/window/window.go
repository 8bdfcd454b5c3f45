// Package window is a stand-in.
package window

import (
	"time"

	"github.com/crossapply/crossapply/shared/contract"
)

// Next returns now where the window is open, else when it opens.
func Next(w contract.Window, now time.Time) time.Time {
	zone, err := time.LoadLocation(w.TimeZone)
	if err != nil {
		return now
	}
	local := now.In(zone)
	from, err := time.ParseInLocation("15:04", w.From, zone)
	if err != nil {
		return now
	}
	to, err := time.ParseInLocation("15:04", w.To, zone)
	if err != nil {
		return now
	}
	y, m, d := local.Date()
	opens := time.Date(y, m, d, from.Hour(), from.Minute(), 0, 0, zone)
	closes := time.Date(y, m, d, to.Hour(), to.Minute(), 0, 0, zone)
	switch {
	case local.Before(opens):
		return opens
	case local.Before(closes):
		return now
	}
	return opens.AddDate(0, 0, 1)
}
