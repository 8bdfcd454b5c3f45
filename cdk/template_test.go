package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/crossapply/crossapply/cdk/config"
	"github.com/crossapply/crossapply/shared/regions"
)

// template is a CloudFormation template as it was synthesised.
type template struct {
	Resources  map[string]resource       `json:"Resources"`
	Conditions map[string]map[string]any `json:"Conditions"`
	Outputs    map[string]map[string]any `json:"Outputs"`
	// account and region are where it is deployed to.
	account, region string
}

type resource struct {
	Type           string         `json:"Type"`
	Properties     map[string]any `json:"Properties"`
	DependsOn      []string       `json:"DependsOn"`
	Condition      string         `json:"Condition"`
	DeletionPolicy string         `json:"DeletionPolicy"`
	// UpdateReplacePolicy is what becomes of it when another takes its place.
	UpdateReplacePolicy string `json:"UpdateReplacePolicy"`
}

// partition is the one it is deployed in, and domain that partition's own.
func (tp template) partition() string { return regions.Partition(tp.region) }

func (tp template) domain() string {
	if tp.partition() == "aws-cn" {
		return "amazonaws.com.cn"
	}
	return "amazonaws.com"
}

// arn returns the ARN of something in its account and Region.
func (tp template) arn(service, what string) string {
	return "arn:" + tp.partition() + ":" + service + ":" + tp.region + ":" + tp.account + ":" + what
}

func readTemplate(t *testing.T, file, account, region string) template {
	t.Helper()
	parsed := template{account: account, region: region}
	readJSON(t, file, &parsed)
	return parsed
}

func (s synthesis) hub(t *testing.T) template {
	return readTemplate(t, filepath.Join(s.dir, "crossapply.template.json"), s.config.Hub.Account, s.config.Hub.Region)
}

// role is the template of an account's access role, whoever deploys it.
func (s synthesis) role(t *testing.T, account config.Account) template {
	file := filepath.Join(s.dir, "crossapply-access-"+account.ID+".template.json")
	if s.config.StackSet != nil {
		file = filepath.Join(s.dist, accessDir, "role.template.json")
	}
	return readTemplate(t, file, account.ID, s.config.Home(account))
}

// artifact is a stack in the cloud assembly.
type artifact struct {
	Type         string   `json:"type"`
	Dependencies []string `json:"dependencies"`
	Environment  string   `json:"environment"`
	Properties   struct {
		StackName                     string `json:"stackName"`
		AssumeRoleARN                 string `json:"assumeRoleArn"`
		RequiresBootstrapStackVersion int    `json:"requiresBootstrapStackVersion"`
		TerminationProtection         bool   `json:"terminationProtection"`
	} `json:"properties"`
}

// artifacts returns the stacks of the cloud assembly, by what the CDK calls them.
func (s synthesis) artifacts(t *testing.T) map[string]artifact {
	t.Helper()
	var manifest struct {
		Artifacts map[string]artifact `json:"artifacts"`
	}
	readJSON(t, filepath.Join(s.dir, "manifest.json"), &manifest)
	maps.DeleteFunc(manifest.Artifacts, func(_ string, a artifact) bool { return a.Type != "aws:cloudformation:stack" })
	return manifest.Artifacts
}

// conditioned is a template as it is deployed to an account and Region: without
// what its conditions leave out.
func conditioned(t *testing.T, file, account, region string) template {
	t.Helper()
	all := readTemplate(t, file, account, region)
	for id, r := range all.Resources {
		if r.Condition != "" && !all.holds(t, all.Conditions[r.Condition]) {
			delete(all.Resources, id)
		}
	}
	return all
}

func (tp template) holds(t *testing.T, condition map[string]any) bool {
	t.Helper()
	if both, ok := condition["Fn::And"].([]any); ok {
		for _, one := range both {
			if !tp.holds(t, one.(map[string]any)) {
				return false
			}
		}
		return true
	}
	pair, ok := condition["Fn::Equals"].([]any)
	if !ok || len(pair) != 2 {
		t.Fatalf("unknown condition %v", condition)
	}
	return tp.text(t, pair[0]) == tp.text(t, pair[1])
}

