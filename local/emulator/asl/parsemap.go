package asl

import (
	"regexp"
	"slices"
	"strings"
)

// mapState reads the fields of a Map in both of its modes.
func (p *parser) mapState(f *fields, s *state) {
	s.items, s.itemSelector = f.value("Items"), f.value("ItemSelector")
	s.maxConcurrency = f.value("MaxConcurrency")
	p.literalInteger(s.maxConcurrency, s.path+"/MaxConcurrency", 0, 99999999)
	s.toleratedCount = f.value("ToleratedFailureCount")
	s.toleratedPercentage = f.value("ToleratedFailurePercentage")
	p.literalInteger(s.toleratedCount, s.path+"/ToleratedFailureCount", 0, 10_000_000)
	p.literalPercentage(s.toleratedPercentage, s.path+"/ToleratedFailurePercentage")
	if s.items != nil && s.items.constant != nil && s.items.kind != kindArray && s.items.kind != kindObject {
		p.wrong(codeSchema, s.path+"/Items", "Items must be an array, an object or a JSONata expression")
	}
	processor := f.take("ItemProcessor")
	if processor == nil {
		p.wrong(codeSchema, s.path+"/ItemProcessor", "The field 'ItemProcessor' is required")
		return
	}
	pf := p.fields(processor, s.path+"/ItemProcessor")
	pf.text("Comment")
	if p.processorMode(pf) {
		s.distributed = &distributed{definition: processor.raw}
		p.distributed(f, s)
	}
	s.processor = p.graph(pf)
	pf.rest()
}

// processorMode says whether the mode is DISTRIBUTED.
func (p *parser) processorMode(pf *fields) bool {
	config := pf.take("ProcessorConfig")
	if config == nil {
		return false
	}
	cf := p.fields(config, pf.path+"/ProcessorConfig")
	mode := cf.oneOf("Mode", "INLINE", "DISTRIBUTED")
	executionType := cf.oneOf("ExecutionType", "STANDARD", "EXPRESS")
	cf.rest()
	if mode != "DISTRIBUTED" {
		if executionType != "" {
			p.wrong(codeSchema, cf.path+"/ExecutionType", "ExecutionType is only for the mode DISTRIBUTED")
		}
		return false
	}
	switch executionType {
	case "":
		p.wrong(codeSchema, cf.path+"/ExecutionType", "ExecutionType is required for the mode DISTRIBUTED")
	case "EXPRESS":
		p.refuse(cf.path+"/ExecutionType", "the execution type EXPRESS")
	}
	return true
}

var labelPattern = regexp.MustCompile(`^[^\s?*<>{}\[\]:;,\\|^~$#%&` + "`" + `"\x00-\x1f\x7f-\x9f]{1,40}$`)

// distributed reads what only a distributed Map has.
func (p *parser) distributed(f *fields, s *state) {
	d := s.distributed
	d.label = f.text("Label")
	switch {
	case d.label == "":
		d.label = labelOf(s.name)
	case !labelPattern.MatchString(d.label):
		p.wrong(codeSchema, s.path+"/Label", "A label has at most 40 characters, without white space and special characters")
	case p.labels[d.label]:
		p.wrong(codeInvalidLabel, s.path+"/Label", "Duplicate label: %s", d.label)
	}
	p.labels[d.label] = true
	p.itemReader(f, s)
	p.resultWriter(f, s)
	if f.take("ItemBatcher") != nil {
		p.refuse(s.path+"/ItemBatcher", "the field ItemBatcher")
	}
}

// labelOf makes a label of a state's name, where the definition gives none.
func labelOf(name string) string {
	label := strings.Map(func(r rune) rune {
		if labelPattern.MatchString(string(r)) && r != '/' {
			return r
		}
		return -1
	}, name)
	if runes := []rune(label); len(runes) > 40 {
		return string(runes[:40])
	}
	return label
}

func (p *parser) itemReader(f *fields, s *state) {
	n := f.take("ItemReader")
	if n == nil {
		return
	}
	if s.items != nil {
		p.wrong(codeSchema, s.path, "Only one of the fields [Items, ItemReader] is allowed")
	}
	rf := p.fields(n, s.path+"/ItemReader")
	r := &itemReader{arguments: rf.value("Arguments"), inputType: "JSON"}
	var supported bool
	switch r.resource, supported = p.s3Resource(rf, "s3:getObject"); {
	case r.arguments == nil:
		p.wrong(codeSchema, rf.path+"/Arguments", "The field 'Arguments' is required")
	case supported:
		p.literalArguments(r.arguments, rf.path+"/Arguments", readerArguments())
	}
	if config := rf.take("ReaderConfig"); config != nil {
		cf := p.fields(config, rf.path+"/ReaderConfig")
		r.inputType = cf.oneOf("InputType", "CSV", "JSON", "JSONL", "MANIFEST", "PARQUET")
		r.maxItems = cf.value("MaxItems")
		p.literalInteger(r.maxItems, cf.path+"/MaxItems", 1, 100_000_000)
		r.pointer = cf.text("ItemsPointer")
		if r.inputType != "JSON" && r.inputType != "JSONL" {
			p.refuse(cf.path+"/InputType", "the input type %s", r.inputType)
			return
		}
		cf.rest()
	}
	rf.rest()
	s.distributed.reader = r
}

func (p *parser) resultWriter(f *fields, s *state) {
	d := s.distributed
	n := f.take("ResultWriter")
	d.transformation, d.outputType = "COMPACT", "JSON"
	if n == nil {
		return
	}
	wf := p.fields(n, s.path+"/ResultWriter")
	arguments := wf.value("Arguments")
	if len(wf.members) == 0 && arguments == nil {
		p.wrong(codeSchema, wf.path, "ResultWriter must not be empty")
	}
	if arguments != nil {
		arn, supported := p.s3Resource(wf, "s3:putObject")
		if supported {
			p.literalArguments(arguments, wf.path+"/Arguments", writerArguments())
		}
		d.writer = &resultWriter{resource: arn, arguments: arguments}
		d.transformation = "NONE"
	}
	if config := wf.take("WriterConfig"); config != nil {
		cf := p.fields(config, wf.path+"/WriterConfig")
		if v := cf.oneOf("Transformation", "NONE", "COMPACT", "FLATTEN"); v != "" {
			d.transformation = v
		}
		if v := cf.oneOf("OutputType", "JSON", "JSONL"); v != "" {
			d.outputType = v
		}
		cf.rest()
	}
	wf.rest()
}

// s3Resource checks the resource of a reader or writer.
func (p *parser) s3Resource(f *fields, want string) (arn string, supported bool) {
	arn = f.text("Resource")
	m := integration.FindStringSubmatch(arn)
	switch {
	case arn == "":
		p.wrong(codeSchema, f.path+"/Resource", "The field 'Resource' is required")
	case m == nil || m[1] != want:
		p.refuse(f.path+"/Resource", "the resource %s", arn)
	default:
		return arn, true
	}
	return arn, false
}

// literalArguments checks the Arguments of a reader or writer as far as they
// are written out.
func (p *parser) literalArguments(t *template, path string, want []argument) {
	p.literalKind(t, path, kindObject)
	if t.kind != kindObject {
		return
	}
	for i, name := range t.names {
		if find(want, name) == nil {
			p.refuse(path+"/"+name, "the argument %s", name)
			continue
		}
		p.literalKind(t.parts[i], path+"/"+name, kindString)
	}
	for _, a := range want {
		if a.required && !slices.Contains(t.names, a.name) {
			p.wrong(codeSchema, path, "The argument '%s' is required", a.name)
		}
	}
}
