package main

import (
	"math"
	"time"

	"github.com/crossapply/crossapply/shared/pause"
)

// pause returns how many seconds to wait after a window, counted from 0: never
// beyond the target's remaining time, at whose end one last look is taken.
func (p *Poller) pause(window int, remaining time.Duration) int {
	return int(math.Ceil(min(pause.After(window, p.random()), remaining).Seconds()))
}
