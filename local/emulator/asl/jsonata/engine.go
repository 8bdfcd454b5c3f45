package jsonata

import (
	"context"
	"crypto/md5"
	cryptorand "crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dop251/goja"
	"github.com/google/uuid"
)

//go:embed shim.js
var shim string

// ErrUndefined is returned when an expression has no value, which is not the
// same as null.
var ErrUndefined = errors.New("the expression returned nothing (undefined)")

// EvalError is returned when an expression cannot be parsed or fails while it
// runs. Code is the one of the JSONata documentation (T2001, D3001, ...), or
// "FUNCTION" when the result holds a function, or "TIMEOUT".
type EvalError struct {
	Code    string
	Message string
}

func (e *EvalError) Error() string {
	if e.Code == "" {
		return e.Message
	}
	return e.Code + ": " + e.Message
}

// Options are what an Engine takes from outside. The zero value serves.
type Options struct {
	// Now is what $now and $millis read. Default time.Now.
	Now func() time.Time
	// Rand is the source of $random without a seed and of $uuid. It need not
	// be safe for concurrent use. Default: seeded by the system.
	Rand *rand.ChaCha8
	// Limit ends an expression that runs longer. Default 10 s: what takes AWS a
	// moment may take this engine seconds on a busy machine, and much longer
	// under the race detector. It is a fuse, not a measure of AWS's own limit.
	Limit time.Duration
	// Runtimes is how many expressions may run at once. Default 4.
	Runtimes int
}

// Engine evaluates expressions. It is safe for concurrent use: it keeps a few
// JavaScript runtimes and gives each session one of them.
type Engine struct {
	opts   Options
	module *goja.Program
	slots  []slot
	next   atomic.Uint32

	randMu sync.Mutex
	rand   *rand.ChaCha8
}

// slot holds one JavaScript runtime; its lock is held while a session uses it.
// (Locks rather than a channel: an engine may serve several testing/synctest
// bubbles, and a channel belongs to one.)
type slot struct {
	sync.Mutex
	runtime *runtime
}

// runtime is one JavaScript world with the functions of shim.js.
type runtime struct {
	vm                     *goja.Runtime
	check, parse, evaluate goja.Callable
}

// Locate finds the jsonata module's file in the nearest node_modules folder,
// going up from dir.
func Locate(dir string) (string, error) {
	start, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("find the jsonata module: %w", err)
	}
	for at := start; ; at = filepath.Dir(at) {
		file := filepath.Join(at, "node_modules", "jsonata", "jsonata.js")
		if _, err := os.Stat(file); err == nil {
			return file, nil
		}
		if at == filepath.Dir(at) {
			return "", fmt.Errorf("no node_modules/jsonata in %s or above: run `npm ci` in the repository's root", start)
		}
	}
}

// New makes an engine of the jsonata module in file (see Locate).
func New(file string, opts Options) (*Engine, error) {
	source, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("load the jsonata module: %w", err)
	}
	// A CommonJS module wants its "module"; nothing else of Node is used.
	wrapped := "(function () { const module = { exports: {} }; const exports = module.exports;\n" +
		string(source) + "\nreturn module.exports; })()"
	program, err := goja.Compile(file, wrapped, false)
	if err != nil {
		return nil, fmt.Errorf("load the jsonata module: %w", err)
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Rand == nil {
		opts.Rand = NewRand()
	}
	if opts.Limit <= 0 {
		opts.Limit = 10 * time.Second
	}
	if opts.Runtimes <= 0 {
		opts.Runtimes = 4
	}
	e := &Engine{opts: opts, module: program, slots: make([]slot, opts.Runtimes), rand: opts.Rand}
	first, err := e.newRuntime()
	if err != nil {
		return nil, err
	}
	e.slots[0].runtime = first
	return e, nil
}

// Check says whether src is an expression, and which members of $states it
// reads by name ("input", "result", ...). The error is an *EvalError.
func (e *Engine) Check(src string) (reads []string, err error) {
	s := e.Session(nil, nil)
	defer s.Close()
	rt, err := s.acquire()
	if err != nil {
		return nil, err
	}
	v, err := rt.check(goja.Undefined(), rt.vm.ToValue(src))
	if err != nil {
		return nil, &EvalError{Message: err.Error()}
	}
	o := v.ToObject(rt.vm)
	if e := o.Get("error"); e != nil && !goja.IsUndefined(e) {
		return nil, problem(rt.vm, e)
	}
	if err := rt.vm.ExportTo(o.Get("reads"), &reads); err != nil {
		return nil, fmt.Errorf("what the expression reads: %w", err)
	}
	return reads, nil
}

