// Package wrong has what the pages cannot show.
package wrong

// Missing has no comment on its field.
type Missing struct {
	Field string `json:"field"`
}

// Misnamed has a comment that speaks of something else.
type Misnamed struct {
	// The field is a field.
	Field string `json:"field"`
}

// Wordless has a type that is not JSON's.
type Wordless struct {
	// Field is a channel.
	Field chan int `json:"field"`
}

// Lost links to nothing.
type Lost struct {
	// Field is like [Missing.Field].
	Field string `json:"field"`
}
