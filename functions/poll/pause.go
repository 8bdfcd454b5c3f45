package main

import (
	"math"
	"time"
)

// Pauses between windows double from the first to the longest.
const (
	firstPause   = 2 * time.Second
	longestPause = 60 * time.Second
)

// pause returns how many seconds to wait after a window, counted from 0: twice
// as long each time up to a minute, of which a random half is left off so that
// targets that started together do not come back together; never beyond the
// target's remaining time, at whose end one last look is taken.
func (p *Poller) pause(window int, remaining time.Duration) int {
	longest := float64(longestPause)
	grown := math.Min(float64(firstPause)*math.Pow(2, float64(window)), longest)
	jittered := time.Duration(grown * (1 - p.random()/2))
	return int(math.Ceil(min(jittered, remaining).Seconds()))
}
