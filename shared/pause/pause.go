// Package pause is how long a target waits between two windows in which poll
// watches it.
package pause

import (
	"math"
	"time"
)

// Pauses double from the first to the longest.
const (
	first   = 2 * time.Second
	longest = 60 * time.Second
)

// After returns the pause after a window, counted from 0: twice as long each time
// up to a minute, of which a random half is left off so that targets that started
// together do not come back together. random is a number in [0, 1).
func After(window int, random float64) time.Duration {
	grown := math.Min(float64(first)*math.Pow(2, float64(window)), float64(longest))
	return time.Duration(grown * (1 - random/2))
}
