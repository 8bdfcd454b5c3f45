package states

import (
	"context"
	"net/http"
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
	directory *iam.Directory
	engine    *jsonata.Engine
	clock     asl.Clock
	runner    *asl.Runner
	targets   protocol.Targets

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
		directory: c.Directory, engine: c.Engine, clock: c.Clock,
		machines: map[string]*machine{}, executions: map[string]*execution{}, mapRuns: map[string]*asl.MapRun{},
	}
	work := &integrations{directory: c.Directory, endpoint: c.Endpoint, clients: map[identity]*clients{}}
	s.runner = asl.NewRunner(asl.Options{Tasks: work, Objects: work, Children: s, Clock: c.Clock, Pause: c.Pause})
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	s.begin = func(m *asl.Machine, start asl.Start) (*asl.Execution, error) { return s.runner.Start(ctx, m, start) }
	s.targets = protocol.Targets{Prefix: "AWSStepFunctions", Service: s.Name(), Version: "1.0", Marshal: marshal, Handlers: s.routes()}
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
			return
		}
		e := s.order[i]
		s.mu.Unlock()
		<-e.Done()
	}
}

func (s *Service) routes() map[string]protocol.Handler {
	return map[string]protocol.Handler{
		"CreateStateMachine":               protocol.Handle(s.createStateMachine),
		"UpdateStateMachine":               protocol.Handle(s.updateStateMachine),
		"DeleteStateMachine":               protocol.Handle(s.deleteStateMachine),
		"DescribeStateMachine":             protocol.Handle(s.describeStateMachine),
		"DescribeStateMachineForExecution": protocol.Handle(s.describeStateMachineForExecution),
		"ListStateMachines":                protocol.Handle(s.listStateMachines),
		"ValidateStateMachineDefinition":   protocol.Handle(s.validateStateMachineDefinition),
		"TagResource":                      protocol.Handle(s.tagResource),
		"UntagResource":                    protocol.Handle(s.untagResource),
		"ListTagsForResource":              protocol.Handle(s.listTagsForResource),
		"StartExecution":                   protocol.Handle(s.startExecution),
		"StopExecution":                    protocol.Handle(s.stopExecution),
		"DescribeExecution":                protocol.Handle(s.describeExecution),
		"ListExecutions":                   protocol.Handle(s.listExecutions),
		"GetExecutionHistory":              protocol.Handle(s.getExecutionHistory),
		"SendTaskFailure":                  protocol.Handle(s.sendTaskFailure),
		"SendTaskHeartbeat":                protocol.Handle(s.sendTaskHeartbeat),
		"SendTaskSuccess":                  protocol.Handle(s.sendTaskSuccess),
		"DescribeMapRun":                   protocol.Handle(s.describeMapRun),
		"ListMapRuns":                      protocol.Handle(s.listMapRuns),
	}
}

// Name implements [protocol.Service].
func (s *Service) Name() string { return "states" }

// Protocol implements [protocol.Service].
func (s *Service) Protocol() protocol.Protocol { return protocol.JSON }

// Operation implements [protocol.Service].
func (s *Service) Operation(r *http.Request) protocol.Operation { return s.targets.Operation(r) }

// fault is an error of the API; code is its type, such as InvalidArn.
func fault(code, format string, args ...any) error {
	return protocol.Errorf(http.StatusBadRequest, code, format, args...)
}
