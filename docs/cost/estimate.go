package cost

import (
	"cmp"
	"fmt"
	"strconv"
	"time"

	"github.com/crossapply/crossapply/shared/awsenv"
	"github.com/crossapply/crossapply/shared/deployment"
	"github.com/crossapply/crossapply/shared/pause"
)

// Rollout is an execution whose costs are to be estimated. Every target succeeds.
type Rollout struct {
	Targets int
	// Waves is how many waves they are in; 0 means one.
	Waves int
	// Wait is how long after the apply the resource becomes Ready; 0 means that it
	// was unchanged.
	Wait time.Duration
	// Window is the poll window; 0 means the default.
	Window time.Duration
	// Key says that the deployment has a key of its own.
	Key bool
}

// What is assumed: how long the functions run, in seconds, but for poll, which
// watches; and how much an invocation logs, with Lambda's own lines.
const (
	planSeconds    = 1.0
	resolveSeconds = 1.0
	applySeconds   = 0.5
	reviewSeconds  = 5.0
	reportSeconds  = 10.0
	logBytes       = 2_000
)

// listed is how many objects one LIST returns: report lists what an execution
// left, of each target the journal's entry.
const listed = 1_000

// Estimate is what a rollout costs.
type Estimate struct {
	Rollout
	// Windows is how many windows poll watches each target.
	Windows int
	Lines   []Line
}

// Line is one kind of cost.
type Line struct {
	// What is charged, and why so much of it.
	What  string
	Units float64
	Price Price
}

// USD is what the line comes to.
func (l Line) USD() float64 { return l.Price.Of(l.Units) }

// Sum is the line's arithmetic, such as "7,006 × 0.025 / 1,000 = 0.175".
func (l Line) Sum() string {
	units := strconv.FormatFloat(l.Units, 'f', 3, 64)
	if l.Units >= 1 {
		units = number(int(l.Units + 0.5))
	}
	per := ""
	if l.Price.Per > 1 {
		per = " / " + number(l.Price.Per)
	}
	digits := 3
	if l.USD() < 0.001 {
		digits = 4
	}
	return fmt.Sprintf("%s × %s%s = %.*f", units, amount(l.Price.USD), per, digits, l.USD())
}

// String says in words what is estimated.
func (e Estimate) String() string {
	targets := number(e.Targets) + " targets"
	if e.Waves > 1 {
		targets += fmt.Sprintf(" in %d waves", e.Waves)
	}
	if e.Wait == 0 {
		return targets + " that have the resource already"
	}
	return fmt.Sprintf("%s, each Ready after %v seconds", targets, e.Wait.Seconds())
}

// USD is what the rollout costs.
func (e Estimate) USD() float64 {
	total := 0.0
	for _, line := range e.Lines {
		total += line.USD()
	}
	return total
}

// Estimate returns what the rollout costs.
func (r Rollout) Estimate() Estimate {
	r.Window, r.Waves = cmp.Or(r.Window, awsenv.DefaultPollWindow), max(r.Waves, 1)
	target, watched, e := Unchanged, time.Duration(0), Estimate{Rollout: r}
	if r.Wait > 0 {
		e.Windows, watched = r.windows()
		target = Changed.add(Window, e.Windows-1)
	}
	execution := Execution.add(Phase, r.Waves-1)
	all := Sum(execution, Again).add(target, r.Targets)
	invocations := all.Invocations.Total()
	reads, writes := all.AWS["s3:GetObject"], all.AWS["s3:PutObject"]
	lists := all.AWS["s3:ListObjects"] + r.Targets/listed
	e.Lines = []Line{
		{fmt.Sprintf("state transitions: %d a target, %d an execution", target.Transitions(), execution.Transitions()),
			float64(all.Transitions()), Transition},
		{"Lambda time, in GB-seconds: " + secondsOf(watched), r.gigabyteSeconds(watched), GBSecond},
		{fmt.Sprintf("Lambda requests: %d a target, %d an execution", target.Invocations.Total(), execution.Invocations.Total()),
			float64(invocations), Invocation},
		{fmt.Sprintf("S3 PUT and LIST: %d a target, %d an execution", target.AWS.writes(), writes+lists-r.Targets*target.AWS.writes()), float64(writes + lists), Write},
		{fmt.Sprintf("S3 GET: up to %d a target, %d an execution", target.AWS["s3:GetObject"], reads-r.Targets*target.AWS["s3:GetObject"]), float64(reads), Get},
		{fmt.Sprintf("events: %d an execution", execution.AWS["events:PutEvents"]), float64(all.AWS["events:PutEvents"]), Event},
		{fmt.Sprintf("logs: about %d KB an invocation", logBytes/1_000), float64(invocations) * logBytes / 1e9, LogGB},
		{"traces, if every invocation were sampled", float64(invocations), Trace},
	}
	if r.Key {
		e.Lines = append(e.Lines, Line{"KMS: at most one request for each object read or written, and for each sandbox that starts",
			float64(reads + writes + invocations), KMSRequest})
	}
	return e
}

// windows returns how many windows poll watches a target until it is Ready, and
// how long it watches in all, with pauses between the windows as long as they are
// on average.
func (r Rollout) windows() (n int, watched time.Duration) {
	for now := time.Duration(0); ; n++ {
		watch := max(0, min(r.Window, r.Wait-now)) // 0 where it became Ready in the pause
		watched += watch
		if now += watch; now >= r.Wait {
			return n + 1, watched
		}
		now += pause.After(n, 0.5)
	}
}

func secondsOf(watched time.Duration) string {
	poll := ""
	if watched > 0 {
		poll = fmt.Sprintf(", %v s in poll", watched.Seconds())
	}
	return fmt.Sprintf("a target %v s in resolve, %v s in apply%s; an execution %v s in plan, %v s in review for each wave, %v s in report",
		resolveSeconds, applySeconds, poll, planSeconds, reviewSeconds, reportSeconds)
}

// gigabyteSeconds is how long the functions run, times the memory that they have
// by default.
func (r Rollout) gigabyteSeconds(watched time.Duration) float64 {
	targets := float64(r.Targets)
	seconds := map[string]float64{
		"plan": planSeconds, "resolve": targets * resolveSeconds, "apply": targets * applySeconds,
		"poll": targets * watched.Seconds(), "review": float64(r.Waves) * reviewSeconds, "report": reportSeconds,
	}
	sum := 0.0
	for _, f := range deployment.Functions() {
		sum += seconds[f.Name] * float64(f.MemoryMB) / 1024
	}
	return sum
}
