package lambda

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/crossapply/crossapply/local/emulator/awsapi/iam"
	"github.com/crossapply/crossapply/local/emulator/awsapi/protocol"
)

// Invocation is the record of one run of a function.
type Invocation struct {
	RequestID string
	Function  string // its ARN
	Start     time.Time
	// Cold says that a process was started for it, which took Init.
	Cold bool
	Init time.Duration
	// Duration is the handler's, without Init.
	Duration time.Duration
	// Memory is the largest resident size of the process so far, in bytes; 0 where it
	// is not known.
	Memory int64
	// Error is the function error's payload, or empty.
	Error string
}

// report is the line that Lambda logs after an invocation.
func (i Invocation) report(f Function) string {
	ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	text := fmt.Sprintf("REPORT RequestId: %s\tDuration: %.2f ms\tBilled Duration: %.0f ms\tMemory Size: %d MB",
		i.RequestID, ms(i.Duration), math.Ceil(ms(i.Duration+i.Init)), f.MemoryMB)
	if i.Memory > 0 {
		text += fmt.Sprintf("\tMax Memory Used: %d MB", i.Memory>>20)
	}
	if i.Cold {
		text += fmt.Sprintf("\tInit Duration: %.2f ms", ms(i.Init))
	}
	return text
}

// Service is the Lambda endpoint.
type Service struct {
	directory *iam.Directory
	now       func() time.Time
	endpoint  func() string
	atOnce    int // see Config.Sandboxes
	logs      *Logs
	ctx       context.Context // of all invocations: they outlive their requests
	cancel    context.CancelFunc
	running   sync.WaitGroup

	mu          sync.Mutex
	closed      bool
	functions   map[string]*pool // by ARN
	invocations []Invocation
	sandboxes   map[string]*sandbox // by the access key of their session
	hook        func(Call) (kill bool)
}

// Config is what a Service stands on.
type Config struct {
	Directory *iam.Directory
	Now       func() time.Time
	// Endpoint is the URL of the local AWS, given to functions as
	// AWS_ENDPOINT_URL. It is asked for when a process starts.
	Endpoint func() string
	// Sandboxes is how many invocations of one function run at a time; further ones
	// that its concurrency allows wait for their turn, so that a machine is not filled
	// with processes. 0 means no limit of its own.
	Sandboxes int
	// Follow, if not nil, gets every log line as it is printed, from several
	// goroutines at a time.
	Follow func(Line)
}

// New returns an endpoint without functions. Close must be called.
func New(c Config) *Service {
	ctx, cancel := context.WithCancel(context.Background())
	return &Service{
		directory: c.Directory, now: c.Now, endpoint: c.Endpoint, atOnce: c.Sandboxes, ctx: ctx, cancel: cancel,
		logs: &Logs{now: c.Now, follow: c.Follow}, functions: map[string]*pool{}, sandboxes: map[string]*sandbox{},
	}
}

// Put adds a function or replaces it; processes of the old one are ended when
// they are idle. It returns an error when the configuration is not one Lambda
// would accept, or when the role does not trust Lambda.
func (s *Service) Put(f Function) error {
	f, err := f.complete()
	if err != nil {
		return err
	}
	p := &pool{service: s, function: f}
	if s.atOnce > 0 {
		p.places = make(chan struct{}, s.atOnce)
	}
	if f.Policy != "" {
		policy, err := iam.ParseResourcePolicy(f.Policy)
		if err != nil {
			return fmt.Errorf("function %s: %w", f.Name, err)
		}
		p.policy = &policy
	}
	if err := s.directory.CheckTrust("lambda.amazonaws.com", f.RoleARN, f.ARN()); err != nil {
		return fmt.Errorf("function %s: the role defined for the function cannot be assumed by Lambda: %w", f.Name, err)
	}
	s.mu.Lock()
	old := s.functions[f.ARN()]
	s.functions[f.ARN()] = p
	s.mu.Unlock()
	if old != nil {
		old.close()
	}
	return nil
}

// Logs returns what the functions printed.
func (s *Service) Logs() *Logs { return s.logs }

// Invocations returns a record of every invocation that has ended, in the order
// of their ends.
func (s *Service) Invocations() []Invocation {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.invocations)
}

func (s *Service) record(i Invocation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.invocations = append(s.invocations, i)
}

