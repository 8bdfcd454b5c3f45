package deployment_test

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/crossapply/crossapply/shared/awsenv"
	"github.com/crossapply/crossapply/shared/deployment"
)

// The list is the folders below functions/: each is built, and each deployed.
func TestListIsTheFolders(t *testing.T) {
	mains, err := filepath.Glob("../../functions/*/main.go")
	if err != nil {
		t.Fatal(err)
	}
	var folders []string
	for _, file := range mains {
		folders = append(folders, filepath.Base(filepath.Dir(file)))
	}
	names := deployment.FunctionNames()
	slices.Sort(names)
	if !slices.Equal(folders, names) {
		t.Errorf("the folders are %q, the list is %q", folders, names)
	}
}

// A function that watches for a poll window must have time left for the calls
// before it, and to answer.
func TestPollWindowFitsTheTimeout(t *testing.T) {
	const spare = 30
	for _, f := range deployment.Functions() {
		if slices.Contains(f.Environment, awsenv.PollWindow) && f.TimeoutSeconds < int(awsenv.LongestPollWindow.Seconds())+spare {
			t.Errorf("%s may run %d s, with a window of up to %s", f.Name, f.TimeoutSeconds, awsenv.LongestPollWindow)
		}
		if f.AssumesRoles != slices.Contains(f.Environment, awsenv.ExternalID) {
			t.Errorf("%s: assumes roles %t, but its environment is %q", f.Name, f.AssumesRoles, f.Environment)
		}
		if f.ReachesClusters && !f.AssumesRoles {
			t.Errorf("%s reaches clusters without a role", f.Name)
		}
	}
}
