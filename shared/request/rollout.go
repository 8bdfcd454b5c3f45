package request

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
	"github.com/crossapply/crossapply/shared/similar"
	"github.com/crossapply/crossapply/shared/waves"
	"github.com/crossapply/crossapply/shared/window"
)

const (
	defaultMaxConcurrency = 50
	maxMaxConcurrency     = 1_000
	maxBakeSeconds        = 604_800
	// An approval is waited for by a task of the definition.
	defaultApprovalSeconds = 86_400
	leastApprovalSeconds   = 60
	maxApprovalSeconds     = 2_592_000
)

// Rollout is [contract.RolloutOptions] with the defaults filled in.
type Rollout struct {
	// MaxConcurrency is how many targets are worked on at once, in the wave of a request
	// that has none; otherwise each wave has its own.
	MaxConcurrency int
	// Strict says that no more are than may still fail, and one.
	Strict bool
	// MaxFailures is how many of all targets may fail.
	MaxFailures waves.Budget
	// Tolerate are the errors that end a target as Skipped. It is never nil.
	Tolerate []string
	// Exclusive says that no other execution may work on the resources.
	Exclusive bool
	// Waves are the waves, at least one.
	Waves []waves.Wave
	// Unmatched says what becomes of targets that none of the waves takes, and Rest is
	// the wave that they then are.
	Unmatched              contract.Unmatched
	Rest                   waves.Wave
	ApprovalTimeoutSeconds int
	OnFailure              contract.OnFailure
}

func (p *parser) rollout(options *contract.RolloutOptions, path *field.Path) Rollout {
	if options == nil {
		options = &contract.RolloutOptions{}
	}
	rollout := Rollout{
		MaxConcurrency: p.number(options.MaxConcurrency, defaultMaxConcurrency, 1, maxMaxConcurrency, path.Child("maxConcurrency")),
		Strict: oneOf(p, options.ConcurrencyMode, path.Child("concurrencyMode"),
			contract.ConcurrencySoft, contract.ConcurrencyStrict) == contract.ConcurrencyStrict,
		Tolerate:  p.tolerate(options.Tolerate, path.Child("tolerate")),
		Exclusive: options.Exclusive == nil || *options.Exclusive,
		ApprovalTimeoutSeconds: p.number(options.ApprovalTimeoutSeconds, defaultApprovalSeconds, leastApprovalSeconds, maxApprovalSeconds,
			path.Child("approvalTimeoutSeconds")),
		Unmatched: oneOf(p, options.Unmatched, path.Child("unmatched"), contract.UnmatchedRefuse, contract.UnmatchedLast),
		OnFailure: oneOf(p, options.OnFailure, path.Child("onFailure"),
			contract.OnFailureStop, contract.OnFailureContinue, contract.OnFailureRollback),
	}
	if budget := p.budget(options.MaxFailures, "the targets", path.Child("maxFailures")); budget != nil {
		rollout.MaxFailures = *budget
	}
	p.add(between(options.BakeSeconds, 0, maxBakeSeconds, path.Child("bakeSeconds"))...)
	if options.Window != nil {
		p.add(window.Check(*options.Window, path.Child("window"))...)
	}
	p.waves(&rollout, *options, path)
	return rollout
}

// waves reads the waves, and fills in what they do not say with what the rollout does.
func (p *parser) waves(rollout *Rollout, options contract.RolloutOptions, path *field.Path) {
	given, at := options.Waves, path.Child("waves")
	rollout.Rest = plain(*rollout, options, "unmatched")
	if len(given) > contract.MaxWaves {
		p.add(field.TooMany(at, len(given), contract.MaxWaves))
		return
	}
	if len(given) == 0 {
		rollout.Waves = []waves.Wave{plain(*rollout, options, "1")}
		return
	}
	names := map[string]*field.Path{rollout.Rest.Name: path.Child("unmatched")}
	for i, wave := range given {
		parsed := p.wave(plain(*rollout, options, strconv.Itoa(i+1)), wave, at.Index(i))
		if first, twice := names[parsed.Name]; twice {
			p.add(field.Invalid(at.Index(i).Child("name"), shorten(parsed.Name), fmt.Sprintf("is the name of %s", first)))
		}
		names[parsed.Name] = at.Index(i)
		if i < len(given)-1 && wave.Match == nil && wave.Count == nil && wave.Percent == nil {
			p.add(field.Required(at.Index(i), "give match, count or percent: without one a wave takes all targets that are left, and can only be the last"))
		}
		rollout.Waves = append(rollout.Waves, parsed)
	}
	if first := &rollout.Waves[0]; first.MaxFailures == nil && (len(given) > 1 || rollout.Unmatched == contract.UnmatchedLast) {
		first.MaxFailures = &waves.Budget{}
	}
}

