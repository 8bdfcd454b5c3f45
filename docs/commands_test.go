package docs_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/crossapply/crossapply/cdk/config"
)

// A command of the documentation is run by a test, or cannot be run without an
// account of AWS, or is the tests themselves.
const (
	needsAWS  = "AWS"
	selfCheck = "CI"
)

// commands says so of each: by its first words, the function of the test that runs
// what it runs.
var commands = map[string]string{
	"make build":          "TestSynthAsDocumented",
	"make synth":          "TestSynthAsDocumented",
	"make cost":           "TestCostCommand",
	"make demo":           "TestReadyThenUnchanged", // the same world and workflow
	"make local":          "TestReadyThenUnchanged",
	"make help":           "TestMakeTargets",
	"make docs":           "TestPages",
	"make golden":         "TestStacks",
	"make docs golden":    "TestStacks",
	"make bench":          selfCheck,
	"make bench-fleet":    selfCheck,
	"make test":           selfCheck,
	"make test-unit":      selfCheck,
	"make test-operators": selfCheck,
	"make verify":         selfCheck,

	"make deploy-access":  "TestMakeAccess", // with stand-ins for the CDK's CLI
	"make diff-access":    "TestAccessStacks",
	"make destroy-access": "TestAccessStacks",

	"make diff":             needsAWS,
	"make deploy":           needsAWS,
	"make destroy":          needsAWS,
	"make diff-stacksets":   needsAWS,
	"make deploy-stacksets": needsAWS,
	"make report":           needsAWS,
	"make stop":             needsAWS,
	"make approve":          needsAWS,

	"npx cdk bootstrap": needsAWS,
	"npx cdk deploy":    needsAWS,

	"aws cloudformation activate-organizations-access":   needsAWS,
	"aws cloudformation deploy":                          needsAWS,
	"aws cloudformation list-stack-instances":            needsAWS,
	"aws eks delete-access-entry":                        needsAWS,
	"aws eks list-access-policies":                       needsAWS,
	"aws eks update-cluster-config":                      needsAWS,
	"aws organizations register-delegated-administrator": needsAWS,
	"aws stepfunctions send-task-success":                needsAWS,
	"aws stepfunctions start-execution":                  needsAWS,
	"aws stepfunctions stop-execution":                   needsAWS,
	"aws stepfunctions list-state-machine-versions":      needsAWS,
	"aws stepfunctions update-state-machine-alias":       needsAWS,
	"make prune-versions":                                needsAWS,
	"aws s3api put-object":                               needsAWS,
	"aws lambda get-account-settings":                    needsAWS,
	"aws lambda invoke":                                  needsAWS,
	"aws sns subscribe":                                  needsAWS,
}

// notOurs are commands that the prose mentions and nobody is told to run.
var notOurs = []string{"aws eks get-token", "kubectl rollout status"}

func TestCommands(t *testing.T) {
	used := map[string]bool{}
	for _, page := range pages(t) {
		for _, command := range commandsIn(read(t, page)) {
			name := nameOf(command)
			used[name] = true
			test, known := commands[name]
			switch {
			case slices.Contains(notOurs, name):
			case !known:
				t.Errorf("%s: %q: say in commands which test runs it, or that it needs AWS", page, name)
			case test != needsAWS && test != selfCheck && !exists(t, test):
				t.Errorf("%s: %q: there is no %s", page, name, test)
			}
		}
	}
	for name := range commands {
		if !used[name] {
			t.Errorf("no page has %q any more", name)
		}
	}
}

// What the documentation has make do, make knows how to do: with -n it says what
// it would run.
func TestMakeTargets(t *testing.T) {
	count := 0
	for _, page := range pages(t) {
		for _, command := range commandsIn(read(t, page)) {
			given, isMake := strings.CutPrefix(placeholder.ReplaceAllString(command, "given"), "make ")
			if !isMake {
				continue
			}
			count++
			// A shell takes quotes and comments as people's do.
			run := exec.CommandContext(t.Context(), "bash", "-c", "make -n "+given)
			run.Dir, run.Env = "..", makeIn(t, "..").Env
			if said, err := run.CombinedOutput(); err != nil {
				t.Errorf("%s: %s: %v\n%s", page, command, err, said)
			}
		}
	}
	if count < 10 {
		t.Errorf("found %d commands only", count)
	}
}

