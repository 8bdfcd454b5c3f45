package config

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/yaml"

	"github.com/crossapply/crossapply/shared/awsenv"
	"github.com/crossapply/crossapply/shared/deployment"
	"github.com/crossapply/crossapply/shared/strictjson"
)

// InvalidError is returned when a configuration is invalid.
type InvalidError struct {
	// Source is where the configuration was read from.
	Source string
	// Problems are the mistakes, each with the path of its key.
	Problems field.ErrorList
}

func (e *InvalidError) Error() string {
	var text strings.Builder
	fmt.Fprintf(&text, "%s is invalid:", e.Source)
	for _, problem := range e.Problems {
		text.WriteString("\n  " + problem.Error())
	}
	return text.String()
}

// Load reads a configuration from a JSON or YAML file. It returns an
// [InvalidError] when the configuration is invalid.
func Load(file string) (Config, error) {
	text, err := os.ReadFile(file) //nolint:gosec // the file that the user names
	if err != nil {
		return Config{}, fmt.Errorf("read the configuration: %w", err)
	}
	raw, err := yaml.YAMLToJSONStrict(text)
	if err != nil {
		return Config{}, fmt.Errorf("read the configuration %s: %w", file, err)
	}
	return Parse(raw, file)
}

// Parse reads a configuration from JSON, fills in the defaults and checks it.
// source names where it came from; files that it mentions are sought beside
// that. It returns an [InvalidError] when the configuration is invalid.
func Parse(raw []byte, source string) (Config, error) {
	var c Config
	problems := strictjson.Unmarshal(raw, &c, nil, "configuration")
	if len(problems) == 0 {
		problems = c.readRequests(filepath.Dir(source))
	}
	if len(problems) == 0 {
		c.setDefaults()
		problems = c.check()
	}
	if len(problems) > 0 {
		return Config{}, &InvalidError{Source: source, Problems: problems}
	}
	return c, nil
}

// readRequests replaces every requestFile by what is in it.
func (c *Config) readRequests(dir string) field.ErrorList {
	var problems field.ErrorList
	for i := range c.Schedules {
		s, path := &c.Schedules[i], field.NewPath("schedules").Index(i)
		switch {
		case s.RequestFile == "" && s.Request == nil:
			problems = append(problems, field.Required(path.Child("request"), "give request or requestFile"))
		case s.RequestFile != "" && s.Request != nil:
			problems = append(problems, field.Forbidden(path.Child("requestFile"), "request is given too"))
		case s.RequestFile != "":
			file := s.RequestFile
			if !filepath.IsAbs(file) {
				file = filepath.Join(dir, file)
			}
			text, err := os.ReadFile(file) //nolint:gosec // the file that the user names
			if err != nil {
				problems = append(problems, field.Invalid(path.Child("requestFile"), s.RequestFile, err.Error()))
				continue
			}
			s.Request = text
		}
	}
	return problems
}

func (c *Config) setDefaults() {
	setDefault(&c.Name, deployment.Name)
	setDefault(&c.AccessRoleName, c.Name+"-access")
	setDefault(&c.PollWindowSeconds, int(awsenv.DefaultPollWindow.Seconds()))
	setDefault(&c.Events.BusName, "default")
	setDefault(&c.RunDays, 30)
	setDefault(&c.ReportDays, 365)
	setDefault(&c.Logs.RetentionDays, 30)
	setDefault(&c.Logs.Level, "ERROR")
	tuned := maps.Clone(c.Functions)
	if tuned == nil {
		tuned = map[string]Function{}
	}
	for _, f := range deployment.Functions() {
		tuning := tuned[f.Name]
		setDefault(&tuning.MemoryMB, f.MemoryMB)
		tuned[f.Name] = tuning
	}
	c.Functions = tuned
	for i := range c.Schedules {
		s := &c.Schedules[i]
		setDefault(&s.TimeZone, "UTC")
		setDefault(&s.MaximumEventAgeSeconds, 3_600)
		if s.MaximumRetryAttempts == nil {
			attempts := 10
			s.MaximumRetryAttempts = &attempts
		}
	}
	if c.StackSet != nil {
		c.StackSet.setDefaults()
	}
}

func (s *StackSet) setDefaults() {
	setDefault(&s.Templates, 1)
	setDefault(&s.Operation.MaxConcurrentPercentage, 100)
	setDefault(&s.Operation.ConcurrencyMode, "SOFT_FAILURE_TOLERANCE")
	setDefault(&s.Operation.RegionConcurrency, "PARALLEL")
	if s.Operation.FailureTolerancePercentage == nil {
		all := 100
		s.Operation.FailureTolerancePercentage = &all
	}
}

func setDefault[T comparable](value *T, otherwise T) {
	var zero T
	if *value == zero {
		*value = otherwise
	}
}
