package scenarios

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/rogpeppe/go-internal/testscript"
	"sigs.k8s.io/yaml"

	"github.com/crossapply/crossapply/local/emulator/cluster"
	"github.com/crossapply/crossapply/shared/contract"
)

// script is what a script has come to.
type script struct {
	ts    *testscript.TestScript
	topic string

	executions int    // that were started
	arn        string // of the last
	ended      *sfn.DescribeExecutionOutput
	answer     map[string]any   // nil: there is none
	report     []map[string]any // results, in order

	answered  map[string]bool         // approvals, by their token
	marks     map[string]cluster.Mark // of the records of clusters, before the execution
	killed    []*kill                 // in the execution
	snapshots map[snapshot]string
}

const key = "script"

func setup(env *testscript.Env) error {
	topic := strings.TrimPrefix(filepath.Base(env.WorkDir), "script-")
	env.Setenv("TOPIC", topic)
	for name, value := range variables {
		env.Setenv(name, value)
	}
	env.Values[key] = &script{topic: topic, answered: map[string]bool{}, snapshots: map[snapshot]string{}}
	return nil
}

// command is one of the words that scripts are written in. An error fails the script.
type command struct {
	// usage are its arguments, and least and most how many there are.
	usage       string
	least, most int
	// not says that a ! may stand before it.
	not bool
	do  func(ctx context.Context, s *script, not bool, args []string) error
}

// patience bounds a command: nothing takes so long unless it has failed.
const patience = 90 * time.Second

// commands returns all words. None is one of testscript's own, which would hide it.
func commands() map[string]func(*testscript.TestScript, bool, []string) {
	all := map[string]func(*testscript.TestScript, bool, []string){}
	for _, words := range []map[string]command{executionCommands, peopleCommands, objectCommands, recordCommands} {
		for name, c := range words {
			all[name] = c.run(name)
		}
	}
	return all
}

func (c command) run(name string) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, not bool, args []string) {
		if not && !c.not || len(args) < c.least || len(args) > c.most {
			ts.Fatalf("usage: %s %s", name, c.usage)
		}
		s := ts.Value(key).(*script)
		s.ts = ts
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := c.do(ctx, s, not, args); err != nil {
			ts.Fatalf("%s %s: %v", name, strings.Join(args, " "), err)
		}
	}
}

// file returns a file of the script with its variables expanded.
func (s *script) file(name string) string {
	return os.Expand(s.ts.ReadFile(name), func(variable string) string {
		if variable == "$" {
			return "$"
		}
		value := s.ts.Getenv(variable)
		if value == "" {
			s.ts.Fatalf("%s: $%s is not set", name, variable)
		}
		return value
	})
}

// yaml returns a file's value.
func (s *script) yaml(name string) (value any, err error) {
	if err := yaml.Unmarshal([]byte(s.file(name)), &value); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return value, nil
}

// lines returns a file's lines, without empty ones.
func (s *script) lines(name string) []string {
	return slices.DeleteFunc(strings.Split(s.file(name), "\n"), func(line string) bool { return strings.TrimSpace(line) == "" })
}

// clusters returns those of the fleet that a pattern fits, by name.
func clusters(pattern string) ([]contract.Target, error) {
	found := map[string]contract.Target{}
	for _, c := range fleet() {
		fits, err := path.Match(pattern, c.Cluster)
		if err != nil {
			return nil, err
		}
		if fits {
			found[c.Cluster] = c.Target
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("no cluster is called %s", pattern)
	}
	var targets []contract.Target
	for _, name := range slices.Sorted(maps.Keys(found)) {
		targets = append(targets, found[name])
	}
	return targets, nil
}

// named is a target's short name: its cluster's, or its account's where it has none.
func named(t contract.Target) string {
	if t.Cluster == "" {
		return t.Account
	}
	return t.Cluster
}
