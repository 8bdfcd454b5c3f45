package states

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/crossapply/crossapply/local/emulator/asl"
	"github.com/crossapply/crossapply/local/emulator/asl/jsonata"
	"github.com/crossapply/crossapply/local/emulator/awsapi/iam"
	"github.com/crossapply/crossapply/local/emulator/awsapi/protocol"
)

// Config is what a Service stands on.
type Config struct {
	// Directory knows the roles of state machines and what they may do.
	Directory *iam.Directory
	// Endpoint is the URL of the local AWS, where the work of states is done.
	Endpoint func() string
	Engine   *jsonata.Engine
	// Clock is the time that executions live in; nil is asl.SystemClock. Pause says
	// how long their pauses really are: see [asl.Options].
	Clock asl.Clock
	Pause func(time.Duration) time.Duration
}

// Service is the Step Functions endpoint.
type Service struct {
	directory  *iam.Directory
	engine     *jsonata.Engine
	clock      asl.Clock
	runner     *asl.Runner
	archive    *archive
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

// New returns an endpoint without state machines. Close must be called.
func New(c Config) *Service {
	if c.Clock == nil {
		c.Clock = asl.SystemClock{}
	}
	s := &Service{
		directory: c.Directory, engine: c.Engine, clock: c.Clock, archive: &archive{},
		machines: map[string]*machine{}, executions: map[string]*execution{}, mapRuns: map[string]*asl.MapRun{},
	}
	work := &integrations{directory: c.Directory, endpoint: c.Endpoint, clients: map[identity]*clients{}}
	s.runner = asl.NewRunner(asl.Options{Tasks: work, Objects: work, Children: s, Archive: s.archive, Clock: c.Clock, Pause: c.Pause})
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	s.begin = func(m *asl.Machine, start asl.Start) (*asl.Execution, error) { return s.runner.Start(ctx, m, start) }
	s.operations = s.routes()
	return s
}

// Close stops all executions and waits until they have ended.
func (s *Service) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	for i := 0; ; i++ {
		s.mu.Lock()
		if i == len(s.order) {
			s.mu.Unlock()
			s.archive.close()
			return
		}
		e := s.order[i]
		s.mu.Unlock()
		<-e.Done()
	}
}

// operation answers one call.
type operation func(r *protocol.Request, body []byte) (any, error)

// on adapts a typed function.
func on[In, Out any](f func(r *protocol.Request, in *In) (*Out, error)) operation {
	return func(r *protocol.Request, body []byte) (any, error) {
		in := new(In)
		if err := json.Unmarshal(body, in); err != nil {
			return nil, fault("SerializationException", "%v", err)
		}
		return f(r, in)
	}
}

func (s *Service) routes() map[string]operation {
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

// Name implements [protocol.Service].
func (s *Service) Name() string { return "states" }

// Protocol implements [protocol.Service].
func (s *Service) Protocol() protocol.Protocol { return protocol.JSON }

// Operation implements [protocol.Service].
func (s *Service) Operation(r *http.Request) protocol.Operation {
	target := r.Header.Get("X-Amz-Target")
	name, ours := strings.CutPrefix(target, targetPrefix)
	run := s.operations[name]
	if !ours || run == nil {
		return protocol.Operation{Name: name}
	}
	return protocol.Operation{Name: name, Action: "states:" + name, Serve: func(w http.ResponseWriter, r *protocol.Request) error {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
		if err != nil {
			return fault("SerializationException", "reading the request: %v", err)
		}
		out, err := run(r, body)
		if err != nil {
			return err
		}
		answer, err := marshal(out)
		if err != nil {
			return err
		}
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		_, _ = w.Write(answer) // the client is gone; nobody is left to tell
		return nil
	}}
}

// fault is an error of the API; code is its type, such as InvalidArn.
func fault(code, format string, args ...any) error {
	return protocol.Errorf(http.StatusBadRequest, code, format, args...)
}
