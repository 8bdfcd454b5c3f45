package lambda

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"github.com/crossapply/crossapply/local/emulator/awsapi/iam"
	"github.com/crossapply/crossapply/local/emulator/process"
)

// invocation is one event on its way through a sandbox.
type invocation struct {
	requestID     string
	payload       []byte
	functionARN   string // as invoked, with its qualifier
	version       string // its qualifier, or $LATEST
	clientContext string
	traceID       string
	deadline      time.Time
	result        chan result // room for one
}

// result is what a function answered.
type result struct {
	payload []byte
	// failed says that payload is a function error.
	failed bool
}

// functionError makes the payload of an error that Lambda itself reports.
func functionError(errorType, format string, args ...any) result {
	payload, _ := json.Marshal(map[string]string{"errorType": errorType, "errorMessage": fmt.Sprintf(format, args...)}) // strings never fail
	return result{payload: payload, failed: true}
}

// sandbox is one process of a function with a runtime API of its own.
type sandbox struct {
	function Function
	session  iam.Session
	output   *output
	process  *process.Process
	listener net.Listener
	server   *http.Server
	tmp      string

	invocations chan *invocation // to the runtime API's next
	waiting     chan struct{}    // a next has arrived: the process is idle
	initError   chan result      // room for one
	exited      chan struct{}    // the process is gone; exitText is set
	exitText    string
	closeOnce   sync.Once

	mu      sync.Mutex
	current *invocation
	calls   int // that the process has made since it got its invocation
}

// startSandbox starts the process; it is ready when waiting says so.
func (s *Service) startSandbox(f Function, session iam.Session, stream string) (*sandbox, error) {
	sb := &sandbox{
		function: f, session: session,
		invocations: make(chan *invocation), waiting: make(chan struct{}, 1),
		initError: make(chan result, 1), exited: make(chan struct{}),
	}
	var err error
	if sb.tmp, err = os.MkdirTemp("", "lambda-"+f.Name+"-"); err != nil {
		return nil, fmt.Errorf("sandbox of %s: %w", f.Name, err)
	}
	if sb.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		sb.close()
		return nil, fmt.Errorf("runtime API of %s: %w", f.Name, err)
	}
	sb.server = &http.Server{Handler: sb.runtimeAPI(), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = sb.server.Serve(sb.listener) }() // ends with Close
	if sb.output, err = newOutput(s.logs, f.ARN()); err != nil {
		sb.close()
		return nil, err
	}
	command := &exec.Cmd{
		Path: f.Binary, Args: []string{f.Binary}, Dir: filepath.Dir(f.Binary),
		Env:    f.environment(session, sb.listener.Addr().String(), s.endpoint(), stream, sb.tmp),
		Stdout: sb.output.write, Stderr: sb.output.write,
	}
	if sb.process, err = process.Start(command); err != nil {
		sb.close()
		return nil, err // as it is: Lambda's message has nothing around it
	}
	s.mu.Lock()
	s.sandboxes[session.AccessKeyID] = sb
	s.mu.Unlock()
	go func() {
		sb.wait()
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.sandboxes, session.AccessKeyID)
	}()
	return sb, nil
}

func (sb *sandbox) wait() {
	<-sb.process.Done()
	sb.exitText = "Runtime exited without providing a reason"
	if err := sb.process.Err(); err != nil {
		sb.exitText = "Runtime exited with error: " + err.Error()
	}
	sb.output.flush()
	close(sb.exited)
}

// close ends the process and what belongs to it, and waits until it is gone.
func (sb *sandbox) close() {
	sb.closeOnce.Do(func() {
		if sb.process != nil {
			sb.process.Kill()
			<-sb.exited
		}
		if sb.server != nil {
			_ = sb.server.Close() // ends a pending next as well
		}
		if sb.output != nil {
			sb.output.close()
		}
		_ = os.RemoveAll(sb.tmp) // a temporary folder left behind harms nobody
	})
}

// alive reports whether the process is still there.
func (sb *sandbox) alive() bool {
	select {
	case <-sb.exited:
		return false
	default:
		return true
	}
}

// ready waits until the process asks for its first invocation. When it fails
// instead, the result says how.
func (sb *sandbox) ready(ctx context.Context, requestID string, limit time.Duration) (failure result, ok bool) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-sb.waiting:
		return result{}, true
	case failure = <-sb.initError:
		return failure, false
	case <-sb.exited:
		select {
		case failure = <-sb.initError: // it said why before it ended
			return failure, false
		default:
			return functionError("Runtime.ExitError", "RequestId: %s Error: %s", requestID, sb.exitText), false
		}
	case <-timer.C:
		return functionError("Sandbox.Timedout", "RequestId: %s Error: Task timed out after %.2f seconds", requestID, limit.Seconds()), false
	case <-ctx.Done():
		return functionError("Runtime.ExitError", "RequestId: %s Error: Runtime exited with error: signal: killed", requestID), false
	}
}

// run gives the invocation to the idle process and waits for its answer and for
// it to be idle again. reusable is false when the process ended or had to be
// ended.
func (sb *sandbox) run(ctx context.Context, inv *invocation) (answer result, reusable bool) {
	limit := sb.function.Timeout
	timer := time.NewTimer(limit)
	defer timer.Stop()
	answered := false
	invocations, waiting := sb.invocations, (chan struct{})(nil)
	for {
		select {
		case invocations <- inv:
			invocations = nil
		case answer = <-inv.result:
			answered, waiting = true, sb.waiting
		case <-waiting: // an invocation is over when the process asks for another
			return answer, true
		case <-sb.exited:
			select {
			case answer = <-inv.result: // a panic is reported, then the process exits
				return answer, false
			default:
			}
			if !answered {
				answer = functionError("Runtime.ExitError", "RequestId: %s Error: %s", inv.requestID, sb.exitText)
			}
			return answer, false
		case <-timer.C:
			if !answered {
				answer = functionError("Sandbox.Timedout", "RequestId: %s Error: Task timed out after %.2f seconds", inv.requestID, limit.Seconds())
			}
			return answer, false
		case <-ctx.Done():
			if !answered {
				answer = functionError("Runtime.ExitError", "RequestId: %s Error: Runtime exited with error: signal: killed", inv.requestID)
			}
			return answer, false
		}
	}
}
