package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"
	"github.com/cdklabs/cdk-nag-go/cdknag/v2"

	"github.com/crossapply/crossapply/cdk/config"
	"github.com/crossapply/crossapply/shared/deployment"
)

var update = flag.Bool("update", false, "write the golden templates anew")

// TestMain gives the Node process behind the constructs a folder of its own and
// clears it away. jsii.Close would do that too, but races with the goroutine
// that waits for the process; without it the process ends with its standard input.
func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "crossapply-cdk-")
	if err == nil {
		err = os.Setenv("TMPDIR", dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(dir) // a folder for temporary files is left at worst
	os.Exit(code)
}

// synthesis is what one configuration was synthesised to.
type synthesis struct {
	config config.Config
	// dir is the cloud assembly, dist what was written for others.
	dir, dist string
}

const definitionFile = "../statemachine/rollout.asl.json"

// synthesize runs the app as the CLI does, with cdk.json's feature flags and
// stand-ins for the functions' zips.
func synthesize(t *testing.T, c config.Config) synthesis {
	t.Helper()
	s := synthesis{config: c, dir: t.TempDir(), dist: standIns(t)}
	app := newApp(t, s.dir)
	if err := build(app, c, paths{definition: definitionFile, dist: s.dist}); err != nil {
		t.Fatal(err)
	}
	awscdk.Aspects_Of(app).Add(cdknag.NewAwsSolutionsChecks(&cdknag.NagPackProps{Reports: jsii.Bool(false)}), nil)
	app.Synth(nil)
	must(t, handOut(c, s.dir, s.dist))
	return s
}

func newApp(t *testing.T, dir string) awscdk.App {
	t.Helper()
	var project struct {
		Context map[string]any `json:"context"`
	}
	readJSON(t, "../cdk.json", &project)
	delete(project.Context, contextKey)
	return awscdk.NewApp(&awscdk.AppProps{
		AnalyticsReporting: jsii.Bool(false), AutoSynth: jsii.Bool(false),
		Outdir: jsii.String(dir), Context: &project.Context,
	})
}

func standIns(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range deployment.FunctionNames() {
		if err := os.WriteFile(filepath.Join(dir, name+".zip"), []byte("stand-in for "+name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func load(t *testing.T, file string) config.Config {
	t.Helper()
	c, err := config.Load(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func readJSON(t *testing.T, file string, into any) {
	t.Helper()
	body, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(body, into); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

// TestStacks synthesises a minimal and a full configuration, one for each of two
// other partitions and one for an organisation, and looks at the results from all sides.
func TestStacks(t *testing.T) {
	configurations := map[string]synthesis{}
	for _, name := range []string{"minimal", "full", "china", "govcloud", "organization"} {
		configurations[name] = synthesize(t, load(t, name+".yaml"))
	}
	full, networks := configurations["full"], synthesize(t, load(t, "networks.yaml"))
	for name, s := range configurations {
		t.Run(name, func(t *testing.T) {
			t.Run("golden", func(t *testing.T) { testGolden(t, name, s) })
			t.Run("definition", func(t *testing.T) { testDefinition(t, s) })
			t.Run("functions", func(t *testing.T) { testFunctions(t, s) })
			t.Run("bucket", func(t *testing.T) { testBucket(t, s) })
			t.Run("retained", func(t *testing.T) { testRetained(t, s) })
			if s.config.StackSet == nil {
				t.Run("access", func(t *testing.T) { testAccess(t, s) })
			} else {
				t.Run("stack sets", func(t *testing.T) { testStackSets(t, s) })
			}
			t.Run("observability", func(t *testing.T) { testObservability(t, s) })
			t.Run("iam", func(t *testing.T) { testIAM(t, s) })
		})
	}
	t.Run("rules", func(t *testing.T) { testRules(t, append(slices.Collect(maps.Values(configurations)), networks)...) })
	t.Run("networks", func(t *testing.T) {
		t.Run("golden", func(t *testing.T) { testGolden(t, "networks", networks) })
		t.Run("functions", func(t *testing.T) { testNetworks(t, networks) })
		t.Run("iam", func(t *testing.T) { testIAM(t, networks) })
	})
	t.Run("roles", func(t *testing.T) { testRoles(t, configurations["govcloud"]) })
	t.Run("schedules", func(t *testing.T) { testSchedules(t, full) })
	t.Run("events", func(t *testing.T) { testEvents(t, full) })
	for _, name := range []string{"full", "china"} {
		t.Run("customer-managed key/"+name, func(t *testing.T) { testKey(t, configurations[name]) })
	}
	t.Run("same again", func(t *testing.T) { testSameAgain(t, full) })
}

// Two runs give the same assembly, byte for byte.
func testSameAgain(t *testing.T, first synthesis) {
	second := synthesize(t, load(t, "full.yaml"))
	for _, pair := range [][2]string{{first.dir, second.dir}, {first.dist, second.dist}} {
		one, two := listing(t, pair[0]), listing(t, pair[1])
		if !slices.Equal(one, two) {
			t.Fatalf("files differ: %q and %q", one, two)
		}
		for _, name := range one {
			if name == "manifest.json" || name == "tree.json" || strings.HasSuffix(name, ".metadata.json") {
				continue // these hold the folders' names
			}
			if !bytes.Equal(read(t, filepath.Join(pair[0], name)), read(t, filepath.Join(pair[1], name))) {
				t.Errorf("%s differs", name)
			}
		}
	}
}

// listing is the names of all files in a folder and those below it.
func listing(t *testing.T, dir string) []string {
	t.Helper()
	var names []string
	must(t, fs.WalkDir(os.DirFS(dir), ".", func(name string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			names = append(names, name)
		}
		return err
	}))
	return names
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	body, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// hash is that of an asset, or of a function's code and configuration, which makes
// the logical id of its version.
var hash = regexp.MustCompile(`[0-9a-f]{64}|(?:[0-9A-F]{8}[0-9a-f]{32})`)

// testGolden compares with what was reviewed; `go test ./cdk -update` writes it
// anew. The asset hashes are those of stand-ins, or change with the definition.
func testGolden(t *testing.T, name string, s synthesis) {
	files := map[string]string{"hub": filepath.Join(s.dir, "crossapply.template.json")}
	maps.Copy(files, accessFiles(s))
	if len(s.config.Allow) > 0 {
		files["rbac"] = filepath.Join(s.dist, rbacFile)
	}
	for part, file := range files {
		got := reviewable(t, file)
		golden := filepath.Join("testdata", name+"."+part+filepath.Ext(file)+".golden")
		if *update {
			if err := os.WriteFile(golden, got, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if want := read(t, golden); !bytes.Equal(got, want) {
			t.Errorf("%s is not as reviewed in %s; look at the difference, then `go test ./cdk -update`\n%s", filepath.Base(file), golden, firstDifference(got, want))
		}
	}
}

// reviewable is a file as a golden one: templates indented, whatever they are
// deployed as.
func reviewable(t *testing.T, file string) []byte {
	t.Helper()
	body := bytes.TrimSpace(read(t, file))
	if filepath.Ext(file) == ".json" {
		var text bytes.Buffer
		must(t, json.Indent(&text, body, "", " "))
		body = text.Bytes()
	}
	return append(hash.ReplaceAll(body, []byte("<hash>")), '\n')
}

func firstDifference(got, want []byte) string {
	g, w := strings.Split(string(got), "\n"), strings.Split(string(want), "\n")
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			return "got  " + g[i] + "\nwant " + w[i]
		}
	}
	return "one is longer"
}

// What an earlier configuration left in dist/ is not handed out any more.
func TestStaleTemplates(t *testing.T) {
	dist := standIns(t)
	stale := filepath.Join(dist, accessDir, "999999999999", "role.eu-west-1.template.json")
	must(t, os.MkdirAll(filepath.Dir(stale), 0o750))
	for _, file := range []string{stale, filepath.Join(dist, rbacFile)} {
		must(t, os.WriteFile(file, []byte("{}"), 0o600))
	}
	c, app := load(t, "minimal.yaml"), newApp(t, t.TempDir())
	must(t, build(app, c, paths{definition: definitionFile, dist: dist}))
	must(t, handOut(c, *app.Synth(nil).Directory(), dist))
	want := []string{"222222222222/eu-west-1-payments.template.json", "222222222222/role.eu-west-1.template.json"}
	if got := listing(t, filepath.Join(dist, accessDir)); !slices.Equal(got, want) {
		t.Errorf("the accounts' templates are %q, want %q", got, want)
	}
	if _, err := os.Stat(filepath.Join(dist, rbacFile)); !os.IsNotExist(err) {
		t.Errorf("RBAC rules are left: %v", err)
	}
	if text := read(t, filepath.Join(dist, accessDir, want[0])); bytes.Contains(text, []byte("\n ")) {
		t.Error("the template is not written compact")
	}
}

// Other code or another setting of a function publishes a version of it, and of
// no other; the same again publishes none.
func TestVersions(t *testing.T) {
	versions := func(c config.Config, plan string) map[string]string {
		dist := standIns(t)
		must(t, os.WriteFile(filepath.Join(dist, "plan.zip"), []byte(plan), 0o600))
		app := newApp(t, t.TempDir())
		must(t, build(app, c, paths{definition: definitionFile, dist: dist}))
		hub := synthesis{config: c, dir: *app.Synth(nil).Directory()}.hub(t)
		ids := map[string]string{}
		for id, r := range hub.Resources {
			if r.Type == "AWS::Lambda::Version" {
				ids[strings.TrimPrefix(hub.text(t, r.Properties["FunctionName"]), "crossapply-")] = id
			}
		}
		return ids
	}
	c := load(t, "minimal.yaml")
	first, tuned := versions(c, "code"), load(t, "minimal.yaml")
	tuned.Functions["poll"] = config.Function{MemoryMB: 512}
	tuned.Functions["report"] = config.Function{MemoryMB: tuned.Functions["report"].MemoryMB, ReservedConcurrency: 5}
	for _, test := range []struct {
		name    string
		second  map[string]string
		changed []string
	}{
		{"nothing", versions(c, "code"), nil},
		{"the code of plan", versions(c, "other code"), []string{"plan"}},
		{"the memory of poll, and a concurrency, which is no part of a version", versions(tuned, "code"), []string{"poll"}},
	} {
		var changed []string
		for _, name := range deployment.FunctionNames() {
			if first[name] != test.second[name] {
				changed = append(changed, name)
			}
		}
		if len(first) != len(deployment.FunctionNames()) || !slices.Equal(changed, test.changed) {
			t.Errorf("%s: new versions of %q, want %q", test.name, changed, test.changed)
		}
	}
}

func TestMissingZip(t *testing.T) {
	dist := standIns(t)
	if err := os.Remove(filepath.Join(dist, "poll.zip")); err != nil {
		t.Fatal(err)
	}
	err := build(newApp(t, t.TempDir()), load(t, "minimal.yaml"), paths{definition: definitionFile, dist: dist})
	if err == nil || !strings.Contains(err.Error(), "poll.zip is missing: run `make build` first") {
		t.Errorf("got %v", err)
	}
}

// Names that differ in a hyphen only are different things.
func TestSimilarNames(t *testing.T) {
	c := load(t, "full.yaml")
	c.Accounts[0].Clusters = []config.Cluster{
		{Name: "prod-1", Region: "eu-west-1"}, {Name: "prod1", Region: "eu-west-1"}, {Name: "prod_1", Region: "eu-west-1"},
		{Name: strings.Repeat("x", 100), Region: "eu-west-1"}, {Name: strings.Repeat("x", 99), Region: "eu-west-1"},
	}
	c.Name = strings.Repeat("n", 32)
	twin := c.Schedules[0]
	twin.Name = "night-ly"
	c.Schedules = append(c.Schedules, twin)
	app := newApp(t, t.TempDir())
	must(t, build(app, c, paths{definition: definitionFile, dist: standIns(t)}))
	s := synthesis{config: c, dir: *app.Synth(nil).Directory()}
	if n := len(s.hub(t).ofType("AWS::Scheduler::Schedule")); n != 3 {
		t.Errorf("%d schedules, want 3", n)
	}
	names := map[string]bool{}
	for id, artifact := range s.artifacts(t) {
		if strings.HasPrefix(id, "crossapply-access-222222222222-") {
			names[artifact.Properties.StackName] = true
		}
	}
	if len(names) != 5 {
		t.Errorf("the stacks of five clusters are named %q", slices.Sorted(maps.Keys(names)))
	}
}

// A second deployment, in another partition, with everything turned on: all
// names follow the configuration's, and all ARNs and principals its partition.
// What the CDK calls the stacks is the same, so that `make deploy` finds them.
func TestOtherNameAndPartition(t *testing.T) {
	c := load(t, "full.yaml")
	c.Name, c.AccessRoleName, c.Hub.Region = "rollouts", "rollouts-access", "cn-north-1"
	c.AlarmTopicARN = strings.Replace(c.AlarmTopicARN, "aws:sns:eu-west-1", "aws-cn:sns:cn-north-1", 1)
	c.Accounts = []config.Account{{ID: "222222222222", Clusters: []config.Cluster{{Name: "analytics", Region: "cn-northwest-1"}}}}
	c.CallerRole.Principals = []string{"444444444444"}
	c.Allow = nil
	dir, dist := t.TempDir(), standIns(t)
	app := newApp(t, dir)
	must(t, build(app, c, paths{definition: definitionFile, dist: dist}))
	app.Synth(nil)
	hub := filepath.Join(dir, "crossapply.template.json")
	for _, file := range []string{
		hub, filepath.Join(dir, "crossapply-access-222222222222.template.json"),
		filepath.Join(dir, "crossapply-access-222222222222-cn-northwest-1-analytics.template.json"),
	} {
		body := string(read(t, file))
		for _, wrong := range []string{"arn:aws:", "crossapply-plan", "crossapply-access", "eu-west-1:1"} {
			if strings.Contains(body, wrong) {
				t.Errorf("%s holds %q", filepath.Base(file), wrong)
			}
		}
		if !strings.Contains(body, "arn:aws-cn:") || !strings.Contains(body, "rollouts-") {
			t.Errorf("%s holds no ARN of the partition, or not the name", filepath.Base(file))
		}
	}
	// AWS::URLSuffix is the partition's domain.
	if principal := regexp.MustCompile(`"logs\.cn-north-1\.",\s*\{\s*"Ref": "AWS::URLSuffix"`); !principal.Match(read(t, hub)) {
		t.Error("CloudWatch Logs may not use the key: its principal is not the partition's")
	}
	artifacts := synthesis{dir: dir}.artifacts(t)
	for id, name := range map[string]string{
		"crossapply": "rollouts", "crossapply-access-222222222222": "rollouts-access",
		"crossapply-access-222222222222-cn-northwest-1-analytics": "rollouts-access-analytics",
	} {
		if got := artifacts[id].Properties.StackName; got != name {
			t.Errorf("%s is the stack %q, want %q", id, got, name)
		}
	}
	if _, err := os.Stat(filepath.Join(dist, rbacFile)); !os.IsNotExist(err) {
		t.Errorf("RBAC rules were written where nothing is listed: %v", err)
	}
}

func TestFromContext(t *testing.T) {
	if _, err := fromContext(nil); err == nil || !strings.Contains(err.Error(), "-c crossapply=<file>") {
		t.Errorf("no configuration: got %v", err)
	}
	if c, err := fromContext("testdata/minimal.yaml"); err != nil || c.Accounts[0].ID != "222222222222" {
		t.Errorf("a file: got %+v, %v", c, err)
	}
	var project struct {
		Context map[string]any `json:"context"`
	}
	readJSON(t, "../cdk.json", &project)
	if _, err := fromContext(project.Context[contextKey]); err != nil {
		t.Errorf("cdk.json as it comes: %v", err)
	}
	_, err := fromContext(map[string]any{"hub": map[string]any{"regoin": "eu-west-1"}})
	if err == nil || !strings.Contains(err.Error(), "hub.regoin") {
		t.Errorf("a mistake in cdk.json: got %v", err)
	}
}
