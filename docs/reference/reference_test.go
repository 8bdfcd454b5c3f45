package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestPages(t *testing.T) {
	pages, err := render("../..")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range pages {
		if string(text) != read(t, filepath.Join("..", name)) {
			t.Errorf("docs/%s differs from what it is written from: run `make docs`", name)
		}
	}
	if len(pages) != 6 {
		t.Errorf("there are %d pages", len(pages))
	}
}

func TestOutputOfNoExample(t *testing.T) {
	const file = "../../shared/waves/waves_test.go"
	if _, err := output(file, "ExampleOther"); err == nil || err.Error() != file+" has no ExampleOther" {
		t.Errorf("got %v", err)
	}
}

// The README names one figure of the costs.
func TestCostInTheREADME(t *testing.T) {
	want := fmt.Sprintf("A thousand targets are about %.0f cents", 100*newCosts().Changed.USD())
	if !strings.Contains(read(t, "../../README.md"), want) {
		t.Errorf("README.md does not say %q", want)
	}
}

func testPage(t *testing.T, name string) *page {
	t.Helper()
	sources, err := load(".", "./testdata/"+name)
	if err != nil {
		t.Fatal(err)
	}
	return &page{sources: sources, anchors: map[string]anchor{}}
}

func TestFields(t *testing.T) {
	got, err := testPage(t, "sample").fields("sample.Tree")
	if err != nil {
		t.Fatal(err)
	}
	if want := read(t, "testdata/sample/want.md"); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestFieldsThatCannotBeShown(t *testing.T) {
	for name, want := range map[string]string{
		"wrong.Missing":  "wrong.Field has no comment that begins with its name",
		"wrong.Misnamed": "wrong.Field has no comment that begins with its name",
		"wrong.Wordless": "field: no words for type chan int",
		"wrong.Lost":     "a comment links to Missing.Field, which this page does not describe",
		"wrong.None":     "wrong has no struct None",
		"other.Missing":  "package other is not loaded",
	} {
		if _, err := testPage(t, "wrong").fields(name); err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", name, err, want)
		}
	}
}

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.*)$`)
	id      = regexp.MustCompile(`<a id="([^"]+)">`)
	marks   = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// anchors returns the places that a link can lead to in a page, as GitHub names
// them.
func anchors(t *testing.T, file string) map[string]bool {
	t.Helper()
	text, found := read(t, file), map[string]bool{}
	add := func(name string) {
		if found[name] {
			t.Errorf("%s has two places #%s", file, name)
		}
		found[name] = true
	}
	for _, match := range heading.FindAllStringSubmatch(text, -1) {
		add(strings.ReplaceAll(marks.ReplaceAllString(strings.ToLower(match[1]), ""), " ", "-"))
	}
	for _, match := range id.FindAllStringSubmatch(text, -1) {
		add(match[1])
	}
	return found
}

// Links within the repository lead somewhere.
func TestLinks(t *testing.T) {
	files, err := filepath.Glob("../*.md")
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, file := range append(files, "../../README.md") {
		for _, match := range link.FindAllStringSubmatch(read(t, file), -1) {
			if strings.Contains(match[1], "://") {
				continue
			}
			count++
			to, place, _ := strings.Cut(match[1], "#")
			target := file
			if to != "" {
				target = filepath.Join(filepath.Dir(file), to)
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s links to %s: %v", file, match[1], err)
			} else if place != "" && !anchors(t, target)[place] {
				t.Errorf("%s links to %s, and there is no such place", file, match[1])
			}
		}
	}
	if count < 20 {
		t.Errorf("looked at %d links only", count)
	}
}
