package asl

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/crossapply/crossapply/local/emulator/asl/jsonata"
)

// Machine is a parsed definition. It holds nothing of any execution, and may
// run any number of times at once.
type Machine struct {
	definition string
	engine     *jsonata.Engine
	timeout    time.Duration // 0: none
	graph      *graph
}

// Definition returns the text that was parsed.
func (m *Machine) Definition() string { return m.definition }

// graph is a set of states with a start: a machine, a branch, or what a Map
// does with each item.
type graph struct {
	startAt string
	states  map[string]*state
	order   []string // names as they were written
}

// state holds the fields of one state, of whatever type.
type state struct {
	name, typ string
	next      string // "" when it ends
	path      string // in the definition, for errors

	arguments, output, assign *template

	resource           *resource // Task
	timeout, heartbeat *template // Task: seconds
	seconds, timestamp *template // Wait
	errorName, cause   *template // Fail
	choices            []*choice // Choice
	defaultNext        string    // Choice
	branches           []*graph  // Parallel
	retry              []*retrier
	catch              []*catcher

	items, itemSelector, maxConcurrency *template // Map
	toleratedCount, toleratedPercentage *template // Map; used where it is distributed
	processor                           *graph
	distributed                         *distributed // nil: inline
}

type choice struct {
	condition      *template
	next           string
	assign, output *template
}

type retrier struct {
	errorEquals []string
	interval    time.Duration
	maxAttempts int
	backoff     float64
	maxDelay    time.Duration // 0: none
	fullJitter  bool
}

type catcher struct {
	errorEquals    []string
	next           string
	assign, output *template
}

// distributed holds what only a Map in DISTRIBUTED mode has.
type distributed struct {
	label          string
	reader         *itemReader
	writer         *resultWriter   // nil: results go to the state's output
	transformation string          // NONE, COMPACT or FLATTEN
	outputType     string          // JSON or JSONL
	definition     json.RawMessage // of the children's machine
}

type resultWriter struct {
	resource  string
	arguments *template
}

type itemReader struct {
	resource  string
	arguments *template
	inputType string // JSON or JSONL
	maxItems  *template
	pointer   string // JSON pointer to the items
}

// Parse reads a definition. It returns an *UnsupportedError for what this
// package does not run, an *InvalidError for what AWS would refuse, too.
func Parse(engine *jsonata.Engine, definition []byte) (*Machine, error) {
	root, err := readNode(definition)
	if err != nil {
		return nil, &InvalidError{[]Diagnostic{{codeJSON, "/", err.Error()}}}
	}
	p := &parser{engine: engine, labels: map[string]bool{}, names: map[string]bool{}}
	m := &Machine{definition: string(definition), engine: engine}
	f := p.fields(root, "")
	f.text("Comment")
	f.oneOf("Version", "1.0")
	p.jsonata = f.oneOf("QueryLanguage", "JSONPath", "JSONata") == "JSONata"
	m.timeout = time.Duration(f.integer("TimeoutSeconds", 0, 1, 99999999)) * time.Second
	m.graph = p.graph(f)
	f.rest()
	p.scopes(m.graph, nil)
	if err := p.err(); err != nil {
		return nil, err
	}
	return m, nil
}

// parser gathers everything that is wrong before it gives up.
type parser struct {
	engine      *jsonata.Engine
	jsonata     bool // the machine's query language, which a state may change for itself alone
	diagnostics []Diagnostic
	unsupported []*UnsupportedError
	labels      map[string]bool
	names       map[string]bool
}

func (p *parser) err() error {
	var errs []error
	for _, u := range p.unsupported {
		errs = append(errs, u)
	}
	if len(p.diagnostics) > 0 {
		errs = append(errs, &InvalidError{p.diagnostics})
	}
	if len(errs) == 1 {
		return errs[0]
	}
	return errors.Join(errs...)
}

func (p *parser) wrong(code, path, format string, args ...any) {
	p.diagnostics = append(p.diagnostics, Diagnostic{code, orRoot(path), fmt.Sprintf(format, args...)})
}

func (p *parser) refuse(path, format string, args ...any) {
	p.unsupported = append(p.unsupported, &UnsupportedError{orRoot(path), fmt.Sprintf(format, args...)})
}

func orRoot(path string) string {
	if path == "" {
		return "/"
	}
	return path
}

