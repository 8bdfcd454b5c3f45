package states

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"github.com/crossapply/crossapply/local/emulator/asl"
	"github.com/crossapply/crossapply/local/emulator/awsapi/iam"
	"github.com/crossapply/crossapply/local/emulator/awsapi/protocol"
	"github.com/crossapply/crossapply/local/emulator/partition"
)

// machine is a state machine. The version that new executions run changes
// with UpdateStateMachine; those that run keep theirs.
type machine struct {
	arn, name string
	created   time.Time
	version   *version
	tags      []types.Tag
	revisions int
}

// version is what an execution runs.
type version struct {
	machineARN, name, roleARN string
	parsed                    *asl.Machine
	date                      time.Time
	revision                  string // "" is the first
	logging                   *types.LoggingConfiguration
	tracing                   *types.TracingConfiguration
}

const maxDefinition = 1 << 20

// checkName applies the rules for the names of machines and executions.
// https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html
func checkName(name string) error {
	if n := utf8.RuneCountInString(name); n < 1 || n > 80 {
		return fault("ValidationException", "1 validation error detected: Value '%s' at 'name' failed to satisfy constraint: Member must have length between 1 and 80", name)
	}
	bad := func(r rune) bool {
		return r <= ' ' || r >= 0x7f && r <= 0x9f || r >= 0xfffe && r <= 0xffff || strings.ContainsRune("<>{}[]?*\"#%\\^|~`$&,;:/", r)
	}
	if !utf8.ValidString(name) || strings.ContainsFunc(name, bad) {
		return fault("InvalidName", "Invalid Name: '%s'", name)
	}
	return nil
}

// checkARN says InvalidArn unless arn is a Step Functions ARN of that kind.
func checkARN(arn, kind string) error {
	parts := strings.SplitN(arn, ":", 7)
	if len(parts) != 7 || parts[0] != "arn" || parts[2] != "states" || parts[5] != kind || parts[6] == "" {
		return fault("InvalidArn", "Invalid Arn: '%s'", arn)
	}
	return nil
}

// ownMachine is the ARN of the caller's state machine of that name.
func ownMachine(r *protocol.Request, name string) string {
	return fmt.Sprintf("arn:%s:states:%s:%s:stateMachine:%s", partition.Of(r.Region).Name, r.Region, r.Caller.Account, name)
}

func (s *Service) parse(definition string) (*asl.Machine, error) {
	if definition == "" || len(definition) > maxDefinition {
		return nil, fault("ValidationException", "1 validation error detected: Value at 'definition' failed to satisfy constraint: Member must have length between 1 and %d", maxDefinition)
	}
	m, err := asl.Parse(s.engine, []byte(definition))
	if err != nil {
		return nil, fault("InvalidDefinition", "Invalid State Machine Definition: '%v'", err)
	}
	return m, nil
}

// checkRole sees that the caller may pass the role, and that Step Functions
// may assume it for the machine.
func (s *Service) checkRole(r *protocol.Request, roleARN, machineARN string) error {
	if !strings.HasPrefix(roleARN, "arn:") || !strings.Contains(roleARN, ":role/") {
		return fault("InvalidArn", "Invalid Role Arn: '%s'", roleARN)
	}
	pass := iam.Request{Action: "iam:PassRole", Resource: roleARN, Conditions: iam.Conditions{"iam:PassedToService": {principal}}}
	if err := r.Authorize(pass); err != nil {
		return err
	}
	if err := s.directory.CheckTrust(principal, roleARN, machineARN); err != nil {
		return fault("AccessDeniedException", "Neither the global service principal states.amazonaws.com, nor the regional one is authorized to assume the provided role: %v", err)
	}
	return nil
}

