package lambda

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/crossapply/crossapply/local/awsapi/iam"
	"github.com/crossapply/crossapply/local/awsapi/protocol"
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
	begin := p.service.now()
	sb, failure, initialized, err := p.sandbox(ctx, inv)
	if err != nil {
		return result{}, err
	}
	record := Invocation{
		RequestID: inv.requestID, Function: p.function.ARN(), Start: begin,
		Cold: initialized > 0, Init: initialized,
	}
	if failure != nil {
		answer = *failure
	} else {
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
	record.Duration = p.service.now().Sub(begin)
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

// sandbox returns a warm sandbox, or a new one and how long it took to start.
// A failure instead of a sandbox is the answer to the invocation.
func (p *pool) sandbox(ctx context.Context, inv *invocation) (sb *sandbox, failure *result, initialized time.Duration, err error) {
	if sb = p.warm(); sb != nil {
		return sb, nil, 0, nil
	}
	begin := p.service.now()
	p.mu.Lock()
	p.started++
	stream := fmt.Sprintf("%s/[%s]%032x", begin.UTC().Format("2006/01/02"), latest, p.started)
	p.mu.Unlock()
	session, err := p.service.directory.AssumeRoleForService("lambda.amazonaws.com", p.function.RoleARN, p.function.Name, p.function.ARN())
	if err != nil {
		return nil, nil, 0, protocol.Errorf(http.StatusForbidden, "AccessDeniedException", "The role defined for the function cannot be assumed by Lambda: %v", err)
	}
	sb, err = startSandbox(p.service.starter, p.function, session, p.service.endpoint(), p.service.logs, stream)
	if err != nil {
		answer := functionError("Runtime.InvalidEntrypoint", "RequestId: %s Error: %v", inv.requestID, err)
		return nil, &answer, 0, nil
	}
	sb.output.begin(inv.requestID)
	if answer, ok := sb.ready(ctx, inv.requestID, initLimit); !ok {
		sb.close()
		return nil, &answer, p.service.now().Sub(begin), nil
	}
	return sb, nil, max(p.service.now().Sub(begin), 1), nil
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
