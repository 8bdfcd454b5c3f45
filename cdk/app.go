package main

import (
	"bytes"
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
	// templateFile gives access to all accounts, and templateDir holds the like
	// for each account alone.
	templateFile = "crossapply-access.template.json"
	templateDir  = "crossapply-access"
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

// writeAccess writes the access templates and the RBAC rules. All access stacks
// of a large fleet do not fit into one template, and a configuration need not
// list what is allowed: then there is no such file, nor one left of another configuration.
func writeAccess(c config.Config, dist, template string) error {
	all, each, err := accessTemplates(c)
	if err != nil {
		return err
	}
	if err := write(template, all); err != nil {
		return err
	}
	dir := filepath.Join(dist, templateDir)
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("remove what an earlier run wrote: %w", err)
	}
	if err := os.Mkdir(dir, 0o755); err != nil { //nolint:gosec // to be handed to others
		return fmt.Errorf("write the access templates: %w", err)
	}
	for account, body := range each {
		if err := write(filepath.Join(dir, account+".template.json"), body); err != nil {
			return err
		}
	}
	rules, err := access.RBAC(c.Allow)
	if err != nil {
		return err
	}
	return write(filepath.Join(dist, rbacFile), rules)
}

// accessTemplates synthesises the access template of all accounts, if they fit
// one, and those of each account. They are an app of their own, so that none is
// a stack that somebody might deploy by `cdk deploy --all`.
func accessTemplates(c config.Config) (all []byte, each map[string][]byte, err error) {
	dir, err := os.MkdirTemp("", "crossapply-access-")
	if err != nil {
		return nil, nil, fmt.Errorf("write the access templates: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }() // a folder for temporary files is left at worst
	app := awscdk.NewApp(&awscdk.AppProps{
		AnalyticsReporting: jsii.Bool(false), AutoSynth: jsii.Bool(false), Outdir: jsii.String(dir),
		// The CLI asks for it, but it means nothing to those who get the template.
		PostCliContext: &map[string]any{"aws:cdk:enable-path-metadata": false},
	})
	const prefix = "crossapply-access-"
	places := map[string][]config.Place{}
	for _, place := range c.Places() {
		places[place.Account] = append(places[place.Account], place)
	}
	for _, account := range c.Accounts {
		tag(access.NewTemplate(app, prefix+account.ID, c, places[account.ID]), c)
	}
	if c.FitsOneTemplate() {
		tag(access.NewTemplate(app, prefix+"all", c, c.Places()), c)
	}
	app.Synth(nil)
	each = map[string][]byte{}
	for account := range places {
		if each[account], err = compact(filepath.Join(dir, prefix+account+".template.json")); err != nil {
			return nil, nil, err
		}
	}
	if c.FitsOneTemplate() {
		all, err = compact(filepath.Join(dir, prefix+"all.template.json"))
	}
	return all, each, err
}

// compact reads a template without its white space: CloudFormation takes
// templates of up to 51,200 bytes without a bucket.
func compact(file string) ([]byte, error) {
	body, err := os.ReadFile(file) //nolint:gosec // in the folder made for it
	if err != nil {
		return nil, fmt.Errorf("the access template: %w", err)
	}
	var text bytes.Buffer
	if err := json.Compact(&text, body); err != nil {
		return nil, fmt.Errorf("the access template: %w", err)
	}
	return text.Bytes(), nil
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