func TestCostCommand(t *testing.T) {
	said, err := makeIn(t, "..", "cost", "TARGETS=1000", "WAIT=20", "WINDOW=60", "KEY=1").CombinedOutput()
	if err != nil || !strings.Contains(string(said), "1,000 targets, each Ready after 20 seconds") {
		t.Errorf("%v\n%s", err, said)
	}
}

// The configuration of docs/deploying.md that has the most in it, synthesised by
// its commands in a copy of this repository, gives the files that the page names.
func TestSynthAsDocumented(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds and synthesises everything: a minute")
	}
	text := read(t, "deploying.md")
	dir := copyOf(t, "..")
	const config = "rollouts.yaml"
	if err := os.WriteFile(filepath.Join(dir, config), []byte(configurations(t)[1]), 0o600); err != nil {
		t.Fatal(err)
	}
	// The Node packages are those that are here: they are not to be installed anew.
	said, err := makeIn(t, dir, "-o", "node_modules/.package-lock.json", "synth", "CONFIG="+config).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	// jsii's warning about an old Node would be a box.
	if strings.Contains(string(said), "!!!!") {
		t.Errorf("make synth fills the screen:\n%s", said)
	}
	named := regexp.MustCompile("`(dist/[^`]+)`").FindAllStringSubmatch(text, -1)
	if len(named) < 3 {
		t.Errorf("the page names %d files only", len(named))
	}
	for _, file := range named {
		if _, err := os.Stat(filepath.Join(dir, file[1])); err != nil {
			t.Errorf("the page names %s: %v", file[1], err)
		}
	}
	for _, template := range []string{"role.eu-west-1.template.json", "eu-west-1-analytics.template.json"} {
		if !strings.Contains(text, "--template-file "+template) {
			t.Errorf("the page does not name %s", template)
		}
		if _, err := os.Stat(filepath.Join(dir, "dist/crossapply-access/222222222222", template)); err != nil {
			t.Error(err)
		}
	}
}