func (s *Service) createStateMachine(r *protocol.Request, in *sfn.CreateStateMachineInput) (*sfn.CreateStateMachineOutput, error) {
	name := aws.ToString(in.Name)
	if err := checkName(name); err != nil {
		return nil, err
	}
	arn := ownMachine(r, name)
	if err := r.Authorize(iam.Request{Resource: arn}); err != nil {
		return nil, err
	}
	switch {
	case in.Type == types.StateMachineTypeExpress:
		return nil, fault("StateMachineTypeNotSupported", "The type EXPRESS is not supported here")
	case in.Publish:
		return nil, errPublish()
	}
	if err := checkEncryption(in.EncryptionConfiguration); err != nil {
		return nil, err
	}
	if err := s.checkRole(r, aws.ToString(in.RoleArn), arn); err != nil {
		return nil, err
	}
	parsed, err := s.parse(aws.ToString(in.Definition))
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if m := s.machines[arn]; m != nil {
		// A different role or different tags are ignored, as by AWS.
		// https://docs.aws.amazon.com/step-functions/latest/apireference/API_CreateStateMachine.html
		v := m.version
		if v.parsed.Definition() == parsed.Definition() &&
			reflect.DeepEqual(v.logging, in.LoggingConfiguration) && reflect.DeepEqual(v.tracing, in.TracingConfiguration) {
			return &sfn.CreateStateMachineOutput{StateMachineArn: &m.arn, CreationDate: &m.created}, nil
		}
		return nil, fault("StateMachineAlreadyExists", "State Machine Already Exists: '%s'", arn)
	}
	m := &machine{arn: arn, name: name, created: s.clock.Now(), tags: in.Tags}
	m.version = &version{
		machineARN: arn, name: name, roleARN: *in.RoleArn, parsed: parsed, date: m.created,
		logging: in.LoggingConfiguration, tracing: in.TracingConfiguration,
	}
	s.machines[arn] = m
	return &sfn.CreateStateMachineOutput{StateMachineArn: &m.arn, CreationDate: &m.created}, nil
}

func errPublish() error {
	return fault("ValidationException", "Versions ('publish') are not supported here")
}

// checkEncryption refuses keys of the customer's own.
func checkEncryption(c *types.EncryptionConfiguration) error {
	if c != nil && c.Type == types.EncryptionTypeCustomerManagedKmsKey {
		return fault("ValidationException", "Customer managed keys ('encryptionConfiguration') are not supported here")
	}
	return nil
}

// machine finds a state machine. The lock must be held.
func (s *Service) machine(arn string) (*machine, error) {
	m := s.machines[arn]
	if m == nil {
		return nil, fault("StateMachineDoesNotExist", "State Machine Does Not Exist: '%s'", arn)
	}
	return m, nil
}

// allowMachine checks the ARN and the caller's permission.
func allowMachine(r *protocol.Request, arn *string) (string, error) {
	if err := checkARN(aws.ToString(arn), "stateMachine"); err != nil {
		return "", err
	}
	return *arn, r.Authorize(iam.Request{Resource: *arn})
}

func (s *Service) updateStateMachine(r *protocol.Request, in *sfn.UpdateStateMachineInput) (*sfn.UpdateStateMachineOutput, error) {
	arn, err := allowMachine(r, in.StateMachineArn)
	if err != nil {
		return nil, err
	}
	if in.Publish {
		return nil, errPublish()
	}
	if err := checkEncryption(in.EncryptionConfiguration); err != nil {
		return nil, err
	}
	if in.Definition == nil && in.RoleArn == nil && in.LoggingConfiguration == nil && in.TracingConfiguration == nil {
		return nil, fault("MissingRequiredParameter", "Either the definition, the role ARN, the LoggingConfiguration, or the TracingConfiguration must be specified")
	}
	var parsed *asl.Machine
	if in.Definition != nil {
		if parsed, err = s.parse(*in.Definition); err != nil {
			return nil, err
		}
	}
	if in.RoleArn != nil {
		if err := s.checkRole(r, *in.RoleArn, arn); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	m, err := s.machine(arn)
	if err != nil {
		return nil, err
	}
	next := *m.version
	m.revisions++
	next.date, next.revision = s.clock.Now(), fmt.Sprintf("00000000-0000-4000-8000-%012d", m.revisions)
	next.parsed = cmp.Or(parsed, next.parsed)
	next.roleARN = cmp.Or(aws.ToString(in.RoleArn), next.roleARN)
	next.logging = cmp.Or(in.LoggingConfiguration, next.logging)
	next.tracing = cmp.Or(in.TracingConfiguration, next.tracing)
	m.version = &next
	return &sfn.UpdateStateMachineOutput{UpdateDate: &next.date, RevisionId: &next.revision}, nil
}

// deleteStateMachine also succeeds where there is none. Executions that run are
// aborted when they next go on to another state. (On AWS the machine stays,
// DELETING, until they have ended; here it is gone at once.)
func (s *Service) deleteStateMachine(r *protocol.Request, in *sfn.DeleteStateMachineInput) (*sfn.DeleteStateMachineOutput, error) {
	arn, err := allowMachine(r, in.StateMachineArn)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.machines, arn)
	for _, e := range s.order {
		if e.version.machineARN == arn {
			e.StopAtTransition("", "The state machine was deleted.")
		}
	}
	return &sfn.DeleteStateMachineOutput{}, nil
}

