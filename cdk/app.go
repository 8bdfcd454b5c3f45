package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"

	"github.com/crossapply/crossapply/cdk/access"
	"github.com/crossapply/crossapply/cdk/config"
	"github.com/crossapply/crossapply/cdk/hub"
)

// contextKey is where the configuration stands in the CDK's context.
const contextKey = "crossapply"

// Files that are written beside the functions' zips.
const (
	// accessDir holds the access stacks' templates: of each account in a folder of
	// its own, for those who deploy without the CDK, or those of the StackSets.
	accessDir = "crossapply-access"
	rbacFile  = "crossapply-rbac.yaml"
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

// build makes all stacks of a configuration, and writes the files that they are
// made of. What is written from them is for [handOut].
func build(app awscdk.App, c config.Config, paths paths) error {
	rules, err := access.RBAC(c.Allow, c.Operations...)
	if err != nil {
		return err
	}
	if err := write(filepath.Join(paths.dist, rbacFile), rules); err != nil {
		return err
	}
	// Of another configuration, templates may be left there.
	dir := filepath.Join(paths.dist, accessDir)
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("remove what an earlier run wrote: %w", err)
	}
	stack, err := hub.New(app, hub.Props{Config: c, Definition: paths.definition, Assets: paths.dist})
	if err != nil {
		return err
	}
	stacks := []awscdk.Stack{stack}
	if c.StackSet != nil {
		templates, err := writeTemplates(c, dir)
		if err != nil {
			return err
		}
		stacks = append(stacks, access.NewStackSets(app, c, templates)...)
	} else {
		for _, account := range c.Accounts {
			stacks = append(stacks, access.NewStacks(app, c, account)...)
		}
	}
	for _, stack := range stacks {
		tag(stack, c)
	}
	return nil
}

func tag(stack awscdk.Stack, c config.Config) {
	for key, value := range c.Tags {
		awscdk.Tags_Of(stack).Add(jsii.String(key), jsii.String(value), nil)
	}
}

// writeTemplates synthesises what the StackSets deploy. The templates are an app
// of their own, so that none is a stack that `cdk deploy` might take.
func writeTemplates(c config.Config, to string) (access.Templates, error) {
	dir, err := os.MkdirTemp("", "crossapply-access-")
	if err != nil {
		return access.Templates{}, fmt.Errorf("write the access templates: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }() // a folder for temporary files is left at worst
	app := awscdk.NewApp(&awscdk.AppProps{
		AnalyticsReporting: jsii.Bool(false), AutoSynth: jsii.Bool(false), Outdir: jsii.String(dir),
		// The CLI asks for it, but it means nothing where there is no CDK.
		PostCliContext: &map[string]any{"aws:cdk:enable-path-metadata": false},
	})
	const role = "role"
	tag(access.NewRoleTemplate(app, role, c), c)
	written := []string{role}
	var made access.Templates
	for i, places := range c.Spread() {
		if len(places) == 0 {
			made.Entries = append(made.Entries, "")
			continue
		}
		id := fmt.Sprintf("entries-%d", i+1)
		tag(access.NewEntriesTemplate(app, id, c, places), c)
		written = append(written, id)
		made.Entries = append(made.Entries, filepath.Join(to, id+templateSuffix))
	}
	app.Synth(nil)
	for _, id := range written {
		if err := copyCompact(filepath.Join(dir, id+templateSuffix), filepath.Join(to, id+templateSuffix)); err != nil {
			return access.Templates{}, err
		}
	}
	made.Role = filepath.Join(to, role+templateSuffix)
	return made, nil
}

const templateSuffix = ".template.json"

// handOut copies the templates of each account's stacks from the cloud assembly to
// a folder of the account's: none of them names another account.
func handOut(c config.Config, assembly, dist string) error {
	if c.StackSet != nil {
		return nil
	}
	for _, account := range c.Accounts {
		role := access.StackID(account.ID)
		files := map[string]string{role: "role." + c.Home(account)}
		for _, cluster := range account.Clusters {
			id := access.EntryStackID(account.ID, cluster)
			files[id] = strings.TrimPrefix(id, role+"-")
		}
		for id, name := range files {
			to := filepath.Join(dist, accessDir, account.ID, name+templateSuffix)
			if err := copyCompact(filepath.Join(assembly, id+templateSuffix), to); err != nil {
				return err
			}
		}
	}
	return nil
}

// copyCompact copies a template without its white space: CloudFormation takes
// templates of up to 51,200 bytes without a bucket.
func copyCompact(from, to string) error {
	body, err := os.ReadFile(from) //nolint:gosec // in a folder of this app's own
	if err != nil {
		return fmt.Errorf("the access template: %w", err)
	}
	var text bytes.Buffer
	if err := json.Compact(&text, body); err != nil {
		return fmt.Errorf("the access template: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil { //nolint:gosec // to be handed to others
		return fmt.Errorf("write the access template: %w", err)
	}
	return write(to, text.Bytes())
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