// Session opens a session whose expressions see the variables, each a JSON text,
// and $states. It must be closed. It must not be shared between goroutines.
func (e *Engine) Session(variables map[string]json.RawMessage, states Object) *Session {
	return &Session{engine: e, variables: variables, states: states}
}

// Object is the value of $states: what an expression does not read of it, such as
// the input of the whole execution, is not parsed.
type Object []Member

// Member is a member of an Object. Its value is a JSON text, an Object, a string or
// an int.
type Member struct {
	Name  string
	Value any
}

// in makes the object in a runtime. A JSON text is parsed when it is first read.
func (o Object) in(rt *runtime) (*goja.Object, error) {
	made := rt.vm.NewObject()
	for _, m := range o {
		var err error
		switch value := m.Value.(type) {
		case Object:
			var inner *goja.Object
			if inner, err = value.in(rt); err == nil {
				err = made.Set(m.Name, inner)
			}
		case json.RawMessage:
			var parsed goja.Value
			read := func(goja.FunctionCall) goja.Value {
				if parsed == nil {
					if parsed, err = rt.parse(goja.Undefined(), rt.vm.ToValue(string(value))); err != nil {
						panic(rt.vm.NewGoError(fmt.Errorf("member %s of $states is not JSON: %w", m.Name, err)))
					}
				}
				return parsed
			}
			err = made.DefineAccessorProperty(m.Name, rt.vm.ToValue(read), nil, goja.FLAG_FALSE, goja.FLAG_TRUE)
		default:
			err = made.Set(m.Name, value)
		}
		if err != nil {
			return nil, fmt.Errorf("bind $states: %w", err)
		}
	}
	return made, nil
}

// Session evaluates expressions over one set of variables.
type Session struct {
	engine    *Engine
	variables map[string]json.RawMessage
	states    Object

	slot     *slot
	bindings *goja.Object
	bound    map[string]bool
}

// Eval evaluates src and returns the result as compact JSON. It returns
// ErrUndefined when there is none, an *EvalError when the expression fails,
// and the cause of ctx when that ends first.
func (s *Session) Eval(ctx context.Context, src string) (json.RawMessage, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	rt, err := s.acquire()
	if err != nil {
		return nil, err
	}
	if err := s.bind(rt, src); err != nil {
		return nil, err
	}
	stop := s.watch(ctx, rt)
	v, err := rt.evaluate(goja.Undefined(), rt.vm.ToValue(src), s.bindings)
	if stopped := stop(); stopped != nil {
		// What an interrupt left half done must not run later.
		s.slot.runtime, s.bindings = nil, nil
		return nil, stopped
	}
	if err != nil {
		s.slot.runtime, s.bindings = nil, nil
		return nil, &EvalError{Message: err.Error()}
	}
	return outcome(rt.vm, v)
}

// Close gives the session's runtime back.
func (s *Session) Close() {
	if s.slot != nil {
		s.slot.Unlock()
		s.slot, s.bindings = nil, nil
	}
}

// acquire takes a free runtime, or waits for one.
func (s *Session) acquire() (*runtime, error) {
	if s.slot == nil {
		s.slot = s.engine.lock()
	}
	rt := s.slot.runtime
	if rt == nil {
		fresh, err := s.engine.newRuntime()
		if err != nil {
			return nil, err
		}
		rt, s.slot.runtime, s.bindings = fresh, fresh, nil
	}
	if s.bindings == nil {
		s.bindings, s.bound = rt.vm.NewObject(), map[string]bool{}
	}
	return rt, nil
}

func (e *Engine) lock() *slot {
	for i := range e.slots {
		if e.slots[i].TryLock() {
			return &e.slots[i]
		}
	}
	s := &e.slots[int(e.next.Add(1))%len(e.slots)]
	s.Lock()
	return s
}

// bind gives the expression those variables that it mentions: parsing the
// others would be wasted.
func (s *Session) bind(rt *runtime, src string) error {
	for name, text := range s.variables {
		if s.bound[name] || !strings.Contains(src, "$"+name) {
			continue
		}
		v, err := rt.parse(goja.Undefined(), rt.vm.ToValue(string(text)))
		if err != nil {
			return fmt.Errorf("variable $%s is not JSON: %w", name, err)
		}
		if err := s.bindings.Set(name, v); err != nil {
			return fmt.Errorf("bind variable $%s: %w", name, err)
		}
		s.bound[name] = true
	}
	if s.bound["states"] || !strings.Contains(src, "$states") {
		return nil
	}
	states, err := s.states.in(rt)
	if err != nil {
		return err
	}
	if err := s.bindings.Set("states", states); err != nil {
		return fmt.Errorf("bind variable $states: %w", err)
	}
	s.bound["states"] = true
	return nil
}

