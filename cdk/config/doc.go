// Package config is the configuration of a deployment: one typed place, read
// strictly and checked whole before anything is synthesised.
//
// The tour:
//
//   - [Config] documents every key once, on its Go field; docs/configuration.md
//     is written from there.
//   - [Parse] and [Load] read a configuration from JSON or from a file (JSON or
//     YAML), fill in the defaults and check it. All that is wrong is reported
//     at once as an [InvalidError], each mistake with the path of its key.
//   - access.go: where access roles and entries are made, and what they are called.
//
// The smallest configuration:
//
//	hub: {account: "111111111111", region: eu-west-1}
//	externalId: rollouts-of-example-corp
//	accounts:
//	- id: "222222222222"
//	  clusters: [{name: payments, region: eu-west-1}]
package config
