package docs_test

import (
	"encoding/json"
	"io/fs"
	"regexp"
	"strings"
	"testing"

	"github.com/crossapply/crossapply/examples"
	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/regions"
	"github.com/crossapply/crossapply/shared/request"
)

// Some page links to each example. That each is valid is tested where it is read.
func TestExamplesAreDocumented(t *testing.T) {
	var all strings.Builder
	for _, page := range pages(t) {
		all.WriteString(read(t, page))
	}
	files, err := fs.Glob(examples.Files, "*")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d examples, %v", len(files), err)
	}
	for _, file := range files {
		if !strings.Contains(all.String(), "examples/"+file) {
			t.Errorf("no page has examples/%s", file)
		}
	}
}

// docs/operating.md says what to do about each outcome.
func TestOutcomesAreDocumented(t *testing.T) {
	_, text, _ := strings.Cut(read(t, "operating.md"), "| outcome |")
	table, _, _ := strings.Cut(text, "\n\n")
	for _, outcome := range contract.Outcomes() {
		if !strings.Contains(table, "`"+string(outcome)+"`") {
			t.Errorf("operating.md does not say what to do about %s", outcome)
		}
	}
}

// The request that the README shows is valid.
func TestRequestInTheREADME(t *testing.T) {
	shown := regexp.MustCompile("(?s)```json\n(.*?)```").FindStringSubmatch(read(t, "../README.md"))
	if shown == nil {
		t.Fatal("there is none")
	}
	scope := regions.Scope{Partition: "aws"}
	if _, problems := request.Parse(json.RawMessage(shown[1]), scope, nil); len(problems) > 0 {
		t.Error(problems)
	}
}
