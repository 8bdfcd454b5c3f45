package kube_test

import (
	"net/http"
	"testing"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
)

func TestReview(t *testing.T) {
	all := []string{"get", "create", "patch", "watch"}
	if err := clientIn(t, deployers).Review(t.Context(), refTo("orders"), topics, all); err != nil {
		t.Errorf("one who may do all of it: %v", err)
	}
	watcher := clientIn(t, watchers)
	if err := watcher.Review(t.Context(), refTo("watched"), topics, []string{"get", "watch"}); err != nil {
		t.Errorf("one who may do it with this name only: %v", err)
	}
	err := watcher.Review(t.Context(), refTo("orders"), topics, []string{"get", "watch"})
	expectFault(t, "another name", err, fault.Forbidden, "to get, watch topics")
	err = clientIn(t, readers).Review(t.Context(), refTo("orders"), topics, all)
	expectFault(t, "one who may look only", err, fault.Forbidden,
		"RBAC does not allow the access role to create, patch topics.messaging.example.com in namespace kafka")
	namespaces := contract.Mapping{Version: "v1", Plural: "namespaces"}
	err = clientIn(t, deployers).Review(t.Context(), contract.ResourceRef{APIVersion: "v1", Kind: "Namespace", Name: "x"}, namespaces, all[:1])
	expectFault(t, "a cluster-scoped kind", err, fault.Forbidden, "to get namespaces cluster-wide")
	err = clientOf(t, "made-up").Review(t.Context(), refTo("orders"), topics, all)
	expectFault(t, "a token that the cluster does not know", err, fault.Unauthenticated, "ask what the access role may do")
}

func TestWhoAmI(t *testing.T) {
	got, err := clientIn(t, readers).WhoAmI(t.Context())
	if err != nil || got != "user jane of the groups readers, system:authenticated" {
		t.Errorf("got %q, %v", got, err)
	}
	_, err = clientOf(t, "made-up").WhoAmI(t.Context())
	expectFault(t, "a token that the cluster does not know", err, fault.Unauthenticated, "as whom it knows the access role")
	old := serverOf(t, func(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) })
	if got, err = old.WhoAmI(t.Context()); err != nil || got != "a user whose name it does not say" {
		t.Errorf("an old cluster: %q, %v", got, err)
	}
}
