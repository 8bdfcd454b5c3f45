// Package examples embeds the example files, so that the local world uses them
// as they are and a test loads every one.
package examples

import "embed"

// Files holds everything in this folder.
//
//go:embed *.json *.yaml
var Files embed.FS
