package cost

import "maps"

// Part is what a part of an execution consists of, where nothing is repeated for
// an error.
type Part struct {
	// States are the states that are entered, and Starts the child executions that
	// the Map starts. AWS bills a transition for each.
	// https://docs.aws.amazon.com/step-functions/latest/dg/concepts-transitions.html
	States, Starts int
	// Invocations are those of the functions, by name.
	Invocations Calls
	// AWS are calls of AWS, by whoever makes them, and Kubernetes calls of a cluster.
	AWS, Kubernetes Calls
}

// Calls are numbers of calls, by what is called.
type Calls map[string]int

// The parts of an execution. A sandbox assumes the role and reads the resource
// once for all targets of an execution in one account, so these calls are as many
// as are made for a target at most.
var (
	// Execution is what every execution does that has one phase, however many targets it
	// has. plan writes lock, request, resources, layout, items and plan. The Map reads the
	// items and writes its manifest and one file of results. review reads plan, layout,
	// items, manifest and results, lists the phases, the results, the marks and the stop
	// mark, and writes how the phase ended. report lists what there is, reads plan, layout,
	// phase, manifest and results, and writes the report. The events are the start, the
	// phase's end and the end.
	Execution = Part{
		States:      13,
		Invocations: Calls{"plan": 1, "review": 1, "report": 1},
		AWS:         Calls{"s3:GetObject": 11, "s3:PutObject": 10, "s3:ListObjects": 5, "events:PutEvents": 3},
	}
	// Phase is each further phase: a wave, the check after a bake time, or a rollback.
	// plan or review writes its items, and what is not counted here is that review reads
	// how each phase before it ended.
	Phase = Part{
		States:      5,
		Invocations: Calls{"review": 1},
		AWS:         Calls{"s3:GetObject": 9, "s3:PutObject": 4, "s3:ListObjects": 4, "events:PutEvents": 1},
	}
	// Pause is each wait, for a bake time or for a window, and each approval, which is an
	// event more: review reads plan and layout, and lists the phases and the stop mark.
	Pause = Part{
		States:      3,
		Invocations: Calls{"review": 1},
		AWS:         Calls{"s3:GetObject": 2, "s3:ListObjects": 2},
	}
	// Again is what an execution does besides where an earlier one has worked on the
	// resource: plan finds the lock, reads it, and writes it anew.
	Again = Part{AWS: Calls{"s3:GetObject": 1, "s3:PutObject": 1}}
	// Changed is what is done for a target that is changed, and Ready within the
	// first window. Each function assumes the role, and the cluster verifies each
	// token; resolve lists the marks; apply reads the resource and writes the journal
	// twice.
	Changed = Part{
		States: 6, Starts: 1,
		Invocations: Calls{"resolve": 1, "apply": 1, "poll": 1},
		AWS: Calls{"sts:AssumeRole": 3, "sts:GetCallerIdentity": 3, "eks:DescribeCluster": 1,
			"s3:GetObject": 1, "s3:PutObject": 2, "s3:ListObjects": 1},
		Kubernetes: Calls{"discovery": 1, "access review": 4, "get": 1, "patch": 1, "watch": 1},
	}
	// Window is each further window in which poll watches a target.
	Window = Part{States: 3, Invocations: Calls{"poll": 1}, Kubernetes: Calls{"watch": 1}}
	// Unchanged is what is done for a target that has the resource already, and is
	// Ready: there is nothing to poll.
	Unchanged = Part{
		States: 4, Starts: 1,
		Invocations: Calls{"resolve": 1, "apply": 1},
		AWS: Calls{"sts:AssumeRole": 2, "sts:GetCallerIdentity": 2, "eks:DescribeCluster": 1,
			"s3:GetObject": 1, "s3:PutObject": 2, "s3:ListObjects": 1},
		Kubernetes: Calls{"discovery": 1, "access review": 4, "get": 1, "patch": 1},
	}
)

// Transitions are the state transitions that AWS bills.
func (p Part) Transitions() int { return p.States + p.Starts }

// Sum returns all parts together.
func Sum(parts ...Part) Part {
	sum := Part{}
	for _, p := range parts {
		sum = sum.add(p, 1)
	}
	return sum
}

func (p Part) add(other Part, times int) Part {
	p.States += times * other.States
	p.Starts += times * other.Starts
	p.Invocations = p.Invocations.add(other.Invocations, times)
	p.AWS = p.AWS.add(other.AWS, times)
	p.Kubernetes = p.Kubernetes.add(other.Kubernetes, times)
	return p
}

func (c Calls) add(other Calls, times int) Calls {
	sum := Calls{}
	maps.Copy(sum, c)
	for call, n := range other {
		sum[call] += times * n
	}
	return sum
}

// Total is the number of all calls.
func (c Calls) Total() int {
	total := 0
	for _, n := range c {
		total += n
	}
	return total
}

// writes are the calls that S3 charges as PUT and LIST.
func (c Calls) writes() int { return c["s3:PutObject"] + c["s3:ListObjects"] }
