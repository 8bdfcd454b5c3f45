// Package events serves PutEvents of Amazon EventBridge. Its buses record what they
// take ([Service.Events], [Service.Await]) and deliver it to functions of this
// process ([Service.Subscribe]) in place of rules and their targets.
//
// The API is described at docs.aws.amazon.com/eventbridge/latest/APIReference/.
package events
