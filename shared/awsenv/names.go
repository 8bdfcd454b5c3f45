package awsenv

import (
	"cmp"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/crossapply/crossapply/shared/contract"
)

// Names of the functions' environment variables, beside those that Lambda sets.
const (
	// Partition is the AWS partition of the workflow, such as "aws".
	Partition = "PARTITION"
	// RunBucket is the name of the run bucket.
	RunBucket = "RUN_BUCKET"
	// AccessRoleName is the name of the role in every target account.
	AccessRoleName = "ACCESS_ROLE_NAME"
	// ExternalID is what the access role's trust policy asks for.
	ExternalID = "EXTERNAL_ID"
	// AdditionalRegions are Regions that this release does not know, with spaces
	// between them. Optional.
	AdditionalRegions = "ADDITIONAL_REGIONS"
	// MaxConcurrency is how many targets the functions can work on at once.
	// Optional: without it only the account's own concurrency bounds them.
	MaxConcurrency = "MAX_CONCURRENCY"
	// Allow is the list of what may be touched, as package allowlist reads it. Optional:
	// without it everything may.
	Allow = "ALLOW"
	// Operations are the names of the operations that requests may ask for, with spaces
	// between them. Optional: without it all may.
	Operations = "OPERATIONS"
	// Organizations is "true" where the function may list the accounts of
	// organizational units. Optional.
	Organizations = "ORGANIZATIONS"
	// PollWindow is how long one call of poll watches: a Go duration such as "30s".
	PollWindow = "POLL_WINDOW"
)

// AdditionalRegionsFrom returns the Regions that the environment adds.
func AdditionalRegionsFrom() []string { return strings.Fields(os.Getenv(AdditionalRegions)) }

// OperationsFrom returns the operations that the environment allows, and none where it
// allows all.
func OperationsFrom() []contract.Operation {
	var allowed []contract.Operation
	for _, name := range strings.Fields(os.Getenv(Operations)) {
		allowed = append(allowed, contract.Operation(name))
	}
	return allowed
}

// MaxConcurrencyFrom returns the limit that the environment sets, and 0 where it
// sets none.
func MaxConcurrencyFrom() (int, error) {
	text := os.Getenv(MaxConcurrency)
	if text == "" {
		return 0, nil
	}
	limit, err := strconv.Atoi(text)
	if err != nil || limit < 1 {
		return 0, fmt.Errorf("%s must be a number of at least 1", MaxConcurrency)
	}
	return limit, nil
}

// The poll window. A longer one costs fewer state transitions (a pause and a
// further call are three); a shorter one frees the function's concurrency sooner
// for other targets. The longest leaves time for the calls before the watch,
// within the function's timeout, and ends well before a token does.
const (
	DefaultPollWindow  = 60 * time.Second
	LongestPollWindow  = 90 * time.Second
	ShortestPollWindow = 5 * time.Second // that a configuration may set; tests use shorter ones
)

// PollWindowFrom returns the poll window that the environment sets, or else the
// default.
func PollWindowFrom() (time.Duration, error) {
	window, err := time.ParseDuration(cmp.Or(os.Getenv(PollWindow), DefaultPollWindow.String()))
	if err != nil || window <= 0 || window > LongestPollWindow {
		return 0, fmt.Errorf("%s must be a duration of more than 0 and at most %s", PollWindow, LongestPollWindow)
	}
	return window, nil
}
