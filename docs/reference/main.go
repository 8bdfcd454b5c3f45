// Command reference writes pages in docs/: the references of the request, the answer,
// the configuration, the errors and the costs, and the page on fleets, whose examples
// are files.
//
//	go run ./docs/reference
//
// A page is a template beside this file. It holds the prose, and asks for the rest
// by name: the fields of a Go type with their comments, the table of operations,
// the list of functions, the catalogue of errors, the costs, an example, the output of
// an Example of a test. So a field, an operation or an error is documented where it is
// declared, and nowhere else.
//
// A comment begins with the name of what it documents, as is the custom, and may
// link to a constant, whose value the page shows ([contract.MaxTargets]), and to a
// type or a field of the same page ([config.Config.Accounts] as [Config.Accounts]).
package main

import (
	"bytes"
	"embed"
	"fmt"
	"go/doc"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/template"

	"github.com/crossapply/crossapply/shared/deployment"
	"github.com/crossapply/crossapply/shared/fault"
	"github.com/crossapply/crossapply/shared/operation"
)

func main() {
	if err := write("."); err != nil {
		fmt.Fprintln(os.Stderr, "reference:", err)
		os.Exit(1)
	}
}

func write(root string) error {
	pages, err := render(root)
	if err != nil {
		return err
	}
	for name, text := range pages {
		if err := os.WriteFile(filepath.Join(root, "docs", name), text, 0o644); err != nil { //nolint:gosec // for everybody to read
			return err
		}
	}
	return nil
}

//go:embed *.md.tmpl
var templates embed.FS

// render returns the pages of the repository at root, by their names in docs/.
func render(root string) (map[string][]byte, error) {
	sources, err := load(root, "./shared/contract", "./cdk/config", "./shared/allowlist")
	if err != nil {
		return nil, err
	}
	names, err := fs.Glob(templates, "*.tmpl")
	if err != nil {
		return nil, err
	}
	pages := map[string][]byte{}
	for _, name := range names {
		page := page{sources: sources, anchors: map[string]anchor{}}
		parsed, err := template.New(name).Funcs(template.FuncMap{
			"fields": page.fields,
			"file": func(name string) (string, error) {
				text, err := os.ReadFile(filepath.Join(root, name)) //nolint:gosec // what the template names
				return string(text), err
			},
			"output": func(file, example string) (string, error) {
				return output(filepath.Join(root, file), example)
			},
			"scenarios":  scenarios,
			"join":       strings.Join,
			"operations": operation.All,
			"functions":  deployment.Functions,
			"errors":     fault.Catalogue,
			"costs":      newCosts,
		}).ParseFS(templates, name)
		if err != nil {
			return nil, err
		}
		var text bytes.Buffer
		fmt.Fprintf(&text, "<!-- Written by `make docs` from docs/reference/%s and the Go code: change those. -->\n", name)
		if err := parsed.Execute(&text, nil); err != nil {
			return nil, err
		}
		pages[strings.TrimSuffix(name, ".tmpl")] = text.Bytes()
	}
	return pages, nil
}

// scenarios links to scenarios, by their names.
func scenarios(names ...string) string {
	links := make([]string, len(names))
	for i, name := range names {
		links[i] = fmt.Sprintf("[%s](../local/scenarios/testdata/%s.txtar)", name, name)
	}
	return "Scenarios: " + strings.Join(links, ", ") + "."
}

// output returns what an Example in a file of tests prints, by its comment, to which
// the tests hold it.
func output(file, name string) (string, error) {
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
	if err != nil {
		return "", err
	}
	for _, example := range doc.Examples(parsed) {
		if "Example"+example.Name == name {
			return example.Output, nil
		}
	}
	return "", fmt.Errorf("%s has no %s", file, name)
}