// graph reads StartAt and States and checks that the states hang together.
func (p *parser) graph(f *fields) *graph {
	g := &graph{states: map[string]*state{}}
	g.startAt = f.text("StartAt")
	if g.startAt == "" {
		p.wrong(codeStartAt, f.path+"/StartAt", "StartAt is missing")
	}
	states := f.take("States")
	if states == nil || states.kind != kindObject || len(states.members) == 0 {
		p.wrong(codeSchema, f.path+"/States", "States must be an object with at least one state")
		return g
	}
	for _, m := range states.members {
		if p.names[m.name] {
			p.wrong(codeDuplicate, f.path+"/States/"+m.name, "Duplicate state name: %s", m.name)
		}
		p.names[m.name] = true
		if n := len([]rune(m.name)); n == 0 || n > 80 {
			p.wrong(codeSchema, f.path+"/States/"+m.name, "A state's name must have 1 to 80 characters")
		}
		g.order = append(g.order, m.name)
		g.states[m.name] = p.state(m.name, m.value, f.path+"/States/"+m.name)
	}
	p.transitions(g, f.path)
	return g
}

// transitions checks that every state named exists and can be reached.
func (p *parser) transitions(g *graph, path string) {
	reached := map[string]bool{}
	var visit func(from, name string)
	visit = func(from, name string) {
		s := g.states[name]
		if s == nil {
			if name != "" {
				p.wrong(codeTarget, from, "Missing 'Next' target: %s", name)
			}
			return
		}
		if reached[name] {
			return
		}
		reached[name] = true
		for _, next := range s.targets() {
			visit(s.path, next)
		}
	}
	visit(path+"/StartAt", g.startAt)
	for _, name := range g.order {
		if g.states[g.startAt] != nil && !reached[name] {
			p.wrong(codeTarget, path+"/States/"+name, "State %q is not reachable", name)
		}
	}
}

// scopes checks that no inner scope assigns a variable of an outer one, whose
// names are given. The children of a distributed Map do not see outer variables.
// https://states-language.net/#variable-scope
func (p *parser) scopes(g *graph, outer []string) {
	visible := slices.Clone(outer)
	for _, name := range g.order {
		s := g.states[name]
		for _, variable := range s.assigned() {
			if slices.Contains(outer, variable) {
				p.wrong(codeSchema, s.path+"/Assign/"+variable, "The variable '%s' belongs to an outer scope, where alone it can be assigned", variable)
			}
			visible = append(visible, variable)
		}
	}
	for _, name := range g.order {
		s := g.states[name]
		for _, branch := range s.branches {
			p.scopes(branch, visible)
		}
		switch {
		case s.processor != nil && s.distributed != nil:
			p.scopes(s.processor, nil)
		case s.processor != nil:
			p.scopes(s.processor, visible)
		}
	}
}

// assigned lists the variables that a state may assign.
func (s *state) assigned() []string {
	templates := []*template{s.assign}
	for _, c := range s.choices {
		templates = append(templates, c.assign)
	}
	for _, c := range s.catch {
		templates = append(templates, c.assign)
	}
	var out []string
	for _, t := range templates {
		if t != nil {
			out = append(out, t.names...)
		}
	}
	return out
}

// targets lists the states that may follow.
func (s *state) targets() []string {
	out := []string{s.next, s.defaultNext}
	for _, c := range s.choices {
		out = append(out, c.next)
	}
	for _, c := range s.catch {
		out = append(out, c.next)
	}
	return slices.DeleteFunc(out, func(name string) bool { return name == "" })
}