// ofType returns the resources of a type, by their name property.
func (tp template) ofType(kind string) []resource {
	var found []resource
	for _, r := range tp.Resources {
		if r.Type == kind {
			found = append(found, r)
		}
	}
	return found
}

func (tp template) only(t *testing.T, kind string) resource {
	t.Helper()
	found := tp.ofType(kind)
	if len(found) != 1 {
		t.Fatalf("want one %s, got %d", kind, len(found))
	}
	return found[0]
}

// named returns the resource of a type whose property has that value.
func (tp template) named(t *testing.T, kind, property, value string) resource {
	t.Helper()
	for _, r := range tp.ofType(kind) {
		if r.Properties[property] == value {
			return r
		}
	}
	t.Fatalf("no %s whose %s is %q", kind, property, value)
	return resource{}
}

// at follows a path of keys and indices into a resource's properties.
func (r resource) at(path ...any) any {
	var value any = r.Properties
	for _, step := range path {
		switch step := step.(type) {
		case string:
			object, ok := value.(map[string]any)
			if !ok {
				return nil
			}
			value = object[step]
		case int:
			list, ok := value.([]any)
			if !ok || step >= len(list) {
				return nil
			}
			value = list[step]
		}
	}
	return value
}

func (r resource) want(t *testing.T, value any, path ...any) {
	t.Helper()
	if got := fmt.Sprint(r.at(path...)); got != fmt.Sprint(value) {
		t.Errorf("%s %v: got %s, want %v", r.Type, path, got, value)
	}
}

// text resolves a value to the text that it is once deployed.
func (tp template) text(t *testing.T, value any) string {
	t.Helper()
	switch value := tp.resolve(t, value).(type) {
	case string:
		return value
	default:
		t.Fatalf("%v is no text", value)
		return ""
	}
}

// resolve replaces the intrinsic functions in a value.
func (tp template) resolve(t *testing.T, value any) any {
	t.Helper()
	switch value := value.(type) {
	case []any:
		list := make([]any, len(value))
		for i, item := range value {
			list[i] = tp.resolve(t, item)
		}
		return list
	case map[string]any:
		if ref, ok := value["Ref"].(string); ok {
			return tp.ref(t, ref)
		}
		if get, ok := value["Fn::GetAtt"].([]any); ok {
			return tp.attribute(t, get[0].(string), get[1].(string))
		}
		if join, ok := value["Fn::Join"].([]any); ok {
			var parts []string
			for _, part := range join[1].([]any) {
				parts = append(parts, tp.text(t, part))
			}
			return strings.Join(parts, join[0].(string))
		}
		object := map[string]any{}
		for key, inner := range value {
			if strings.HasPrefix(key, "Fn::") {
				t.Fatalf("unknown function %s", key)
			}
			object[key] = tp.resolve(t, inner)
		}
		return object
	}
	return value
}

func (tp template) ref(t *testing.T, id string) string {
	t.Helper()
	switch id {
	case "AWS::Partition":
		return tp.partition()
	case "AWS::URLSuffix":
		return tp.domain()
	case "AWS::AccountId":
		return tp.account
	case "AWS::Region":
		return tp.region
	}
	r, ok := tp.Resources[id]
	if !ok {
		t.Fatalf("Ref to %s, which is not there", id)
	}
	switch r.Type {
	case "AWS::IAM::Role":
		return tp.text(t, r.Properties["RoleName"])
	case "AWS::S3::Bucket":
		// CloudFormation would choose the name; there is one bucket only.
		return "crossapply-runs-" + tp.account
	case "AWS::Scheduler::ScheduleGroup":
		return tp.text(t, r.Properties["Name"])
	case "AWS::Lambda::Function":
		return tp.text(t, r.Properties["FunctionName"])
	case "AWS::Lambda::Version":
		return tp.arn("lambda", "function:"+tp.text(t, r.Properties["FunctionName"])+":1")
	case "AWS::StepFunctions::StateMachine", "AWS::IAM::ManagedPolicy", "AWS::SNS::Topic":
		return tp.attribute(t, id, "Arn")
	}
	return id
}

