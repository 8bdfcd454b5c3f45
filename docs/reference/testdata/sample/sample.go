// Package sample has one of everything that the pages can show.
package sample

import (
	"encoding/json"
	"time"
)

const (
	// MostLeaves is shown by its value, and so is LongestWait.
	MostLeaves  = 12_000
	LongestWait = 90 * time.Second
)

// Colour is what a leaf looks like.
type Colour string

// The colours, in the order of the source.
const (
	// Red: in autumn.
	Red Colour = "red"
	// Green is how it begins.
	Green Colour = "green"
)

// Tree is what the page is about.
type Tree struct {
	Place
	// Leaves are at most [MostLeaves], or wait for [LongestWait].
	Leaves []*Leaf `json:"leaves"`
	// ByName are also leaves, see [Tree.Leaves] and [Leaf].
	ByName map[string]Leaf `json:"byName,omitempty"`
	// Counts are by `colour_of_leaf`.
	Counts map[Colour]int `json:"counts"`
	// Raw is anything. CrossApply.Forbidden refuses it.
	Raw json.RawMessage `json:"raw"`
	// Trees stand in this one.
	Trees []Tree `json:"trees"`
	// Tall, and so it has a second paragraph.
	//
	// This one.
	Tall *bool `json:"tall"`
	Kept int   `json:"-"`

	hidden int
}

// Place is where it stands.
type Place struct {
	// Latitude is in degrees.
	// https://example.com/latitude
	Latitude float64 `json:"latitude"`
}

// Leaf is one leaf. A leaf falls.
// It is said only once.
type Leaf struct {
	// Colour is its colour.
	Colour Colour `json:"colour"`
}
