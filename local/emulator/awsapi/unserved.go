package awsapi

import (
	"net/http"
	"strings"

	"github.com/crossapply/crossapply/local/emulator/awsapi/protocol"
)

// unserved stands for a service that is not here: its client gets an error that
// names the service and the operation, in a form that the client can read.
type unserved struct {
	name    string
	request *http.Request
}

func (u unserved) Name() string { return u.name }

func (u unserved) Protocol() protocol.Protocol { return protocol.Of(u.request) }

func (u unserved) Operation(r *http.Request) protocol.Operation {
	name := r.Method + " " + r.URL.Path
	if _, target, found := strings.Cut(r.Header.Get("X-Amz-Target"), "."); found {
		name = target
	} else if action := r.FormValue("Action"); action != "" {
		name = action
	}
	return protocol.Operation{Name: name, Serve: func(http.ResponseWriter, *protocol.Request) error {
		return protocol.Errorf(http.StatusNotFound, "UnknownOperationException",
			"The service %s (operation %s) is not served by this endpoint", u.name, name)
	}}
}