func (p *parser) state(name string, n *node, path string) *state {
	isJSONata := p.jsonata
	s := &state{name: name, path: path}
	f := p.fields(n, path)
	s.typ = f.oneOf("Type", "Task", "Map", "Choice", "Wait", "Pass", "Succeed", "Fail", "Parallel")
	f.text("Comment")
	if lang := f.oneOf("QueryLanguage", "JSONPath", "JSONata"); lang != "" {
		if p.jsonata && lang == "JSONPath" {
			p.wrong(codeSchema, path+"/QueryLanguage", "The QueryLanguage 'JSONPath' is not allowed when the state machine's is 'JSONata'")
		}
		isJSONata = lang == "JSONata"
	}
	if !isJSONata {
		p.refuse(path, "the query language JSONPath (state %q)", name)
		return s
	}
	switch s.typ {
	case "Task":
		p.task(f, s)
	case "Map":
		p.mapState(f, s)
	case "Parallel":
		p.parallel(f, s)
	case "Choice":
		p.choice(f, s)
	case "Wait":
		s.seconds, s.timestamp = f.value("Seconds"), f.value("Timestamp")
		if (s.seconds == nil) == (s.timestamp == nil) {
			p.wrong(codeSchema, path, "A Wait state has exactly one of the fields [Seconds, Timestamp]")
		}
		p.literalInteger(s.seconds, path+"/Seconds", 0, 99999999)
		p.literalTimestamp(s.timestamp, path+"/Timestamp")
	case "Fail":
		s.errorName, s.cause = f.value("Error"), f.value("Cause")
		p.literalKind(s.errorName, path+"/Error", kindString)
		p.literalKind(s.cause, path+"/Cause", kindString)
	case "":
		return s
	}
	p.common(f, s)
	f.rest()
	return s
}

// common reads the fields that several types share.
func (p *parser) common(f *fields, s *state) {
	var sees []string
	switch s.typ {
	case "Task", "Map", "Parallel":
		sees = []string{seesResult}
	}
	if s.typ != "Fail" {
		s.output = f.value("Output", sees...)
	}
	if s.typ != "Fail" && s.typ != "Succeed" {
		s.assign = f.assign("Assign", sees...)
	}
	switch s.typ {
	case "Task", "Map", "Parallel", "Pass", "Wait":
		s.next = f.text("Next")
		end := f.boolean("End")
		if (s.next == "") == !end {
			p.wrong(codeSchema, s.path, "Exactly one of the fields [Next, End] is required")
		}
	}
	switch s.typ {
	case "Task", "Map", "Parallel":
		s.retry = p.retriers(f)
		s.catch = p.catchers(f)
	}
}

func (p *parser) task(f *fields, s *state) {
	arn := f.text("Resource")
	s.arguments = f.value("Arguments")
	s.timeout, s.heartbeat = f.value("TimeoutSeconds"), f.value("HeartbeatSeconds")
	timeout, hasTimeout := p.literalInteger(s.timeout, s.path+"/TimeoutSeconds", 1, 99999999)
	heartbeat, hasHeartbeat := p.literalInteger(s.heartbeat, s.path+"/HeartbeatSeconds", 1, 99999999)
	if hasTimeout && hasHeartbeat && heartbeat >= timeout { // https://states-language.net/#task-state
		p.wrong(codeSchema, s.path+"/HeartbeatSeconds", "HeartbeatSeconds must be smaller than TimeoutSeconds")
	}
	if f.take("Credentials") != nil {
		p.refuse(s.path+"/Credentials", "the field Credentials")
	}
	if arn == "" {
		p.wrong(codeSchema, s.path+"/Resource", "The field 'Resource' is required")
		return
	}
	var ok bool
	if s.resource, ok = parseResource(arn); !ok {
		p.refuse(s.path+"/Resource", "the resource %s (which is neither a Lambda function nor %s)", arn, strings.Join(integrations(), " nor "))
	}
}

func (p *parser) parallel(f *fields, s *state) {
	s.arguments = f.value("Arguments")
	branches := f.array("Branches")
	if len(branches) == 0 {
		p.wrong(codeSchema, s.path+"/Branches", "Branches must be a non-empty array")
	}
	for i, n := range branches {
		bf := p.fields(n, fmt.Sprintf("%s/Branches[%d]", s.path, i))
		bf.text("Comment")
		s.branches = append(s.branches, p.graph(bf))
		bf.rest()
	}
}

func (p *parser) choice(f *fields, s *state) {
	s.defaultNext = f.text("Default")
	choices := f.array("Choices")
	if len(choices) == 0 {
		p.wrong(codeSchema, s.path+"/Choices", "Choices must be a non-empty array")
	}
	for i, n := range choices {
		path := fmt.Sprintf("%s/Choices[%d]", s.path, i)
		cf := p.fields(n, path)
		cf.text("Comment")
		c := &choice{condition: cf.value("Condition"), next: cf.text("Next"), assign: cf.assign("Assign"), output: cf.value("Output")}
		if c.condition == nil || c.condition.constant != nil && kindOf(c.condition.constant) != kindBoolean {
			p.wrong(codeSchema, path+"/Condition", "Condition must be a boolean or a JSONata expression")
		}
		if c.next == "" {
			p.wrong(codeSchema, path+"/Next", "The field 'Next' is required")
		}
		cf.rest()
		s.choices = append(s.choices, c)
	}
}

