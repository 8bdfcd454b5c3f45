package awsapi

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
)

// InterceptKubernetes returns an API server's handler with the hook of
// [lambda.Service.OnCall] around the requests that functions make.
func (s *Server) InterceptKubernetes(apiserver http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		credential, _ := s.IAM.Credential(accessKeyOf(token))
		s.Lambda.Intercept(credential.Caller.Source, "kubernetes", r.Method+" "+r.URL.Path, w, func(w http.ResponseWriter) {
			apiserver.ServeHTTP(w, r)
		})
	})
}

// accessKeyOf returns the access key id that signed a token for EKS, or "".
func accessKeyOf(token string) string {
	presigned, _ := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(token, "k8s-aws-v1."))
	request, err := url.Parse(string(presigned))
	if err != nil {
		return ""
	}
	key, _, _ := strings.Cut(request.Query().Get("X-Amz-Credential"), "/")
	return key
}
