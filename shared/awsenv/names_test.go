package awsenv_test

import (
	"testing"

	"github.com/crossapply/crossapply/shared/awsenv"
)

// Without a value nothing is limited; a value that is wrong is an error, and not
// no limit.
func TestMaxConcurrencyFrom(t *testing.T) {
	for value, want := range map[string]int{"": 0, "1": 1, "200": 200, "0": -1, "-1": -1, "many": -1, "1.5": -1} {
		t.Setenv(awsenv.MaxConcurrency, value)
		got, err := awsenv.MaxConcurrencyFrom()
		if (err != nil) != (want < 0) || err == nil && got != want {
			t.Errorf("%q: %d, %v", value, got, err)
		}
	}
}