func (p *parser) retriers(f *fields) []*retrier {
	var out []*retrier
	for i, n := range f.array("Retry") {
		rf := p.fields(n, fmt.Sprintf("%s/Retry[%d]", f.path, i))
		rf.text("Comment")
		r := &retrier{
			errorEquals: rf.errorEquals(),
			interval:    time.Duration(rf.integer("IntervalSeconds", 1, 1, 99999999)) * time.Second,
			maxAttempts: rf.integer("MaxAttempts", 3, 0, 99999999),
			backoff:     rf.number("BackoffRate", 2, 1),
			maxDelay:    time.Duration(rf.integer("MaxDelaySeconds", 0, 1, 31622399)) * time.Second,
			fullJitter:  rf.oneOf("JitterStrategy", "NONE", "FULL") == "FULL",
		}
		rf.rest()
		out = append(out, r)
	}
	p.allLast(f.path+"/Retry", len(out), func(i int) []string { return out[i].errorEquals })
	return out
}

func (p *parser) catchers(f *fields) []*catcher {
	var out []*catcher
	for i, n := range f.array("Catch") {
		cf := p.fields(n, fmt.Sprintf("%s/Catch[%d]", f.path, i))
		cf.text("Comment")
		c := &catcher{errorEquals: cf.errorEquals(), next: cf.text("Next"),
			assign: cf.assign("Assign", seesErrorOutput), output: cf.value("Output", seesErrorOutput)}
		if c.next == "" {
			p.wrong(codeSchema, cf.path+"/Next", "The field 'Next' is required")
		}
		cf.rest()
		out = append(out, c)
	}
	p.allLast(f.path+"/Catch", len(out), func(i int) []string { return out[i].errorEquals })
	return out
}

// allLast checks that States.ALL stands alone and last.
func (p *parser) allLast(path string, n int, errorEquals func(int) []string) {
	for i := range n {
		names := errorEquals(i)
		if slices.Contains(names, ErrAll) && (len(names) > 1 || i < n-1) {
			p.wrong(codeSchema, fmt.Sprintf("%s[%d]/ErrorEquals", path, i), "States.ALL must appear alone, and last")
		}
	}
}

var variableName = regexp.MustCompile(`^[\p{L}_][\p{L}\p{N}_]{0,79}$`)

// resource is what a Task state calls.
type resource struct {
	arn string
	// function is set for a Lambda function's own ARN: its history has the
	// LambdaFunction events.
	function bool
	typ, api string // otherwise the service integration, e.g. aws-sdk:s3, putObject
	// callback is set where the state waits for an answer to its token.
	callback bool
}

// CallbackSuffix ends the resource of a Task that waits for an answer to its token.
// https://docs.aws.amazon.com/step-functions/latest/dg/connect-to-resource.html#connect-wait-token
const CallbackSuffix = ".waitForTaskToken"

var (
	lambdaARN   = regexp.MustCompile(`^arn:aws[a-z-]*:lambda:[a-z0-9-]+:\d{12}:function:[A-Za-z0-9_-]+(:[A-Za-z0-9$_-]+)?$`)
	integration = regexp.MustCompile(`^arn:aws[a-z-]*:states:[a-z0-9-]*:(?:\d{12})?:(.+)$`)
)

// integrations lists the service integrations that Tasks are given.
// https://docs.aws.amazon.com/step-functions/latest/dg/supported-services-awssdk.html
func integrations() []string {
	return []string{
		"lambda:invoke", "lambda:invoke" + CallbackSuffix, "events:putEvents", "events:putEvents" + CallbackSuffix,
		"aws-sdk:s3:putObject",
	}
}

func parseResource(arn string) (*resource, bool) {
	if lambdaARN.MatchString(arn) {
		return &resource{arn: arn, function: true, typ: "lambda"}, true
	}
	m := integration.FindStringSubmatch(arn)
	if m == nil || !slices.Contains(integrations(), m[1]) {
		return nil, false
	}
	last := strings.LastIndex(m[1], ":")
	return &resource{arn: arn, typ: m[1][:last], api: m[1][last+1:], callback: strings.HasSuffix(m[1], CallbackSuffix)}, true
}