// plain returns a wave that says nothing but its name.
func plain(rollout Rollout, options contract.RolloutOptions, name string) waves.Wave {
	return waves.Wave{
		Name:           name,
		MaxConcurrency: rollout.MaxConcurrency,
		BakeSeconds:    options.BakeSeconds,
		Approval:       options.Approval,
		Window:         options.Window,
	}
}

// waveName is the form of a wave's name.
var waveName = form{63, regexp.MustCompile(`^[A-Za-z0-9]([-A-Za-z0-9_. ]*[A-Za-z0-9])?$`)}

// wave reads a wave over its defaults.
func (p *parser) wave(wave waves.Wave, given contract.Wave, path *field.Path) waves.Wave {
	if given.Name != "" {
		wave.Name = given.Name
		if !waveName.MatchString(given.Name) {
			p.add(field.Invalid(path.Child("name"), shorten(given.Name), "must be up to 63 letters, digits, spaces and any of -_."))
		}
	}
	ways := 0
	if given.Match != nil {
		ways++
		p.match(*given.Match, true, path.Child("match"))
	}
	if given.Count != nil {
		ways++
		p.add(between(*given.Count, 1, contract.MaxTargets, path.Child("count"))...)
	}
	if given.Percent != nil {
		ways++
		p.add(between(*given.Percent, 1, 100, path.Child("percent"))...)
	}
	if ways > 1 {
		p.add(field.Forbidden(path, "give one of match, count and percent"))
	}
	wave.Match, wave.Count, wave.Percent = given.Match, given.Count, given.Percent
	wave.MaxFailures = p.budget(given.MaxFailures, "the wave", path.Child("maxFailures"))
	wave.MaxConcurrency = p.number(given.MaxConcurrency, wave.MaxConcurrency, 1, maxMaxConcurrency, path.Child("maxConcurrency"))
	wave.BakeSeconds = p.number(given.BakeSeconds, wave.BakeSeconds, 0, maxBakeSeconds, path.Child("bakeSeconds"))
	if given.Approval != nil {
		wave.Approval = *given.Approval
	}
	if given.Window != nil {
		wave.Window = given.Window
		p.add(window.Check(*given.Window, path.Child("window"))...)
	}
	return wave
}

// budget reads a failure budget, a count or a percentage; nil where none is given.
func (p *parser) budget(raw json.RawMessage, of string, path *field.Path) *waves.Budget {
	if len(raw) == 0 || string(raw) == "null" {
		return nil
	}
	var count int
	if err := json.Unmarshal(raw, &count); err == nil && count >= 0 {
		return &waves.Budget{Count: count}
	}
	var text string
	if err := json.Unmarshal(raw, &text); err == nil {
		digits, isShare := strings.CutSuffix(text, "%")
		if share, err := strconv.ParseUint(digits, 10, 8); isShare && err == nil && share <= 100 {
			return &waves.Budget{Percent: int(share)}
		}
	}
	p.add(field.Invalid(path, field.OmitValueType{}, fmt.Sprintf(`must be a count such as 3, or a share of %s such as "10%%"`, of)))
	return nil
}

// ofExecutions are the errors that no target ends with, but an execution as a whole,
// and those that say nothing of a target.
var ofExecutions = []fault.Name{
	fault.InvalidRequest, fault.OrganizationDenied, fault.ResourceBusy, fault.FirstExecutionStopped, fault.RolloutStopped, fault.RolloutFailed,
	fault.ResultUnreadable, fault.Internal,
}

func (p *parser) tolerate(names []string, path *field.Path) []string {
	catalogue := make([]string, 0, len(fault.Names()))
	for _, name := range fault.Names() {
		catalogue = append(catalogue, string(name))
	}
	for i, name := range names {
		at := path.Index(i)
		switch {
		case slices.Contains(ofExecutions, fault.Name(name)):
			p.add(field.Invalid(at, name, "is no error of a target that could be tolerated"))
		case !slices.Contains(catalogue, name):
			why := "is no error of crossapply, such as " + string(fault.ClusterUnreachable)
			if others := similar.To(name, catalogue); len(others) > 0 {
				why = "is no error of crossapply: there is " + strings.Join(others, ", ")
			}
			p.add(field.Invalid(at, shorten(name), why))
		case slices.Index(names, name) < i:
			p.add(field.Duplicate(at, name))
		}
	}
	return append([]string{}, names...)
}
