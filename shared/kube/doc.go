// Package kube talks to one cluster's Kubernetes API for the functions: where a
// kind is served, whether we may act on it, reading, applying and watching one
// object. There is one file per concern.
//
// It uses client-go's dynamic client only. The typed clientset and the
// discovery client would register every built-in type at start, which costs
// each function megabytes and milliseconds and gives it nothing.
//
// Errors come back named: [Fault] tells Kubernetes errors apart by status
// reason, never by text. There is one exception, for an answer that the API server
// does not mark in any other way.
package kube