// The page shows what a mistake looks like: here, in its first configuration.
func TestMistakeAsDocumented(t *testing.T) {
	mistaken := strings.Replace(configurations(t)[0], "clusters: [{name: analytics, region:", "clusters: [{name: analytics, regoin:", 1)
	file := filepath.Join(t.TempDir(), "rollouts.yaml")
	if err := os.WriteFile(file, []byte(mistaken), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := config.Load(file)
	if err == nil {
		t.Fatal("no error")
	}
	said := strings.ReplaceAll("crossapply: "+err.Error(), file, "rollouts.yaml")
	if shown := "    " + strings.ReplaceAll(said, "\n", "\n    "); !strings.Contains(read(t, "deploying.md"), shown) {
		t.Errorf("the page does not show\n%s", shown)
	}
}

// configurations returns those that docs/deploying.md shows.
func configurations(t *testing.T) []string {
	t.Helper()
	var found []string
	for _, match := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(read(t, "deploying.md"), -1) {
		found = append(found, match[1])
	}
	return found
}

// The pages and the Makefile name the same versions of Node, and make says of
// another one, in a line, whether it works.
func TestNodeVersions(t *testing.T) {
	supported := regexp.MustCompile(`(?m)^NODE +:= (\d+) (\d+)$`).FindStringSubmatch(read(t, "../Makefile"))
	if supported == nil {
		t.Fatal("the Makefile has no NODE")
	}
	for _, page := range []string{"../README.md", "deploying.md"} {
		if want := "Node " + supported[1] + " or " + supported[2]; !strings.Contains(read(t, page), want) {
			t.Errorf("%s does not say %q", page, want)
		}
	}
	for version, want := range map[string]string{
		"18": "Node 18 is too old: install 22 or 24\n", "20": "Node 20 works here still", "22": "", "24": "",
	} {
		bin := t.TempDir()
		if err := os.WriteFile(filepath.Join(bin, "node"), []byte("#!/bin/sh\necho "+version+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		ask := makeIn(t, "..", "--no-print-directory", "node")
		ask.Env = append(ask.Env, "PATH="+bin+":"+os.Getenv("PATH"))
		said, err := ask.CombinedOutput()
		if !strings.HasPrefix(string(said), want) || (want == "" && len(said) > 0) || (err != nil) != (version == "18") {
			t.Errorf("Node %s: %v: %s", version, err, said)
		}
	}
}

// makeIn returns a run of make in a folder, which knows nothing of the make that may
// have started the tests.
func makeIn(t *testing.T, folder string, arguments ...string) *exec.Cmd {
	t.Helper()
	run := exec.CommandContext(t.Context(), "make", arguments...)
	run.Dir = folder
	run.Env = append(os.Environ(), "MAKEFLAGS=", "MAKELEVEL=", "MFLAGS=")
	return run
}

func pages(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob("*.md")
	if err != nil {
		t.Fatal(err)
	}
	return append(found, "../README.md")
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var (
	// tools are what a command begins with. In a block it is the first word of a line,
	// which goes on in the next where it ends in a backslash.
	block       = regexp.MustCompile(`(?m)^(?:    +)?((?:make|npx|npm|aws|go|git|kubectl|cd) (?:.*\\\n)*.*)$`)
	inline      = regexp.MustCompile("`((?:make|npx|npm|aws|git|kubectl) [^`]+)`")
	placeholder = regexp.MustCompile(`<[^>]*>`)
	fenced      = regexp.MustCompile("(?ms)^```.*?^```$")
)

// commandsIn returns the commands of a page: those in blocks of code, and those in
// its sentences.
func commandsIn(page string) []string {
	var found []string
	for _, match := range inline.FindAllStringSubmatch(page, -1) {
		found = append(found, match[1])
	}
	inFence := strings.Join(fenced.FindAllString(page, -1), "\n")
	outside := fenced.ReplaceAllString(page, "")
	for _, match := range block.FindAllStringSubmatch(outside, -1) {
		if strings.HasPrefix(match[0], "    ") {
			found = append(found, match[1])
		}
	}
	for _, match := range block.FindAllStringSubmatch(inFence, -1) {
		found = append(found, match[1])
	}
	return found
}

// nameOf returns the words of a command that say what it does: the targets of
// make, and up to three words of others.
func nameOf(command string) string {
	var name []string
	for _, word := range strings.Fields(command) {
		if strings.HasPrefix(word, "-") || strings.ContainsAny(word, "=<#\\") || len(name) == 3 {
			break
		}
		name = append(name, word)
	}
	return strings.Join(name, " ")
}

var function = regexp.MustCompile(`(?m)^func ((?:T|t)est\w+)\(`)

// testsIn returns the functions of the tests in a folder.
func testsIn(t *testing.T, folder string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", folder, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, file := range files {
		for _, match := range function.FindAllStringSubmatch(read(t, file), -1) {
			found[match[1]] = true
		}
	}
	return found
}

// exists says whether any package here has a test of that name.
func exists(t *testing.T, test string) bool {
	t.Helper()
	for _, folder := range []string{"docs", "docs/reference", "cdk", "local/world"} {
		if testsIn(t, folder)[test] {
			return true
		}
	}
	return false
}

// copyOf copies what git tracks of a repository to a new folder, with a link to its
// Node packages.
func copyOf(t *testing.T, repository string) string {
	t.Helper()
	list := exec.CommandContext(t.Context(), "git", "-C", repository, "ls-files")
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, file := range strings.Fields(string(out)) {
		body, err := os.ReadFile(filepath.Join(repository, file))
		if os.IsNotExist(err) {
			continue // removed, and not committed yet
		}
		if err == nil {
			err = os.MkdirAll(filepath.Join(dir, filepath.Dir(file)), 0o700)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, file), body, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	packages, err := filepath.Abs(filepath.Join(repository, "node_modules"))
	if err == nil {
		err = os.Symlink(packages, filepath.Join(dir, "node_modules"))
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}