// qualifiedName is a role's name with its path in front.
func (tp template) qualifiedName(t *testing.T, role resource) string {
	t.Helper()
	path, _ := role.Properties["Path"].(string)
	return strings.TrimPrefix(path, "/") + tp.text(t, role.Properties["RoleName"])
}

func (tp template) attribute(t *testing.T, id, name string) string {
	t.Helper()
	r, ok := tp.Resources[id]
	if !ok || name != "Arn" {
		t.Fatalf("GetAtt %s.%s is not known here", id, name)
	}
	switch r.Type {
	case "AWS::IAM::Role":
		return "arn:" + tp.partition() + ":iam::" + tp.account + ":role/" + tp.qualifiedName(t, r)
	case "AWS::S3::Bucket":
		return "arn:" + tp.partition() + ":s3:::" + tp.ref(t, id)
	case "AWS::Lambda::Function":
		return tp.arn("lambda", "function:"+tp.ref(t, id))
	case "AWS::Logs::LogGroup":
		return tp.arn("logs", "log-group:"+tp.text(t, r.Properties["LogGroupName"])+":*")
	case "AWS::SNS::Topic":
		return tp.arn("sns", tp.text(t, r.Properties["TopicName"]))
	case "AWS::SQS::Queue":
		return tp.arn("sqs", tp.text(t, r.Properties["QueueName"]))
	case "AWS::KMS::Key":
		return tp.arn("kms", "key/"+id)
	case "AWS::StepFunctions::StateMachine":
		return tp.arn("states", "stateMachine:"+tp.text(t, r.Properties["StateMachineName"]))
	case "AWS::StepFunctions::StateMachineVersion":
		return tp.text(t, r.Properties["StateMachineArn"]) + ":1"
	case "AWS::StepFunctions::StateMachineAlias":
		version := tp.text(t, r.at("DeploymentPreference", "StateMachineVersionArn"))
		return version[:strings.LastIndex(version, ":")+1] + tp.text(t, r.Properties["Name"])
	}
	t.Fatalf("the ARN of a %s is not known here", r.Type)
	return ""
}

// document returns a policy document as the JSON text it is once deployed.
func (tp template) document(t *testing.T, value any) string {
	t.Helper()
	body, err := json.Marshal(tp.resolve(t, value))
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// managedPolicy returns the document of a managed policy, by its name without the
// deployment's before it.
func (tp template) managedPolicy(t *testing.T, name string) string {
	t.Helper()
	return tp.document(t, tp.named(t, "AWS::IAM::ManagedPolicy", "ManagedPolicyName", "crossapply-"+name).Properties["PolicyDocument"])
}

// substitutions returns what is put for the placeholders of the definition.
func (tp template) substitutions(t *testing.T) map[string]string {
	t.Helper()
	values := map[string]string{}
	for name, value := range tp.only(t, "AWS::StepFunctions::StateMachine").Properties["DefinitionSubstitutions"].(map[string]any) {
		values[name] = tp.text(t, value)
	}
	return values
}

// policiesOf returns the documents of all policies of a role.
func (tp template) policiesOf(t *testing.T, roleID string) []string {
	t.Helper()
	var documents []string
	inline, _ := tp.Resources[roleID].Properties["Policies"].([]any)
	for _, policy := range inline {
		documents = append(documents, tp.document(t, policy.(map[string]any)["PolicyDocument"]))
	}
	attached, _ := tp.Resources[roleID].Properties["ManagedPolicyArns"].([]any)
	for _, policy := range attached {
		id := policy.(map[string]any)["Ref"].(string)
		documents = append(documents, tp.document(t, tp.Resources[id].Properties["PolicyDocument"]))
	}
	for _, r := range tp.Resources {
		roles, _ := r.Properties["Roles"].([]any)
		if (r.Type == "AWS::IAM::Policy" || r.Type == "AWS::IAM::ManagedPolicy") &&
			slices.ContainsFunc(roles, func(role any) bool { return fmt.Sprint(role) == fmt.Sprint(map[string]any{"Ref": roleID}) }) {
			documents = append(documents, tp.document(t, r.Properties["PolicyDocument"]))
		}
	}
	return documents
}
