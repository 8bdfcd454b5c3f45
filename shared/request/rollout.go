package request

import (
	"encoding/json"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/crossapply/crossapply/shared/contract"
)

const (
	defaultMaxConcurrency = 50
	maxMaxConcurrency     = 1_000
)

// Rollout is [contract.RolloutOptions] with the defaults filled in.
type Rollout struct {
	// MaxConcurrency is how many targets are worked on at once.
	MaxConcurrency int
	// MaxFailures is how many targets may fail, as a count.
	MaxFailures int
	// Exclusive says that no other execution may work on the resource.
	Exclusive bool
}

func parseRollout(options *contract.RolloutOptions, targets int, path *field.Path) (Rollout, field.ErrorList) {
	rollout := Rollout{MaxConcurrency: defaultMaxConcurrency, Exclusive: true}
	if options == nil {
		return rollout, nil
	}
	rollout.Exclusive = options.Exclusive == nil || *options.Exclusive
	var problems field.ErrorList
	if options.MaxConcurrency != nil {
		rollout.MaxConcurrency = *options.MaxConcurrency
		problems = append(problems, between(rollout.MaxConcurrency, 1, maxMaxConcurrency, path.Child("maxConcurrency"))...)
	}
	if options.MaxFailures != nil {
		var ok bool
		if rollout.MaxFailures, ok = countOf(options.MaxFailures, targets); !ok {
			problems = append(problems, field.Invalid(path.Child("maxFailures"), field.OmitValueType{},
				`must be a count such as 3, or a share of the targets such as "10%"`))
		}
	}
	return rollout, problems
}

// countOf reads a failure budget: a count, or a percentage of total rounded
// down. A count larger than the fleet means all of it.
func countOf(raw json.RawMessage, total int) (int, bool) {
	var count int
	if err := json.Unmarshal(raw, &count); err == nil {
		return min(count, total), count >= 0
	}
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return 0, false
	}
	digits, isShare := strings.CutSuffix(text, "%")
	share, err := strconv.ParseUint(digits, 10, 8)
	if !isShare || err != nil || share > 100 {
		return 0, false
	}
	return total * int(share) / 100, true
}
