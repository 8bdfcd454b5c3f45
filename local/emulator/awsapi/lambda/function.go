package lambda

import (
	"cmp"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/crossapply/crossapply/local/emulator/awsapi/iam"
	"github.com/crossapply/crossapply/local/emulator/partition"
)

// Function is a Lambda function of the runtime provided.al2023.
type Function struct {
	Account string
	Region  string
	Name    string
	// Version is its published version, such as "1", by which it may be called
	// besides $LATEST: the two are the same here. Empty where none is published.
	Version string
	// Binary is the path of the executable that would be named bootstrap.
	Binary string
	// RoleARN is the execution role, which must trust lambda.amazonaws.com, in
	// every partition.
	RoleARN string
	// Environment are the function's own variables.
	Environment map[string]string
	// Timeout of one invocation; 0 means Lambda's default of 3 seconds.
	Timeout time.Duration
	// MemoryMB is told to the function but not enforced; 0 means 128.
	MemoryMB int
	// ReservedConcurrency limits the invocations at a time; nil means the
	// account's limit.
	ReservedConcurrency *int
	// Policy is the function's resource policy, as a JSON document; it may be
	// empty.
	Policy string
}

// ARN returns the function's ARN, without a qualifier.
func (f Function) ARN() string {
	return fmt.Sprintf("arn:%s:lambda:%s:%s:function:%s", partition.Of(f.Region).Name, f.Region, f.Account, f.Name)
}

const (
	latest             = "$LATEST"
	accountConcurrency = 1000 // docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
)

var functionName = regexp.MustCompile(`^[a-zA-Z0-9-_]{1,64}$`)

// reservedVariables cannot be set by a function's configuration.
// docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
func reservedVariables() []string {
	return []string{
		"_HANDLER", "_X_AMZN_TRACE_ID", "AWS_DEFAULT_REGION", "AWS_REGION", "AWS_EXECUTION_ENV",
		"AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_LAMBDA_FUNCTION_VERSION",
		"AWS_LAMBDA_INITIALIZATION_TYPE", "AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME",
		"AWS_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
		"AWS_LAMBDA_RUNTIME_API", "LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR",
	}
}

// complete checks a function and fills in Lambda's defaults.
func (f Function) complete() (Function, error) {
	f.Timeout = cmp.Or(f.Timeout, 3*time.Second)
	f.MemoryMB = cmp.Or(f.MemoryMB, 128)
	if !functionName.MatchString(f.Name) {
		return f, fmt.Errorf("function %q: malformed name", f.Name)
	}
	if f.Timeout < time.Second || f.Timeout > 15*time.Minute {
		return f, fmt.Errorf("function %s: timeout %v is not between 1 second and 15 minutes", f.Name, f.Timeout)
	}
	if f.MemoryMB < 128 || f.MemoryMB > 10240 {
		return f, fmt.Errorf("function %s: memory %d MB is not between 128 and 10240", f.Name, f.MemoryMB)
	}
	for name := range f.Environment {
		if slices.Contains(reservedVariables(), name) {
			return f, fmt.Errorf("function %s: the environment variable %s is reserved", f.Name, name)
		}
	}
	binary, err := filepath.Abs(f.Binary)
	if err != nil {
		return f, fmt.Errorf("function %s: %w", f.Name, err)
	}
	f.Binary = binary
	return f, nil
}

// environment is what Lambda gives a sandbox.
// docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
func (f Function) environment(session iam.Session, runtimeAPI, endpoint, logStream, tmp string) []string {
	root := filepath.Dir(f.Binary)
	variables := map[string]string{
		"_HANDLER":                        "bootstrap",
		"AWS_ACCESS_KEY_ID":               session.AccessKeyID,
		"AWS_SECRET_ACCESS_KEY":           session.SecretAccessKey,
		"AWS_SESSION_TOKEN":               session.SessionToken,
		"AWS_REGION":                      f.Region,
		"AWS_DEFAULT_REGION":              f.Region,
		"AWS_ENDPOINT_URL":                endpoint,
		"AWS_EXECUTION_ENV":               "AWS_Lambda_provided.al2023",
		"AWS_LAMBDA_RUNTIME_API":          runtimeAPI,
		"AWS_LAMBDA_FUNCTION_NAME":        f.Name,
		"AWS_LAMBDA_FUNCTION_VERSION":     latest,
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": strconv.Itoa(f.MemoryMB),
		"AWS_LAMBDA_INITIALIZATION_TYPE":  "on-demand",
		"AWS_LAMBDA_LOG_GROUP_NAME":       "/aws/lambda/" + f.Name,
		"AWS_LAMBDA_LOG_STREAM_NAME":      logStream,
		"LAMBDA_TASK_ROOT":                root,
		"LAMBDA_RUNTIME_DIR":              root,
		"LANG":                            "en_US.UTF-8",
		"PATH":                            "/usr/local/bin:/usr/bin:/bin",
		"TMPDIR":                          tmp,
		"TZ":                              ":UTC",
	}
	for name, value := range f.Environment {
		variables[name] = value
	}
	var list []string
	for name, value := range variables {
		list = append(list, name+"="+value)
	}
	slices.Sort(list)
	return list
}

// reference is how a caller names a function.
type reference struct {
	account, region, name, qualifier string
}

// parseReference reads a function name, a partial ARN (account:function:name)
// or a full ARN, each with or without a qualifier.
func parseReference(text string, origin iam.Origin) (reference, bool) {
	ref := reference{account: origin.Caller.Account, region: origin.Region}
	parts := strings.Split(text, ":")
	if parts[0] == "arn" {
		if len(parts) < 7 || parts[1] != partition.Of(parts[3]).Name || parts[2] != "lambda" || parts[5] != "function" {
			return ref, false
		}
		ref.region, ref.account = parts[3], parts[4]
		parts = parts[6:]
	} else if len(parts) >= 3 && parts[1] == "function" {
		ref.account = parts[0]
		parts = parts[2:]
	}
	if len(parts) == 2 {
		ref.qualifier = parts[1]
	}
	ref.name = parts[0]
	return ref, len(parts) <= 2 && functionName.MatchString(ref.name)
}

func (r reference) arn() string {
	arn := Function{Account: r.account, Region: r.region, Name: r.name}.ARN()
	if r.qualifier != "" {
		arn += ":" + r.qualifier
	}
	return arn
}