// Close ends every function's processes and waits until they are gone.
func (s *Service) Close() {
	s.mu.Lock()
	already := s.closed
	s.closed = true
	pools := s.functions
	s.functions = map[string]*pool{}
	s.mu.Unlock()
	if already {
		return
	}
	s.cancel()
	for _, p := range pools {
		p.close()
	}
	s.running.Wait()
}

const functionsPath = "/2015-03-31/functions"

// Name implements [protocol.Service].
func (s *Service) Name() string { return "lambda" }

// Protocol implements [protocol.Service].
func (s *Service) Protocol() protocol.Protocol { return protocol.RESTJSON }

// Operation implements [protocol.Service].
func (s *Service) Operation(r *http.Request) protocol.Operation {
	rest, ok := strings.CutPrefix(r.URL.Path, functionsPath)
	name, action, _ := strings.Cut(strings.Trim(rest, "/"), "/")
	// on gives an operation the function as the caller named it.
	on := func(f func(w http.ResponseWriter, r *protocol.Request, name string) error) func(http.ResponseWriter, *protocol.Request) error {
		return func(w http.ResponseWriter, r *protocol.Request) error { return f(w, r, name) }
	}
	switch kind := r.Method + " " + action; {
	case !ok:
	case kind == "POST invocations" && name != "":
		return protocol.Operation{Name: "Invoke", Action: "lambda:InvokeFunction", Serve: on(s.invoke)}
	case kind == "GET " && name != "":
		return protocol.Operation{Name: "GetFunction", Action: "lambda:GetFunction", Serve: on(s.getFunction)}
	case kind == "GET ":
		return protocol.Operation{Name: "ListFunctions", Action: "lambda:ListFunctions", Serve: s.listFunctions}
	}
	return protocol.Operation{Name: r.Method + " " + r.URL.Path}
}

// find authorises the operation on the function that the caller named and returns
// its pool. A caller who is not allowed does not learn whether it exists.
func (s *Service) find(r *protocol.Request, name string) (*pool, reference, error) {
	ref, ok := parseReference(name, r.Origin)
	if !ok {
		return nil, ref, protocol.Errorf(http.StatusBadRequest, "ValidationException",
			"1 validation error detected: Value '%s' at 'functionName' failed to satisfy constraint: Member must satisfy the pattern of a function name or ARN", name)
	}
	if q := r.URL.Query().Get("Qualifier"); q != "" {
		if ref.qualifier != "" && ref.qualifier != q {
			return nil, ref, protocol.Errorf(http.StatusBadRequest, "InvalidParameterValueException", "The derived qualifier from the function name does not match the specified qualifier.")
		}
		ref.qualifier = q
	}
	unqualified := ref
	unqualified.qualifier = ""
	s.mu.Lock()
	p := s.functions[unqualified.arn()]
	s.mu.Unlock()
	question := iam.Request{Resource: ref.arn()}
	if p != nil {
		question.ResourcePolicy = p.policy
	}
	if err := r.Authorize(question); err != nil {
		return nil, ref, err
	}
	if p == nil || ref.region != r.Region || !slices.Contains([]string{"", latest, p.function.Version}, ref.qualifier) {
		return nil, ref, &protocol.Error{
			Code: "ResourceNotFoundException", Status: http.StatusNotFound, Message: "Function not found: " + ref.arn(),
			Fields: map[string]string{"Type": "User"},
		}
	}
	return p, ref, nil
}

func (s *Service) invoke(w http.ResponseWriter, r *protocol.Request, name string) error {
	p, ref, err := s.find(r, name)
	if err != nil {
		return err
	}
	inv, err := newInvocation(r, ref)
	if err != nil {
		return err
	}
	switch kind := cmp.Or(r.Header.Get("X-Amz-Invocation-Type"), "RequestResponse"); kind {
	case "DryRun":
		w.WriteHeader(http.StatusNoContent)
	case "Event":
		if _, err := s.start(p, inv); err != nil {
			return err
		}
		w.WriteHeader(http.StatusAccepted)
	case "RequestResponse":
		done, err := s.start(p, inv)
		if err != nil {
			return err
		}
		ended := <-done
		if ended.err != nil {
			return ended.err
		}
		s.answer(w, r, p, inv, ended.result)
	default:
		return protocol.Errorf(http.StatusBadRequest, "ValidationException", "X-Amz-Invocation-Type %q is not RequestResponse, Event or DryRun", kind)
	}
	return nil
}

