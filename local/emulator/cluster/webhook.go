package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	"sigs.k8s.io/aws-iam-authenticator/pkg/token"

	"github.com/crossapply/crossapply/local/emulator/partition"
)

// webhook answers the API servers' question "whose token is this?", the
// TokenReview of authentication.k8s.io/v1, for all clusters of a control plane.
// https://kubernetes.io/docs/reference/access-authn-authz/authentication/#webhook-token-authentication
type webhook struct {
	server  *http.Server
	address string
	ca      []byte
	undo    []func()
}

// startWebhook serves a path for each cluster on a loopback port.
func startWebhook(config Config, logger *slog.Logger) (*webhook, error) {
	ca, err := newAuthority("token-webhook")
	if err != nil {
		return nil, err
	}
	server, err := ca.server()
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", loopback+":0")
	if err != nil {
		return nil, fmt.Errorf("listen for the token webhook: %w", err)
	}
	w := &webhook{server: server, address: listener.Addr().String(), ca: ca.certPEM}
	mux := http.NewServeMux()
	for _, spec := range config.Clusters {
		authenticate := config.Authenticate
		if authenticate == nil {
			undo, err := routeSTS(partition.Of(spec.Region).Name, config.STS)
			if err != nil {
				return nil, errors.Join(err, listener.Close(), w.close())
			}
			w.undo = append(w.undo, undo)
			authenticate = iamAuthenticator(spec)
		}
		mux.Handle("POST /"+spec.ID(), reviewer{
			authenticate: authenticate,
			logger:       logger.With("account", spec.Account, "region", spec.Region, "cluster", spec.Name),
		})
	}
	server.Handler = mux
	go func() { _ = server.ServeTLS(listener, "", "") }()
	return w, nil
}

// url is where the API server of spec asks.
func (w *webhook) url(spec Spec) string { return "https://" + w.address + "/" + spec.ID() }

func (w *webhook) close() error {
	for _, undo := range w.undo {
		defer undo()
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := w.server.Shutdown(ctx); err != nil {
		return w.server.Close()
	}
	return nil
}

// iamAuthenticator knows a caller as EKS does: by the identity that STS gives, and
// the cluster's access entries.
func iamAuthenticator(spec Spec) func(bearer string) (authenticationv1.UserInfo, error) {
	verifier := token.NewVerifier(spec.Name, partition.Of(spec.Region).Name, spec.Region)
	return func(bearer string) (authenticationv1.UserInfo, error) {
		id, err := verifier.Verify(bearer)
		if err != nil {
			return authenticationv1.UserInfo{}, fmt.Errorf("verify the token: %w", err)
		}
		return identify(id, spec.AccessEntries)
	}
}

// reviewer answers for one cluster.
type reviewer struct {
	authenticate func(bearer string) (authenticationv1.UserInfo, error)
	logger       *slog.Logger
}

func (r reviewer) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	var review authenticationv1.TokenReview
	if err := json.NewDecoder(http.MaxBytesReader(w, req.Body, 1<<20)).Decode(&review); err != nil {
		http.Error(w, "the body is no TokenReview", http.StatusBadRequest)
		return
	}
	user, err := r.authenticate(review.Spec.Token)
	review.Spec.Token = "" // never echoed
	review.Status = authenticationv1.TokenReviewStatus{Authenticated: err == nil, User: user}
	if err != nil {
		review.Status.Error = err.Error()
		r.logger.InfoContext(req.Context(), "token refused", "reason", err.Error())
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(review); err != nil {
		r.logger.WarnContext(req.Context(), "answer a token review", "error", err)
	}
}
