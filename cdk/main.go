// Command cdk is the CDK app that deploys crossapply. The CDK CLI runs it, as
// cdk.json says; package config documents the configuration, which stands under
// the context key "crossapply": as an object, or as the name of a file.
//
//	cdk synth                                    # all stacks, and dist/crossapply-access
//	cdk deploy crossapply                        # the workflow, in the hub account
//	cdk deploy 'crossapply-access-222222222222*' # access to one account, with its credentials
package main

import (
	"fmt"
	"os"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"
)

func main() {
	err := run()
	if err != nil {
		fmt.Fprintln(os.Stderr, "crossapply:", err)
	}
	jsii.Close()
	if err != nil {
		os.Exit(1)
	}
}

func run() error {
	// The metadata resource of CDK's analytics would differ from one version of
	// the CDK to the next, with nothing changed here.
	app := awscdk.NewApp(&awscdk.AppProps{AnalyticsReporting: jsii.Bool(false)})
	configuration, err := fromContext(app.Node().TryGetContext(jsii.String(contextKey)))
	if err != nil {
		return err
	}
	paths := paths{definition: "statemachine/rollout.asl.json", dist: "dist"}
	if err := build(app, configuration, paths); err != nil {
		return err
	}
	assembly := app.Synth(nil)
	return handOut(configuration, *assembly.Directory(), paths.dist)
}
