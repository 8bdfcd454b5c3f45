package statemachine

import (
	_ "embed" // the definition
	"fmt"
	"maps"
	"regexp"
	"slices"
)

// Definition is the workflow's definition, with its placeholders.
//
//go:embed rollout.asl.json
var Definition string

var placeholder = regexp.MustCompile(`\$\{([A-Za-z]+)\}`)

// Placeholders returns the names that a deployment must fill in, sorted.
func Placeholders() []string {
	names := map[string]bool{}
	for _, match := range placeholder.FindAllStringSubmatch(Definition, -1) {
		names[match[1]] = true
	}
	return slices.Sorted(maps.Keys(names))
}

// Substitute returns the definition with its placeholders filled in, as
// CloudFormation's DefinitionSubstitutions does. A placeholder without a value
// is an error, and so is a value without a placeholder.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-stepfunctions-statemachine.html
func Substitute(values map[string]string) (string, error) {
	wanted, given := Placeholders(), slices.Sorted(maps.Keys(values))
	if !slices.Equal(wanted, given) {
		return "", fmt.Errorf("the definition's placeholders are %v, but values are given for %v", wanted, given)
	}
	return placeholder.ReplaceAllStringFunc(Definition, func(match string) string {
		return values[match[2:len(match)-1]]
	}), nil
}
