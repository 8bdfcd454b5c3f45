package main

import (
	"regexp"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/crossapply/crossapply/cdk/config"
)

// The configurations in the documentation are valid.
func TestDocumentedConfigurations(t *testing.T) {
	const file = "../docs/deploying.md"
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllSubmatch(read(t, file), -1)
	if len(blocks) < 3 {
		t.Fatalf("found %d configurations only", len(blocks))
	}
	for i, block := range blocks {
		raw, err := yaml.YAMLToJSONStrict(block[1])
		must(t, err)
		if _, err := config.Parse(raw, file); err != nil {
			t.Errorf("configuration %d: %v", i, err)
		}
	}
}
