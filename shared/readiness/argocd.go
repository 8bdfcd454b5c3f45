package readiness

import (
	"fmt"
	"io/fs"
	"path"
	"strings"
	"sync"

	"github.com/argoproj/argo-cd/v3/resource_customizations"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/crossapply/crossapply/shared/health"
)

// silentByDesign are the checks that may be believed when they call an object
// healthy that has no status: their authors say of which kinds, or of which
// settings of a kind, none may ever be written. Other checks that do so have
// forgotten the case: theirs is the moment before the operator has spoken. A test
// holds this list against all the checks.
var silentByDesign = map[string]bool{
	"_.crossplane.io/_":                        true, // names the kinds, such as ProviderConfig
	"_.upbound.io/_":                           true, // likewise
	"argoproj.io/CronWorkflow":                 true, // before its first run
	"astra.netapp.io/ExecHook":                 true, // judged by its spec
	"astra.netapp.io/Schedule":                 true, // before its first run
	"batch/CronJob":                            true, // before its first run
	"kubevirt.io/VirtualMachine":               true, // stopped, as its spec asks
	"policy.open-cluster-management.io/Policy": true, // disabled, as its spec asks
	"source.toolkit.fluxcd.io/HelmRepository":  true, // of type oci
}

// check is a health check of Argo CD's: a folder "group/kind", in which "_"
// stands for any characters, with a script health.lua.
type check string

func (c check) script() string { return path.Join(string(c), "health.lua") }

// pattern returns the kinds that the check is for, "*.crossplane.io/*".
func (c check) pattern() string { return strings.ReplaceAll(string(c), "_", "*") }

// findCheck returns the check for a kind as Argo CD finds it: one of just that
// name, or else the first in alphabetical order whose wildcards match.
func findCheck(kind schema.GroupKind) (check, bool) {
	name := nameOf(kind)
	if _, err := fs.Stat(resource_customizations.Embedded, check(name).script()); err == nil {
		return check(name), true
	}
	for _, c := range wildcardChecks() {
		if ok, _ := path.Match(c.pattern(), name); ok {
			return c, true
		}
	}
	return "", false
}

var wildcardChecks = sync.OnceValue(func() []check {
	var checks []check
	// The pattern is well-formed, so there is no error.
	scripts, _ := fs.Glob(resource_customizations.Embedded, "*/*/health.lua")
	for _, script := range scripts {
		if c := check(path.Dir(script)); strings.Contains(string(c), "_") {
			checks = append(checks, c)
		}
	}
	return checks
})

func (c check) rule() (*Rule, error) {
	name := "Argo CD's health check for " + c.pattern()
	source, err := fs.ReadFile(resource_customizations.Embedded, c.script())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	script, err := compileScript(string(source))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	look := func(object map[string]any) health.Verdict {
		word, message, err := script.run(object)
		if err != nil {
			// Several scripts fail on a status that is not complete yet, as operators
			// write it piece by piece. Argo CD waits then.
			return progressing("the health check fails on what is there so far: " + err.Error())
		}
		return verdictOfHealth(word, message)
	}
	return &Rule{
		name:  name,
		judge: ofGeneration(func(object map[string]any) (health.Verdict, error) { return look(object), nil }),
		judgeSilent: func(object map[string]any, hasStatus bool) (health.Verdict, error) {
			if hasStatus && !silentByDesign[string(c)] {
				return waitForStatus(object, hasStatus)
			}
			return look(object), nil
		},
	}, nil
}

// verdictOfHealth translates Argo CD's words. Suspended waits for somebody to go
// on, and Missing and Unknown for something to come: they may all become Ready. A
// word that Argo CD does not have it takes for Unknown, and so does this.
func verdictOfHealth(word, message string) health.Verdict {
	verdict := health.Verdict{State: health.Progressing, Message: word}
	switch word {
	case "Healthy":
		verdict.State = health.Ready
	case "Degraded":
		verdict.State = health.Failed
	case "Progressing", "Suspended", "Missing", "Unknown":
	case "":
		verdict.Message = "Unknown"
	default:
		verdict.Message = fmt.Sprintf("Unknown (%s)", word)
	}
	if message != "" {
		verdict.Message += ": " + message
	}
	return verdict
}
