package main

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/crossapply/crossapply/"

// rules say which packages may not import which. They bind the product's code;
// tests may reach further, for a real API server or the true definition.
var rules = []struct {
	from, never, except, why string
}{
	{"functions/", "cdk", "", "a function must not carry its own deployment"},
	{"functions/", "local", "", "a function must not know whether it runs here or in AWS"},
	{"functions/", "statemachine", "", "a function does one step and does not know the others"},
	{"functions/", "functions/", "", "steps share what is in shared/, and nothing else"},
	{"shared/", "functions", "", "what is shared must not depend on who shares it"},
	{"shared/", "local", "", "what runs in AWS must not depend on the local world"},
	{"shared/", "cdk", "", "what runs in AWS must not carry its deployment"},
	{"local", "cdk", "", "the local world needs no CDK, whose compile takes minutes"},
	{"", "github.com/aws/aws-cdk-go", "cdk", "only the CDK app needs the CDK"},
	{"", "k8s.io/client-go/kubernetes", "local", "the typed clientset costs a function megabytes and milliseconds"},
	{"functions/", "github.com/aws/aws-sdk-go-v2/config", "", "package awsenv does what a function needs at a fraction of the size"},
}

func TestImports(t *testing.T) {
	type pkg struct {
		ImportPath string
		Imports    []string
		Deps       []string
		// What the package's tests import.
		TestImports, XTestImports []string
	}
	list := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports,Deps,TestImports,XTestImports", module+"...")
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	decoder, count := json.NewDecoder(strings.NewReader(string(out))), 0
	for {
		var p pkg
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		count++
		from := strings.TrimPrefix(p.ImportPath, module)
		imports := p.Imports
		if strings.HasPrefix(from, "functions/") {
			imports = p.Deps // all that ends up in the binary
		}
		for _, imported := range imports {
			check(t, from, strings.TrimPrefix(imported, module))
		}
		if strings.HasPrefix(from, "local/emulator/") {
			checkEmulator(t, from, p.Imports, slices.Concat(p.TestImports, p.XTestImports))
		}
	}
	if count < 20 {
		t.Errorf("looked at %d packages only", count)
	}
}

func check(t *testing.T, from, imported string) {
	t.Helper()
	for _, rule := range rules {
		if strings.HasPrefix(from, rule.from) && strings.HasPrefix(imported, rule.never) &&
			(rule.except == "" || !strings.HasPrefix(from, rule.except)) {
			t.Errorf("%s imports %s: %s", from, imported, rule.why)
		}
	}
}

// What stands for AWS and EKS imports nothing of what runs on it, in its tests
// either: it could be a module of its own. Its tests are told by local/binaries
// where this repository keeps the API server.
func checkEmulator(t *testing.T, from string, imports, byTests []string) {
	t.Helper()
	byTests = slices.DeleteFunc(byTests, func(imported string) bool { return imported == module+"local/binaries" })
	for _, imported := range slices.Concat(imports, byTests) {
		inside, ours := strings.CutPrefix(imported, module)
		if ours && !strings.HasPrefix(inside, "local/emulator/") {
			t.Errorf("%s imports %s: an emulator of AWS must not know what runs on it", from, inside)
		}
	}
}
