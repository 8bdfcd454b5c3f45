// Package readiness judges from an object alone whether its operator has brought
// it to the state that was asked for: what the object says of itself, as it is
// now. What proves that a status speaks of this apply, how long a verdict has
// stood, and whether it is left over from before is not seen in one object, and
// not judged here.
//
// # The order of rules
//
// The first that there is, is the one that judges:
//
//   - the request's expressions, in CEL;
//   - the request's condition;
//   - the health check that Argo CD's community keeps for the kind, in Lua
//     (https://argo-cd.readthedocs.io/en/stable/operator-manual/health/);
//   - a rule of this package, for Kubernetes' own kinds and for the two of Argo's
//     that Argo CD judges by other means;
//   - the condition Ready.
//
// # What is never Ready
//
// An object that is being deleted is not, and neither is one whose status says
// that it speaks of an earlier generation, whatever the rule makes of it. A
// condition that speaks of an earlier generation counts for nothing: a verdict
// stands only if it is the same without it.
//
// An object that has no status is not Ready either, because its operator has not
// spoken yet. There are three exceptions. Where the kind has no status
// subresource and no rule of its own, nobody is going to speak: such an object
// is Ready as it is. Where the kind has none but a rule of its own, that rule
// knows better: Argo's Workflow has no status subresource, and a status all the
// same. And a few of Argo CD's checks know kinds, or settings of a kind, of which
// a status may never be written (a ProviderConfig of Crossplane's that is not
// used yet, a CronJob before its first run): see [silentByDesign].
//
// # Limits
//
// Where neither the status nor its conditions carry observedGeneration, a stale
// status cannot be told from a fresh one: [health.Verdict.Observed] is nil then.
// Generations anywhere else in a status, such as those of Gateway API's parents,
// are left to the rule of the kind.
package readiness