func newInvocation(r *protocol.Request, ref reference) (*invocation, error) {
	payload, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, fmt.Errorf("read payload: %w", err)
	}
	if len(payload) > maxRequest {
		return nil, protocol.Errorf(http.StatusRequestEntityTooLarge, "RequestTooLargeException", "Request must be smaller than %d bytes for the InvokeFunction operation", maxRequest)
	}
	if len(payload) == 0 {
		payload = []byte("{}")
	}
	if !json.Valid(payload) {
		return nil, protocol.Errorf(http.StatusBadRequest, "InvalidRequestContentException", "Could not parse request body into json: the payload is not valid JSON")
	}
	clientContext, err := base64.StdEncoding.DecodeString(r.Header.Get("X-Amz-Client-Context"))
	if err != nil {
		return nil, protocol.Errorf(http.StatusBadRequest, "InvalidRequestContentException", "Client context must be a valid Base64-encoded JSON object.")
	}
	return &invocation{
		requestID: r.ID.String(), payload: payload, functionARN: ref.arn(), version: cmp.Or(ref.qualifier, latest), clientContext: string(clientContext),
		traceID: cmp.Or(r.Header.Get("X-Amzn-Trace-Id"), fmt.Sprintf("Root=1-%x-%x;Sampled=0", r.ID[:4], r.ID[4:])),
		result:  make(chan result, 1),
	}, nil
}

type ended struct {
	result result
	err    error
}

// start runs the invocation; it goes on when its caller has gone, as on Lambda.
func (s *Service) start(p *pool, inv *invocation) (<-chan ended, error) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil, protocol.Errorf(http.StatusInternalServerError, "ServiceException", "The endpoint is shutting down")
	}
	s.running.Add(1)
	s.mu.Unlock()
	if err := p.admit(); err != nil {
		s.running.Done()
		return nil, err
	}
	done := make(chan ended, 1)
	go func() {
		defer s.running.Done()
		answer, err := p.invoke(s.ctx, inv)
		p.release()
		done <- ended{answer, err}
	}()
	return done, nil
}

func (s *Service) answer(w http.ResponseWriter, r *protocol.Request, p *pool, inv *invocation, answer result) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("X-Amz-Executed-Version", inv.version)
	if answer.failed {
		h.Set("X-Amz-Function-Error", "Unhandled")
	}
	if r.Header.Get("X-Amz-Log-Type") == "Tail" {
		h.Set("X-Amz-Log-Result", base64.StdEncoding.EncodeToString(s.logs.tail(p.function.ARN(), inv.requestID)))
	}
	_, _ = w.Write(answer.payload) // the client is gone; nobody is left to tell
}

func (s *Service) getFunction(w http.ResponseWriter, r *protocol.Request, name string) error {
	p, _, err := s.find(r, name)
	if err != nil {
		return err
	}
	protocol.WriteJSON(w, map[string]any{"Configuration": configuration(p.function)})
	return nil
}

func (s *Service) listFunctions(w http.ResponseWriter, r *protocol.Request) error {
	if err := r.Authorize(iam.Request{Resource: "*"}); err != nil {
		return err
	}
	functions := []map[string]any{}
	s.mu.Lock()
	for _, p := range s.functions {
		if p.function.Account == r.Caller.Account && p.function.Region == r.Region {
			functions = append(functions, configuration(p.function))
		}
	}
	s.mu.Unlock()
	slices.SortFunc(functions, func(a, b map[string]any) int {
		return strings.Compare(a["FunctionName"].(string), b["FunctionName"].(string))
	})
	protocol.WriteJSON(w, map[string]any{"Functions": functions})
	return nil
}

// configuration is docs.aws.amazon.com/lambda/latest/api/API_FunctionConfiguration.html
func configuration(f Function) map[string]any {
	size := int64(0)
	if info, err := os.Stat(f.Binary); err == nil {
		size = info.Size()
	}
	return map[string]any{
		"FunctionName": f.Name, "FunctionArn": f.ARN(), "Runtime": "provided.al2023", "Role": f.RoleARN,
		"Handler": "bootstrap", "CodeSize": size, "Timeout": int(f.Timeout / time.Second), "MemorySize": f.MemoryMB,
		"Version": latest, "State": "Active", "PackageType": "Zip", "LastUpdateStatus": "Successful",
		"Environment": map[string]any{"Variables": f.Environment},
	}
}