// watch interrupts the runtime when ctx ends or the limit has passed. The
// returned function ends the watch and says why it interrupted, if it did.
func (s *Session) watch(ctx context.Context, rt *runtime) func() error {
	var mu sync.Mutex
	var reason error
	var over bool // an interrupt that comes too late would hit the next expression
	interrupt := func(err error) {
		mu.Lock()
		defer mu.Unlock()
		if reason == nil && !over {
			reason = err
			rt.vm.Interrupt(err)
		}
	}
	unhook := context.AfterFunc(ctx, func() { interrupt(context.Cause(ctx)) })
	limit := time.AfterFunc(s.engine.opts.Limit, func() {
		interrupt(&EvalError{Code: "TIMEOUT", Message: fmt.Sprintf("the expression ran longer than %s", s.engine.opts.Limit)})
	})
	return func() error {
		unhook()
		limit.Stop()
		mu.Lock()
		defer mu.Unlock()
		over = true
		return reason
	}
}

func outcome(vm *goja.Runtime, v goja.Value) (json.RawMessage, error) {
	o := v.ToObject(vm)
	if e := o.Get("error"); e != nil && !goja.IsUndefined(e) {
		return nil, problem(vm, e)
	}
	if !o.Get("done").ToBoolean() {
		return nil, &EvalError{Message: "the expression never settled"}
	}
	text := o.Get("text")
	if text == nil || goja.IsUndefined(text) {
		return nil, ErrUndefined
	}
	return json.RawMessage(text.String()), nil
}

func problem(vm *goja.Runtime, v goja.Value) *EvalError {
	o := v.ToObject(vm)
	return &EvalError{Code: o.Get("code").String(), Message: o.Get("message").String()}
}

func (e *Engine) newRuntime() (*runtime, error) {
	vm := goja.New()
	vm.SetTimeSource(e.opts.Now)
	vm.SetMaxCallStackSize(2000)
	// $base64encode and $base64decode ask for a browser's functions, or else for
	// Node's Buffer.
	if err := vm.Set("window", map[string]any{"btoa": btoa, "atob": atob}); err != nil {
		return nil, fmt.Errorf("set the global window: %w", err)
	}
	module, err := vm.RunProgram(e.module)
	if err != nil {
		return nil, fmt.Errorf("run the jsonata module: %w", err)
	}
	wrap, err := vm.RunScript("shim.js", shim)
	if err != nil {
		return nil, fmt.Errorf("run shim.js: %w", err)
	}
	call, ok := goja.AssertFunction(wrap)
	if !ok {
		return nil, errors.New("shim.js is not a function")
	}
	exports, err := call(goja.Undefined(), module, vm.ToValue(map[string]any{
		"hash": hashText, "random": e.random, "uuid": e.newUUID,
	}))
	if err != nil {
		return nil, fmt.Errorf("run shim.js: %w", err)
	}
	rt := &runtime{vm: vm}
	for name, f := range map[string]*goja.Callable{"check": &rt.check, "parse": &rt.parse, "evaluate": &rt.evaluate} {
		*f, ok = goja.AssertFunction(exports.ToObject(vm).Get(name))
		if !ok {
			return nil, fmt.Errorf("shim.js has no function %s", name)
		}
	}
	return rt, nil
}

// random is the same number for the same seed, as AWS promises. The numbers
// are this package's own: AWS does not say how it makes them.
func (e *Engine) random(seed *float64) float64 {
	if seed != nil { // adding 0 makes one seed of 0 and -0, which are equal
		return rand.New(rand.NewPCG(math.Float64bits(*seed+0), 0)).Float64()
	}
	e.randMu.Lock()
	defer e.randMu.Unlock()
	return rand.New(e.rand).Float64()
}

// NewRand returns a source that the system has seeded.
func NewRand() *rand.ChaCha8 {
	var seed [32]byte
	_, _ = cryptorand.Read(seed[:]) // never fails
	return rand.NewChaCha8(seed)
}

func (e *Engine) newUUID() string {
	e.randMu.Lock()
	defer e.randMu.Unlock()
	return uuid.Must(uuid.NewRandomFromReader(e.rand)).String()
}

// hashText returns "" for an algorithm that $hash does not know.
func hashText(text, algorithm string) string {
	var h hash.Hash
	switch algorithm {
	case "MD5":
		h = md5.New()
	case "SHA-1":
		h = sha1.New()
	case "SHA-256":
		h = sha256.New()
	case "SHA-384":
		h = sha512.New384()
	case "SHA-512":
		h = sha512.New()
	default:
		return ""
	}
	h.Write([]byte(text))
	return hex.EncodeToString(h.Sum(nil))
}
