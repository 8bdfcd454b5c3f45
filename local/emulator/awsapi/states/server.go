package states

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/crossapply/crossapply/local/emulator/asl"
	"github.com/crossapply/crossapply/local/emulator/asl/jsonata"
)

// Access answers what callers and roles may do.
type Access interface {
	// Allow says whether the caller of the request (in ctx) may do action on
	// resource: nil, or an error whose text goes into AccessDeniedException.
	Allow(ctx context.Context, action, resource string) error
	// AllowRole asks the same for a role, for example the machine's own role
	// for the states:StartExecution of its Map's children.
	AllowRole(ctx context.Context, roleARN, action, resource string) error
	// Config returns an SDK configuration with credentials of the role, as
	// assumed by states.amazonaws.com (its trust policy is checked), and the
	// local endpoint.
	Config(ctx context.Context, roleARN string) (aws.Config, error)
}

// Options are what a Server takes from outside.
type Options struct {
	Access Access
	Engine *jsonata.Engine
	// Caller returns the account and Region that a request (in ctx) is for.
	Caller func(ctx context.Context) (account, region string)
	// Clock is the time that executions live in; nil is asl.SystemClock.
	Clock asl.Clock
}

// Server serves the API. It is safe for concurrent use.
type Server struct {
	access     Access
	engine     *jsonata.Engine
	caller     func(ctx context.Context) (account, region string)
	clock      asl.Clock
	runner     *asl.Runner
	operations map[string]operation

	// begin starts an execution that lives until it ends or cancel is called.
	begin  func(m *asl.Machine, start asl.Start) (*asl.Execution, error)
	cancel context.CancelFunc

	mu         sync.Mutex
	closed     bool
	machines   map[string]*machine   // by ARN
	executions map[string]*execution // by ARN
	order      []*execution          // as they were started
	mapRuns    map[string]*asl.MapRun
}

// New makes a server. It must be closed.
func New(opts Options) *Server {
	if opts.Clock == nil {
		opts.Clock = asl.SystemClock{}
	}
	s := &Server{
		access: opts.Access, engine: opts.Engine, caller: opts.Caller, clock: opts.Clock,
		machines: map[string]*machine{}, executions: map[string]*execution{}, mapRuns: map[string]*asl.MapRun{},
	}
	work := &integrations{access: opts.Access, clients: map[string]*clients{}}
	s.runner = asl.NewRunner(asl.Options{Tasks: work, Objects: work, Children: s, Clock: opts.Clock})
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	s.begin = func(m *asl.Machine, start asl.Start) (*asl.Execution, error) { return s.runner.Start(ctx, m, start) }
	s.operations = s.routes()
	return s
}

// Close stops all executions and waits until they have ended.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	for i := 0; ; i++ {
		s.mu.Lock()
		if i == len(s.order) {
			s.mu.Unlock()
			return
		}
		e := s.order[i]
		s.mu.Unlock()
		<-e.Done()
	}
}

// operation answers one call.
type operation func(ctx context.Context, body []byte) (any, error)

// on adapts a typed function.
func on[In, Out any](f func(ctx context.Context, in *In) (*Out, error)) operation {
	return func(ctx context.Context, body []byte) (any, error) {
		in := new(In)
		if err := json.Unmarshal(body, in); err != nil {
			return nil, fault("SerializationException", "%v", err)
		}
		return f(ctx, in)
	}
}

func (s *Server) routes() map[string]operation {
	return map[string]operation{
		"CreateStateMachine":               on(s.createStateMachine),
		"UpdateStateMachine":               on(s.updateStateMachine),
		"DeleteStateMachine":               on(s.deleteStateMachine),
		"DescribeStateMachine":             on(s.describeStateMachine),
		"DescribeStateMachineForExecution": on(s.describeStateMachineForExecution),
		"ListStateMachines":                on(s.listStateMachines),
		"ValidateStateMachineDefinition":   on(s.validateStateMachineDefinition),
		"TagResource":                      on(s.tagResource),
		"UntagResource":                    on(s.untagResource),
		"ListTagsForResource":              on(s.listTagsForResource),
		"StartExecution":                   on(s.startExecution),
		"StopExecution":                    on(s.stopExecution),
		"DescribeExecution":                on(s.describeExecution),
		"ListExecutions":                   on(s.listExecutions),
		"GetExecutionHistory":              on(s.getExecutionHistory),
		"DescribeMapRun":                   on(s.describeMapRun),
		"ListMapRuns":                      on(s.listMapRuns),
	}
}

const (
	targetPrefix = "AWSStepFunctions."
	maxRequest   = 4 << 20 // a definition of 1 MB, escaped
)

// ServeHTTP answers a request that is already authenticated.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	w.Header().Set("X-Amzn-Requestid", rand.Text())
	out, err := s.serve(w, r)
	var body []byte
	if err == nil {
		body, err = marshal(out)
	}
	if err != nil {
		var failed *apiError
		if !errors.As(err, &failed) {
			failed = &apiError{"InternalFailure", err.Error()}
		}
		status := http.StatusBadRequest
		if failed.code == "InternalFailure" {
			status = http.StatusInternalServerError
		}
		w.WriteHeader(status)
		body, _ = json.Marshal(map[string]string{"__type": failed.code, "message": failed.message})
	}
	_, _ = w.Write(body)
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) (any, error) {
	name, ok := strings.CutPrefix(r.Header.Get("X-Amz-Target"), targetPrefix)
	run := s.operations[name]
	if !ok || run == nil {
		return nil, fault("UnknownOperationException", "The operation %q is not supported here", r.Header.Get("X-Amz-Target"))
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	if err != nil {
		return nil, fault("SerializationException", "reading the request: %v", err)
	}
	return run(r.Context(), body)
}

// apiError is an error of the API; code is its type, such as InvalidArn.
type apiError struct{ code, message string }

func (e *apiError) Error() string { return e.code + ": " + e.message }

func fault(code, format string, args ...any) error {
	return &apiError{code, fmt.Sprintf(format, args...)}
}

// allow checks the caller's permission for an operation.
func (s *Server) allow(ctx context.Context, action, resource string) error {
	if err := s.access.Allow(ctx, action, resource); err != nil {
		return fault("AccessDeniedException", "%v", err)
	}
	return nil
}
