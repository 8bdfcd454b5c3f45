// Package operator is a stand-in for a real operator. It reconciles the kind Topic
// of examples/crd.yaml and makes nothing: it only reports, as a well-behaved
// operator would, that work goes on, and after a few seconds that it is done.
//
// A Topic's status then says Ready=False with reason Progressing at first and
// Ready=True in the end, both with the observedGeneration they speak of. Each new
// generation begins anew.
//
// Not every operator behaves well, so a [Behavior] chooses how this one fails: it
// can be silent, fail for good, or leave the Ready of an earlier generation in
// place. The annotation [BehaviorAnnotation] on a Topic sets it for that one:
//
//	kubectl annotate topic orders messaging.example.com/behavior=Stalled
//
// [Start] runs one operator against one cluster; many may run in one process.
package operator
