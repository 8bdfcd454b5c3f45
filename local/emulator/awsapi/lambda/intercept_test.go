package lambda_test

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/crossapply/crossapply/local/emulator/awsapi"
	"github.com/crossapply/crossapply/local/emulator/awsapi/awsapitest"
	"github.com/crossapply/crossapply/local/emulator/awsapi/iam"
	"github.com/crossapply/crossapply/local/emulator/awsapi/lambda"
)

// A function that assumes a role and writes three objects is killed around the
// second one.
func TestKilledAroundACall(t *testing.T) {
	writer := iam.Role{
		Account: awsapitest.Hub, Name: "writer", Policies: []string{awsapitest.Allow("s3:PutObject", "*")},
		Trust: awsapitest.Trust(`{"AWS":"`+awsapitest.FunctionRole().ARN()+`"}`, ""),
	}
	s := awsapitest.Start(t, func(c *awsapi.Config) { c.Roles = append(c.Roles, writer) },
		withFunctions(t, lambda.Function{Name: "mine", Timeout: 20 * time.Second}))
	objects := s3.NewFromConfig(awsapitest.ConfigOf(s, awsapitest.Admin()))
	c := lambdaClient(s, awsapitest.Admin())
	// The process that is killed is a warm one, which has made calls before.
	invoke(t, c, "mine", "whoami", "")
	for _, tt := range []struct {
		name string
		done bool
		keys []string
	}{
		{"before", false, []string{"1"}},
		{"after", true, []string{"1", "2"}},
	} {
		var mu sync.Mutex
		var calls []lambda.Call
		s.Lambda.OnCall(func(call lambda.Call) bool {
			mu.Lock()
			defer mu.Unlock()
			calls = append(calls, call)
			return call.N == 3 && call.Done == tt.done
		})
		out, _ := invoke(t, c, "mine", "put", writer.ARN())
		if !strings.Contains(string(out.Payload), `"errorType":"Runtime.ExitError"`) || !strings.Contains(string(out.Payload), "signal: killed") {
			t.Errorf("%s: the function returned %s", tt.name, out.Payload)
		}
		mu.Lock()
		last := calls[len(calls)-1]
		invocations := s.Lambda.Invocations()
		want := lambda.Call{
			Function: "mine", Invocation: invocations[len(invocations)-1].RequestID, Event: calls[0].Event, N: 3,
			Service: "s3", Operation: "PutObject", Done: tt.done,
		}
		if last != want {
			t.Errorf("%s: last call %+v, want %+v", tt.name, last, want)
		}
		if first := calls[0]; first.Service != "sts" || first.Operation != "AssumeRole" || first.N != 1 || first.Done || !strings.Contains(first.Event, writer.ARN()) {
			t.Errorf("%s: first call %+v", tt.name, first)
		}
		mu.Unlock()
		s.Lambda.OnCall(nil)
		list, err := objects.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String("runs")})
		if err != nil {
			t.Fatal(err)
		}
		var keys []string
		for _, object := range list.Contents {
			keys = append(keys, *object.Key)
		}
		if !slices.Equal(keys, tt.keys) {
			t.Errorf("%s: objects %v, want %v", tt.name, keys, tt.keys)
		}
	}
	if out, _ := invoke(t, c, "mine", "put", writer.ARN()); out.FunctionError != nil {
		t.Errorf("without a hook: %s", out.Payload)
	}
}

func TestKillAny(t *testing.T) {
	s := awsapitest.Start(t, withFunctions(t, lambda.Function{Name: "mine"}))
	c := lambdaClient(s, awsapitest.Admin())
	last := func(n int) int { return n - 1 }
	if s.Lambda.KillAny(last) {
		t.Error("a process is killed where none runs")
	}
	_, before := invoke(t, c, "mine", "whoami", "")
	if !s.Lambda.KillAny(last) {
		t.Error("no process is killed")
	}
	if out, after := invoke(t, c, "mine", "whoami", ""); out.FunctionError != nil || after.PID == before.PID {
		t.Errorf("after the kill, process %d answers %s; before it was %d", after.PID, out.Payload, before.PID)
	}
}

// Requests to an API server are told by the access key that signed their token.
func TestKilledAroundARequestToKubernetes(t *testing.T) {
	const key = "AKIAADMINADMINAD"
	s := awsapitest.Start(t, withFunctions(t, lambda.Function{Name: "mine"}))
	handled := make(chan string, 10)
	front := httptest.NewServer(s.InterceptKubernetes(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handled <- r.Method
		w.WriteHeader(http.StatusCreated)
	})))
	defer front.Close()
	c := lambdaClient(s, awsapitest.Admin())
	// The function hands over the access key of its own session.
	_, a := invoke(t, c, "mine", "environment", "")
	var own string
	for _, variable := range a.Environment {
		if value, ok := strings.CutPrefix(variable, "AWS_ACCESS_KEY_ID="); ok {
			own = value
		}
	}
	request := func(accessKey string) (*http.Response, error) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPatch, front.URL+"/apis/x/v1/topics/orders", nil)
		if err != nil {
			t.Fatal(err)
		}
		url := "https://sts.eu-west-1.amazonaws.com/?Action=GetCallerIdentity&X-Amz-Credential=" + accessKey + "%2F20260102%2Feu-west-1%2Fsts%2Faws4_request"
		r.Header.Set("Authorization", "Bearer k8s-aws-v1."+base64.RawURLEncoding.EncodeToString([]byte(url)))
		return http.DefaultClient.Do(r)
	}
	calls := make(chan lambda.Call, 10)
	s.Lambda.OnCall(func(call lambda.Call) bool {
		calls <- call
		return call.Done
	})
	response, err := request(key)
	if err != nil || response.StatusCode != http.StatusCreated || len(calls) != 0 {
		t.Errorf("a request of no function: %v, %d calls", err, len(calls))
	}
	if _, err = request(own); err == nil {
		t.Error("the request of a killed function is answered")
	}
	if before, after := <-calls, <-calls; before.Done || after.Service != "kubernetes" || after.Operation != "PATCH /apis/x/v1/topics/orders" {
		t.Errorf("calls %+v, %+v", before, after)
	}
	if len(handled) != 2 {
		t.Errorf("%d requests handled, want both", len(handled))
	}
	if _, after := invoke(t, c, "mine", "", ""); after.PID == a.PID {
		t.Error("the function's process lives on")
	}
}
