package main

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/crossapply/crossapply/shared/awsenv"
)

// BenchmarkLateness tells how much later than the operator a target sees Ready,
// where that comes at any moment of a wait of 15 minutes: at once within a window,
// and at its end within a pause. It computes with the true pauses and the default
// window; what the calls take is left out.
func BenchmarkLateness(b *testing.B) {
	const wait = 15 * time.Minute
	random := rand.New(rand.NewPCG(1, 2))
	p := &Poller{random: random.Float64}
	var late []float64
	for b.Loop() {
		ready := time.Duration(random.Int64N(int64(wait)))
		late = append(late, p.lateness(ready, wait).Seconds())
	}
	slices.Sort(late)
	at := func(share float64) float64 { return late[int(share*float64(len(late)-1))] }
	b.ReportMetric(at(0.5), "p50-s")
	b.ReportMetric(at(0.9), "p90-s")
	b.ReportMetric(at(1), "max-s")
}

func (p *Poller) lateness(ready, wait time.Duration) time.Duration {
	for start, window := time.Duration(0), 0; ; window++ {
		end := min(start+awsenv.DefaultPollWindow, wait)
		if ready < end {
			return max(start-ready, 0)
		}
		start = end + time.Duration(p.pause(window, wait-end))*time.Second
	}
}
