// Package proof decides when a status is believed to be about what was applied.
// A [health.Rule] says what an object's status says; operators differ in whether
// they say which generation they speak of, a failed status may be left over from
// before, and a moment's Ready or Failed may pass. So a wait looks at the object
// as often as it changes ([Judge.Look]), and each look goes on from the one before
// ([contract.Seen], which travels from one Lambda invocation to the next).
// [Judge.Decide] then says whether that is a verdict, or when it becomes one.
// Both are pure functions; time is passed in.
package proof

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
	"github.com/crossapply/crossapply/shared/fields"
	"github.com/crossapply/crossapply/shared/health"
)

// Judge judges one target's object, from the apply on.
type Judge struct {
	// Target and Resource name the object in errors.
	Target   contract.Target
	Resource contract.ResourceRef
	Rule     health.Rule
	Settings contract.ReadySettings
	Applied  contract.Applied
	// Manager is the field manager of the apply.
	Manager string
	// HasStatus says that the object's kind has a status subresource.
	HasStatus bool
	// Taken says who has taken which of the applied fields: see [fields.Taken]. It
	// is asked only where the object is Ready and the ownership has changed since the
	// apply.
	Taken func(object *unstructured.Unstructured) (string, error)
}

// For returns the judge of one of a target's resources. Its Taken is not set: before
// anything can have been taken, none is needed.
func For(item contract.Item, resource contract.ResourceRef, mapping contract.Mapping, applied contract.Applied, rule health.Rule) Judge {
	return Judge{Target: item.Target, Resource: resource, Rule: rule, Settings: item.Run.Ready, Applied: applied,
		Manager: item.Run.Apply.FieldManager, HasStatus: mapping.Status}
}

// Look returns what the object says now, after what the look before saw. It fails
// with [fault.NotFound] where the object that was applied is gone, with
// [fault.RuleFailed] where the rule cannot be evaluated, or as Taken does.
func (j Judge) Look(before contract.Seen, object *unstructured.Unstructured, now time.Time) (contract.Seen, error) {
	if object == nil || string(object.GetUID()) != j.Applied.UID {
		return before, fault.New(fault.NotFound,
			"%s: %s is gone: it was deleted, or replaced by another object, after it was applied", j.Target, j.Resource)
	}
	verdict, err := j.Rule.Judge(object, j.Applied.Generation, j.HasStatus)
	if err != nil {
		return before, fault.Wrap(err, fault.RuleFailed, "%s: %s: %s cannot be evaluated: %s", j.Target, j.Resource, j.Rule, fault.Shorten(err.Error(), fault.MaxRepeated))
	}
	seen := contract.Seen{
		ResourceVersion: object.GetResourceVersion(),
		State:           string(verdict.State),
		Message:         fault.Shorten(verdict.Message, fault.MaxRepeated),
		Since:           now,
	}
	switch verdict.State {
	case health.Ready:
		seen.Proof = j.proofOf(object, verdict, now)
		stood := Stood(object, j.Settings)
		seen.Stood = &stood
		if OwnedHash(object, j.Manager) != j.Applied.OwnedHash {
			if seen.Overwritten, err = j.Taken(object); err != nil {
				return before, err
			}
		}
	case health.Failed:
		// What the proofs are for Ready tells here that the operator has spoken since.
		seen.Leftover = j.proofOf(object, verdict, now) == ""
	}
	if seen.State == before.State && seen.Leftover == before.Leftover {
		seen.Since = before.Since
	}
	return seen, nil
}

// proofOf returns why a status is about what was applied; empty where nothing but
// time can tell.
func (j Judge) proofOf(object *unstructured.Unstructured, verdict health.Verdict, now time.Time) contract.Proof {
	switch {
	case j.generationCounts() && j.Applied.Generation > 0 && verdict.Observed != nil && *verdict.Observed >= j.Applied.Generation:
		return contract.ProofGeneration
	case j.Applied.Change == contract.Created:
		return contract.ProofNew
	case j.Applied.Change == contract.Unchanged && now.Sub(fields.OwnedAt(object, j.Manager)) >= seconds(j.Settings.SettleSeconds):
		// Not where an apply, of an execution that was retried say, is only just over.
		return contract.ProofUnchanged
	case !j.HasStatus && object.Object["status"] == nil:
		return contract.ProofNoStatus
	case StatusHash(object) != j.Applied.StatusHash:
		return contract.ProofStatus
	}
	return ""
}

// generationCounts says that the generation tells an operator of this apply. A change
// of labels or annotations leaves it as it was.
func (j Judge) generationCounts() bool {
	return j.Applied.Change != contract.Configured || j.Applied.Generation != j.Applied.GenerationBefore
}

// Decision is what can be said at a moment.
type Decision struct {
	// State is Ready or Failed when that is the verdict, and Progressing until then.
	State health.State
	// At, with Progressing, is when what was seen becomes the verdict if it stands
	// until then; zero where time alone changes nothing.
	At time.Time
	// Proof is why a Ready is believed.
	Proof contract.Proof
	// Message says in words what was seen, and with Progressing what is missing.
	Message string
}

// Decide says whether what was seen is a verdict by now.
func (j Judge) Decide(seen contract.Seen, now time.Time) Decision {
	waiting := Decision{State: health.Progressing, Message: seen.Message}
	switch health.State(seen.State) {
	case health.Ready:
		proof := seen.Proof
		if j.Settings.RequireGeneration && j.generationCounts() && proof != contract.ProofGeneration && proof != contract.ProofNoStatus {
			waiting.Message = fmt.Sprintf("the operator does not say that it speaks of generation %d, which ready.requireGeneration asks for: %s", j.Applied.Generation, seen.Message)
			return waiting
		}
		if proof == "" {
			if waiting.At = seen.Since.Add(seconds(j.Settings.SettleSeconds)); now.Before(waiting.At) {
				waiting.Message = fmt.Sprintf("nothing proves yet that this is about what was applied, and it has not stood for %d seconds: %s", j.Settings.SettleSeconds, seen.Message)
				return waiting
			}
			proof = contract.ProofSettled
		}
		return Decision{State: health.Ready, Proof: proof, Message: seen.Message}
	case health.Failed:
		if seen.Leftover {
			waiting.Message = "left over from before the apply, since the status has not been written again: " + seen.Message
			return waiting
		}
		if waiting.At = seen.Since.Add(seconds(j.Settings.FailureGraceSeconds)); now.Before(waiting.At) {
			waiting.Message = fmt.Sprintf("it has not stood for %d seconds: %s", j.Settings.FailureGraceSeconds, seen.Message)
			return waiting
		}
		return Decision{State: health.Failed, Message: seen.Message}
	}
	return waiting
}

func seconds(count int) time.Duration { return time.Duration(count) * time.Second }

// StatusHash identifies an object's status.
func StatusHash(object *unstructured.Unstructured) string {
	text, err := json.Marshal(object.Object["status"])
	if err != nil {
		return err.Error() // cannot be: it came as JSON
	}
	return hashOf(text)
}

// OwnedHash identifies the fields of an object that manager owns, and when their
// values last changed.
func OwnedHash(object *unstructured.Unstructured, manager string) string {
	return hashOf(fmt.Appendf(nil, "%s %d", fields.Owned(object, manager), fields.OwnedAt(object, manager).Unix()))
}

func hashOf(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}
