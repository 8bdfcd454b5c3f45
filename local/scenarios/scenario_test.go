package scenarios

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/crossapply/crossapply/local/emulator/cluster"
	"github.com/crossapply/crossapply/local/operator"
	"github.com/crossapply/crossapply/local/world"
)

var shared *world.World

// One world serves all scripts.
func TestMain(m *testing.M) {
	os.Exit(func() int {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Minute) // the first time, it builds the API server
		defer cancel()
		flag.Parse()
		// Executions wait more than they compute: many fit beside each other.
		err := flag.Set("test.parallel", "12")
		if err == nil {
			err = start(ctx)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		code := m.Run()
		if err := shared.Close(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return code
	}())
}

func start(ctx context.Context) error {
	rules, err := cluster.DecodeFiles(os.DirFS("testdata"), "rbac.yaml")
	if err != nil {
		return err
	}
	shared, err = world.Start(ctx, world.Config{
		Progress: os.Stderr, Deployment: "fleet", Fleet: &world.Fleet{Members: fleet(), Objects: rules},
		PollWindow: time.Second, Intercept: true,
		Operator: operator.Options{Delay: delay},
		Pause:    func(d time.Duration) time.Duration { return d / 50 },
	})
	if err != nil {
		return err
	}
	shared.AWS.Lambda.OnCall(faults.kill)
	shared.AWS.Events.SetFailure(faults.fail)
	return shared.AWS.Organizations.Put(organization())
}

// delay is how long the operator takes: not long enough to wait for, unless the object
// says so.
func delay(object *unstructured.Unstructured) time.Duration {
	if d, err := time.ParseDuration(object.GetAnnotations()["example.com/delay"]); err == nil {
		return d
	}
	return 0
}

func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	// A window opens at a full minute, which takes longest: it is waited for from the
	// beginning.
	slices.SortStableFunc(files, func(a, b string) int { return waits(b) - waits(a) })
	testscript.Run(t, testscript.Params{Files: files, Setup: setup, Cmds: commands(), RequireUniqueNames: true})
}

func waits(file string) int {
	if strings.Contains(file, "window") {
		return 1
	}
	return 0
}

// Every script begins with what it shows, in words.
func TestScriptsBeginWithWords(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(string(body), "# ") {
			t.Errorf("%s does not begin with a comment", file)
		}
	}
}