func (s *Service) describeStateMachine(r *protocol.Request, in *sfn.DescribeStateMachineInput) (*sfn.DescribeStateMachineOutput, error) {
	arn, err := allowMachine(r, in.StateMachineArn)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	m, err := s.machine(arn)
	if err != nil {
		return nil, err
	}
	v := m.version
	return &sfn.DescribeStateMachineOutput{
		StateMachineArn: &m.arn, Name: &m.name, Status: types.StateMachineStatusActive, Type: types.StateMachineTypeStandard,
		Definition: aws.String(v.parsed.Definition()), RoleArn: &v.roleARN, CreationDate: &m.created,
		LoggingConfiguration: v.logging, TracingConfiguration: v.tracing, RevisionId: optional(v.revision),
	}, nil
}

// optional is nil for "".
func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func (s *Service) listStateMachines(r *protocol.Request, in *sfn.ListStateMachinesInput) (*sfn.ListStateMachinesOutput, error) {
	if err := r.Authorize(iam.Request{Resource: "*"}); err != nil {
		return nil, err
	}
	prefix := ownMachine(r, "")
	s.mu.Lock()
	defer s.mu.Unlock()
	all := []types.StateMachineListItem{}
	for _, arn := range slices.Sorted(maps.Keys(s.machines)) {
		if m := s.machines[arn]; strings.HasPrefix(arn, prefix) {
			all = append(all, types.StateMachineListItem{
				StateMachineArn: &m.arn, Name: &m.name, Type: types.StateMachineTypeStandard, CreationDate: &m.created,
			})
		}
	}
	items, next, err := page(all, in.MaxResults, in.NextToken)
	return &sfn.ListStateMachinesOutput{StateMachines: items, NextToken: next}, err
}

func (s *Service) validateStateMachineDefinition(r *protocol.Request, in *sfn.ValidateStateMachineDefinitionInput) (*sfn.ValidateStateMachineDefinitionOutput, error) {
	if err := r.Authorize(iam.Request{Resource: "*"}); err != nil {
		return nil, err
	}
	out := &sfn.ValidateStateMachineDefinitionOutput{
		Result: types.ValidateStateMachineDefinitionResultCodeOk, Diagnostics: []types.ValidateStateMachineDefinitionDiagnostic{},
	}
	_, err := asl.Parse(s.engine, []byte(aws.ToString(in.Definition)))
	if err == nil {
		return out, nil
	}
	out.Result = types.ValidateStateMachineDefinitionResultCodeFail
	for _, d := range asl.Diagnostics(err) {
		out.Diagnostics = append(out.Diagnostics, types.ValidateStateMachineDefinitionDiagnostic{
			Severity: types.ValidateStateMachineDefinitionSeverityError,
			Code:     aws.String(d.Code), Message: aws.String(d.Message), Location: aws.String(d.Path),
		})
	}
	return out, nil
}

func (s *Service) tagResource(r *protocol.Request, in *sfn.TagResourceInput) (*sfn.TagResourceOutput, error) {
	err := s.changeTags(r, in.ResourceArn, func(m *machine) {
		for _, tag := range in.Tags {
			m.tags = append(without(m.tags, aws.ToString(tag.Key)), tag)
		}
	})
	return &sfn.TagResourceOutput{}, err
}

func (s *Service) untagResource(r *protocol.Request, in *sfn.UntagResourceInput) (*sfn.UntagResourceOutput, error) {
	err := s.changeTags(r, in.ResourceArn, func(m *machine) {
		m.tags = without(m.tags, in.TagKeys...)
	})
	return &sfn.UntagResourceOutput{}, err
}

func without(tags []types.Tag, keys ...string) []types.Tag {
	return slices.DeleteFunc(slices.Clone(tags), func(t types.Tag) bool { return slices.Contains(keys, aws.ToString(t.Key)) })
}

func (s *Service) listTagsForResource(r *protocol.Request, in *sfn.ListTagsForResourceInput) (*sfn.ListTagsForResourceOutput, error) {
	out := &sfn.ListTagsForResourceOutput{}
	err := s.changeTags(r, in.ResourceArn, func(m *machine) {
		out.Tags = append([]types.Tag{}, m.tags...)
	})
	return out, err
}

func (s *Service) changeTags(r *protocol.Request, arn *string, change func(*machine)) error {
	if _, err := allowMachine(r, arn); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	m, err := s.machine(*arn)
	var missing *protocol.Error
	if errors.As(err, &missing) {
		return fault("ResourceNotFound", "%s", missing.Message)
	}
	change(m)
	return nil
}
