package lambda

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/crossapply/crossapply/local/emulator/awsapi/iam"
	"github.com/crossapply/crossapply/local/emulator/awsapi/protocol"
)

const (
	// initLimit is how long a process may take to ask for its first invocation.
	initLimit = 10 * time.Second
	// sessionMargin is how much of a sandbox's credentials must be left for it
	// to be used again: longer than the longest invocation.
	sessionMargin = 20 * time.Minute
)

// pool runs the invocations of one function.
type pool struct {
	service  *Service
	function Function
	policy   *iam.Document
	places   chan struct{} // for processes at work; nil: as many as the concurrency

	mu      sync.Mutex
	busy    int
	started int
	idle    []*sandbox // the warmest last
	closed  bool
}

// admit takes a place under the concurrency limit; release gives it back.
func (p *pool) admit() error {
	limit, reason := accountConcurrency, "ConcurrentInvocationLimitExceeded"
	if p.function.ReservedConcurrency != nil {
		limit, reason = *p.function.ReservedConcurrency, "ReservedFunctionConcurrentInvocationLimitExceeded"
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.busy >= limit {
		return &protocol.Error{
			Code: "TooManyRequestsException", Status: http.StatusTooManyRequests, Message: "Rate Exceeded.",
			Fields: map[string]string{"Reason": reason, "Type": "User"},
		}
	}
	p.busy++
	return nil
}

func (p *pool) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.busy--
}

// invoke runs one invocation to its end. The error is for what keeps it from
// starting; what goes wrong in the function is in the result.
func (p *pool) invoke(ctx context.Context, inv *invocation) (answer result, err error) {
	if p.places != nil {
		select {
		case p.places <- struct{}{}:
			defer func() { <-p.places }()
		case <-ctx.Done(): // the service closes: the sandbox that comes says so
		}
	}
	record := Invocation{RequestID: inv.requestID, Function: p.function.ARN(), Start: p.service.now()}
	sb := p.warm()
	if sb == nil {
		var failure *result
		if sb, failure, err = p.cold(ctx, inv); err != nil {
			return result{}, err
		}
		record.Cold, record.Init = true, p.service.now().Sub(record.Start)
		if failure != nil {
			answer = *failure
		}
	}
	if sb != nil {
		answer = p.run(ctx, sb, inv, &record)
	}
	if answer.failed {
		record.Error = string(answer.payload)
	}
	p.service.record(record)
	return answer, nil
}

func (p *pool) run(ctx context.Context, sb *sandbox, inv *invocation, record *Invocation) result {
	begin := p.service.now()
	inv.deadline = begin.Add(p.function.Timeout)
	sb.output.begin(inv.requestID)
	sb.output.print("START RequestId: %s Version: %s", inv.requestID, latest)
	answer, reusable := sb.run(ctx, inv)
	record.Duration, record.Memory = p.service.now().Sub(begin), sb.process.PeakMemory()
	sb.output.flush()
	sb.output.print("END RequestId: %s", inv.requestID)
	sb.output.print("%s", record.report(p.function))
	if reusable {
		p.keep(sb)
	} else {
		sb.close()
	}
	return answer
}

// cold starts a sandbox. When the function cannot start, that is a failure
// which answers the invocation, and no error.
func (p *pool) cold(ctx context.Context, inv *invocation) (sb *sandbox, failure *result, err error) {
	p.mu.Lock()
	p.started++
	stream := fmt.Sprintf("%s/[%s]%032x", p.service.now().UTC().Format("2006/01/02"), latest, p.started)
	p.mu.Unlock()
	session, err := p.service.directory.AssumeRoleForService("lambda.amazonaws.com", p.function.RoleARN, p.function.Name, p.function.ARN())
	if err != nil {
		return nil, nil, protocol.Errorf(http.StatusForbidden, "AccessDeniedException", "The role defined for the function cannot be assumed by Lambda: %v", err)
	}
	sb, err = p.service.startSandbox(p.function, session, stream)
	if err != nil {
		answer := functionError("Runtime.InvalidEntrypoint", "RequestId: %s Error: %v", inv.requestID, err)
		return nil, &answer, nil
	}
	sb.output.begin(inv.requestID)
	if answer, ok := sb.ready(ctx, inv.requestID, initLimit); !ok {
		sb.close()
		return nil, &answer, nil
	}
	return sb, nil, nil
}

// warm takes the sandbox that was used last, and ends those that died or whose
// credentials are about to expire.
func (p *pool) warm() *sandbox {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.idle) > 0 {
		last := len(p.idle) - 1
		sb := p.idle[last]
		p.idle = p.idle[:last]
		if sb.alive() && p.service.now().Add(sessionMargin).Before(sb.session.Expires) {
			return sb
		}
		sb.close()
	}
	return nil
}

func (p *pool) keep(sb *sandbox) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		sb.close()
		return
	}
	p.idle = append(p.idle, sb)
}

// close ends the idle sandboxes, and the busy ones as they come back.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	idle := p.idle
	p.idle = nil
	p.mu.Unlock()
	for _, sb := range idle {
		sb.close()
	}
}
