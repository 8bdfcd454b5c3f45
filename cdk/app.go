package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"

	"github.com/crossapply/crossapply/cdk/access"
	"github.com/crossapply/crossapply/cdk/config"
	"github.com/crossapply/crossapply/cdk/hub"
)

// contextKey is where the configuration stands in the CDK's context.
const contextKey = "crossapply"

// Files that are written beside the functions' zips, for those who deploy
// access without the CDK.
const (
	templateFile = "crossapply-access.template.json"
	rbacFile     = "crossapply-rbac.yaml"
)

// paths are the files that the app reads and writes.
type paths struct {
	// definition is rollout.asl.json.
	definition string
	// dist is the folder of the functions' zips, and of what the app writes.
	dist string
}

// fromContext reads the configuration from the context's value: an object, or
// the name of a JSON or YAML file.
func fromContext(value any) (config.Config, error) {
	switch value := value.(type) {
	case nil:
		return config.Config{}, fmt.Errorf("no configuration: give the context key %q in cdk.json, or -c %s=<file>", contextKey, contextKey)
	case string:
		return config.Load(value)
	}
	raw, err := json.Marshal(value)
	if err != nil {
		return config.Config{}, fmt.Errorf("the context key %q: %w", contextKey, err)
	}
	return config.Parse(raw, "cdk.json")
}

// build makes all stacks of a configuration, and the files beside them.
func build(app awscdk.App, c config.Config, paths paths) error {
	template := filepath.Join(paths.dist, templateFile)
	if err := writeAccess(c, paths.dist, template); err != nil {
		return err
	}
	stack, err := hub.New(app, hub.Props{Config: c, Definition: paths.definition, Assets: paths.dist, AccessTemplate: template})
	if err != nil {
		return err
	}
	tag(stack, c)
	homes := map[string]awscdk.Stack{}
	for _, place := range c.Places() {
		stack := access.NewStack(app, c, place)
		tag(stack, c)
		if place.Home {
			homes[place.Account] = stack
		} else {
			stack.AddStackDependency(homes[place.Account], jsii.String("it makes the access role"))
		}
	}
	return nil
}

func tag(stack awscdk.Stack, c config.Config) {
	for key, value := range c.Tags {
		awscdk.Tags_Of(stack).Add(jsii.String(key), jsii.String(value), nil)
	}
}

// writeAccess writes the access template and the RBAC rules. All access stacks
// of a large fleet do not fit into one template, and a configuration need not
// list resources: then there is no such file, nor one left of another configuration.
func writeAccess(c config.Config, dist, template string) error {
	var body []byte
	if c.FitsOneTemplate() {
		var err error
		if body, err = accessTemplate(c); err != nil {
			return err
		}
	}
	if err := write(template, body); err != nil {
		return err
	}
	rules, err := access.RBAC(c.Resources)
	if err != nil {
		return err
	}
	return write(filepath.Join(dist, rbacFile), rules)
}

// accessTemplate synthesises the access template in an app of its own, so that
// it is no stack that somebody might deploy by `cdk deploy --all`.
func accessTemplate(c config.Config) ([]byte, error) {
	dir, err := os.MkdirTemp("", "crossapply-access-")
	if err != nil {
		return nil, fmt.Errorf("write the access template: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }() // a folder for temporary files is left at worst
	app := awscdk.NewApp(&awscdk.AppProps{
		AnalyticsReporting: jsii.Bool(false), AutoSynth: jsii.Bool(false), Outdir: jsii.String(dir),
		// The CLI asks for it, but it means nothing to those who get the template.
		PostCliContext: &map[string]any{"aws:cdk:enable-path-metadata": false},
	})
	const id = "crossapply-access"
	tag(access.NewTemplate(app, id, c), c)
	body, err := json.MarshalIndent(app.Synth(nil).GetStackByName(jsii.String(id)).Template(), "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write the access template: %w", err)
	}
	return append(body, '\n'), nil
}

// write writes a file, or removes it when there is nothing to write.
func write(file string, body []byte) error {
	if len(body) == 0 {
		if err := os.RemoveAll(file); err != nil {
			return fmt.Errorf("remove what an earlier run wrote: %w", err)
		}
		return nil
	}
	if err := os.WriteFile(file, body, 0o644); err != nil { //nolint:gosec // to be handed to others
		return fmt.Errorf("write %s: %w", file, err)
	}
	return nil
}
