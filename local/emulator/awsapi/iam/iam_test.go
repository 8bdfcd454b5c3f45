package iam_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/crossapply/crossapply/local/emulator/awsapi/iam"
)

const (
	hub    = "111111111111"
	target = "222222222222"
)

func start() time.Time { return time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC) }

func newDirectory(t *testing.T) *iam.Directory {
	t.Helper()
	d := iam.NewDirectory(start, rand.Reader)
	for _, id := range []string{hub, target} {
		if err := d.AddAccount(iam.Account{ID: id}); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

func policy(statements ...string) string {
	return `{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`
}

func addUser(t *testing.T, d *iam.Directory, policies ...string) iam.Caller {
	t.Helper()
	u := iam.User{Account: hub, Name: "ann", AccessKeyID: "AKIAANNANNANNANN", SecretAccessKey: "secret", Policies: policies}
	if err := d.PutUser(u); err != nil {
		t.Fatal(err)
	}
	credential, ok := d.Credential(u.AccessKeyID)
	if !ok {
		t.Fatal("the user's key is not known")
	}
	return credential.Caller
}

func TestIdentityPolicies(t *testing.T) {
	const cluster = "arn:aws:eks:eu-west-1:111111111111:cluster/payments"
	tests := []struct {
		name     string
		policies []string
		action   string
		resource string
		keys     iam.Conditions
		allowed  bool
	}{
		{"nothing is allowed by default", nil, "eks:DescribeCluster", cluster, nil, false},
		{"exact", []string{policy(`{"Effect":"Allow","Action":"eks:DescribeCluster","Resource":"` + cluster + `"}`)}, "eks:DescribeCluster", cluster, nil, true},
		{"action without regard to case", []string{policy(`{"Effect":"Allow","Action":"EKS:describe*","Resource":"*"}`)}, "eks:DescribeCluster", cluster, nil, true},
		{"other action", []string{policy(`{"Effect":"Allow","Action":["eks:List*"],"Resource":"*"}`)}, "eks:DescribeCluster", cluster, nil, false},
		{
			"wildcards in the resource",
			[]string{policy(`{"Effect":"Allow","Action":"eks:*","Resource":"arn:aws:eks:*:111111111111:cluster/pay?ents"}`)},
			"eks:DescribeCluster", cluster, nil, true,
		},
		{
			"wildcard stays in its part",
			[]string{policy(`{"Effect":"Allow","Action":"eks:*","Resource":"arn:aws:eks:eu-west-1*cluster/payments"}`)},
			"eks:DescribeCluster", cluster, nil, false,
		},
		{"short ARN pattern", []string{policy(`{"Effect":"Allow","Action":"eks:*","Resource":"arn:aws:eks:*"}`)}, "eks:DescribeCluster", cluster, nil, true},
		{"NotAction", []string{policy(`{"Effect":"Allow","NotAction":"s3:*","Resource":"*"}`)}, "eks:DescribeCluster", cluster, nil, true},
		{"NotAction names it", []string{policy(`{"Effect":"Allow","NotAction":["eks:*"],"Resource":"*"}`)}, "eks:DescribeCluster", cluster, nil, false},
		{"NotResource", []string{policy(`{"Effect":"Allow","Action":"*","NotResource":"` + cluster + `"}`)}, "eks:DescribeCluster", cluster, nil, false},
		{
			"deny wins",
			[]string{policy(`{"Effect":"Allow","Action":"*","Resource":"*"}`), policy(`{"Effect":"Deny","Action":"eks:*","Resource":"*"}`)},
			"eks:DescribeCluster", cluster, nil, false,
		},
		{
			"deny of another account's caller",
			[]string{policy(`{"Effect":"Allow","Action":"*","Resource":"*"}`, `{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringNotEquals":{"aws:PrincipalAccount":"111111111111"}}}`)},
			"eks:DescribeCluster", cluster, nil, true,
		},
		{
			"variable",
			[]string{policy(`{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::home/${aws:username}/*"}`)},
			"s3:GetObject", "arn:aws:s3:::home/ann/x", nil, true,
		},
		{
			"variable of another user",
			[]string{policy(`{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::home/${aws:username}/*"}`)},
			"s3:GetObject", "arn:aws:s3:::home/bob/x", nil, false,
		},
		{
			"variable's value is no wildcard",
			[]string{policy(`{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::home/${s3:prefix}/x"}`)},
			"s3:GetObject", "arn:aws:s3:::home/bob/x", iam.Conditions{"s3:prefix": {"*"}}, false,
		},
		{
			"variable without value",
			[]string{policy(`{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::${aws:PrincipalTag/team}"}`)}, "s3:ListBucket",
			"arn:aws:s3:::x", nil, false,
		},
		{
			"variable with default",
			[]string{policy(`{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::${aws:PrincipalTag/team, 'x'}"}`)},
			"s3:ListBucket", "arn:aws:s3:::x", nil, true,
		},
		{
			"prefix condition",
			[]string{policy(`{"Effect":"Allow","Action":"s3:ListBucket","Resource":"*","Condition":{"StringLike":{"s3:prefix":["runs/*"]}}}`)},
			"s3:ListBucket", "arn:aws:s3:::b", iam.Conditions{"S3:Prefix": {"runs/7/"}}, true,
		},
		{
			"prefix condition not met",
			[]string{policy(`{"Effect":"Allow","Action":"s3:ListBucket","Resource":"*","Condition":{"StringLike":{"s3:prefix":["runs/*"]}}}`)},
			"s3:ListBucket", "arn:aws:s3:::b", iam.Conditions{"s3:prefix": {"secret/"}}, false,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := newDirectory(t)
			caller := addUser(t, d, tt.policies...)
			err := d.Authorize(iam.Request{Caller: caller, Action: tt.action, Resource: tt.resource, Conditions: tt.keys})
			checkAllowed(t, err, tt.allowed)
		})
	}
}

func checkAllowed(t *testing.T, err error, allowed bool) {
	t.Helper()
	var denied *iam.AccessDeniedError
	if allowed && err != nil {
		t.Errorf("refused: %v", err)
	}
	if !allowed && !errors.As(err, &denied) {
		t.Errorf("want AccessDeniedError, got %v", err)
	}
}

func TestConditions(t *testing.T) {
	one := func(value string) iam.Conditions { return iam.Conditions{"k": {value}} }
	two := iam.Conditions{"k": {"a", "b"}}
	tests := []struct {
		condition string
		keys      iam.Conditions
		holds     bool
	}{
		{`"StringEquals":{"k":"a"}`, one("a"), true},
		{`"StringEquals":{"k":["x","a"]}`, one("a"), true},
		{`"StringEquals":{"k":"A"}`, one("a"), false},
		{`"StringEquals":{"k":"a*"}`, one("ab"), false},
		{`"StringEquals":{"k":"a*"}`, one("a*"), true},
		{`"StringEquals":{"k":"a"}`, nil, false},
		{`"StringEqualsIfExists":{"k":"a"}`, nil, true},
		{`"StringEqualsIfExists":{"k":"a"}`, one("b"), false},
		{`"StringNotEquals":{"k":"a"}`, one("b"), true},
		{`"StringNotEquals":{"k":["a","b"]}`, one("b"), false},
		{`"StringNotEquals":{"k":"a"}`, nil, true},
		{`"StringEqualsIgnoreCase":{"k":"A"}`, one("a"), true},
		{`"StringNotEqualsIgnoreCase":{"k":"A"}`, one("a"), false},
		{`"StringLike":{"k":"a?c*"}`, one("abcdef"), true},
		{`"StringNotLike":{"k":"a*"}`, one("abc"), false},
		{`"ArnLike":{"k":"arn:aws:iam::*:role/x"}`, one("arn:aws:iam::1:role/x"), true},
		{`"ArnEquals":{"k":"arn:aws:iam::*:role/x"}`, one("arn:aws:iam::1:role/y"), false},
		{`"ArnNotEquals":{"k":"arn:aws:iam::1:role/x"}`, one("arn:aws:iam::1:role/y"), true},
		{`"Bool":{"k":"true"}`, one("true"), true},
		{`"Bool":{"k":true}`, one("false"), false},
		{`"Null":{"k":"true"}`, nil, true},
		{`"Null":{"k":"true"}`, one("a"), false},
		{`"Null":{"k":false}`, one("a"), true},
		{`"NumericLessThanEquals":{"k":10}`, one("9.5"), true},
		{`"NumericGreaterThan":{"k":"10"}`, one("9"), false},
		{`"NumericNotEquals":{"k":"10"}`, one("10.0"), false},
		{`"NumericEquals":{"k":"10"}`, one("ten"), false},
		{`"DateLessThan":{"aws:CurrentTime":"2026-12-31T00:00:00Z"}`, nil, true},
		{`"DateGreaterThan":{"aws:EpochTime":"2026-12-31"}`, nil, false},
		{`"IpAddress":{"k":["10.0.0.0/8","::1/128"]}`, one("10.1.2.3"), true},
		{`"NotIpAddress":{"k":"127.0.0.1"}`, one("127.0.0.1"), false},
		{`"ForAnyValue:StringEquals":{"k":"b"}`, two, true},
		{`"ForAnyValue:StringEquals":{"k":"c"}`, two, false},
		{`"ForAnyValue:StringEquals":{"k":"c"}`, nil, false},
		{`"ForAllValues:StringEquals":{"k":["a","b","c"]}`, two, true},
		{`"ForAllValues:StringEquals":{"k":["a","c"]}`, two, false},
		{`"ForAllValues:StringEquals":{"k":"a"}`, nil, true},
		{`"ForAnyValue:StringNotEquals":{"k":"a"}`, two, true},
		{`"ForAllValues:StringNotEquals":{"k":"a"}`, two, false},
		{`"StringEquals":{"k":"a","missing":"x"}`, one("a"), false},
		{`"StringEquals":{"aws:PrincipalArn":"arn:aws:iam::111111111111:user/ann"}`, nil, true},
		{`"Bool":{"aws:SecureTransport":"true"}`, nil, true},
	}
	for _, tt := range tests {
		t.Run(tt.condition, func(t *testing.T) {
			d := newDirectory(t)
			caller := addUser(t, d, policy(`{"Effect":"Allow","Action":"*","Resource":"*","Condition":{`+tt.condition+`}}`))
			checkAllowed(t, d.Authorize(iam.Request{Caller: caller, Action: "x:Y", Resource: "*", Conditions: tt.keys}), tt.holds)
		})
	}
}

func TestMalformedPolicies(t *testing.T) {
	tests := []struct{ document, names string }{
		{`nonsense`, "malformed policy document"},
		{`{"Version":"2020-01-01","Statement":[]}`, "2020-01-01"},
		{`{"Version":"2012-10-17"}`, "Statement"},
		{policy(`{"Effect":"Maybe","Action":"*","Resource":"*"}`), "Maybe"},
		{policy(`{"Effect":"Allow","Resource":"*"}`), "Action"},
		{policy(`{"Effect":"Allow","Action":"*","NotAction":"*","Resource":"*"}`), "NotAction"},
		{policy(`{"Effect":"Allow","Action":"*"}`), "Resource"},
		{policy(`{"Effect":"Allow","Action":"*","Resource":"*","NotResource":"*"}`), "NotResource"},
		{policy(`{"Effect":"Allow","Action":"*","Resource":"*","Principal":"*"}`), "Principal"},
		{policy(`{"Effect":"Allow","Action":"*","Resource":"*","Conditions":{}}`), "Conditions"},
		{policy(`{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringMatches":{"k":"v"}}}`), "StringMatches"},
		{policy(`{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"ForSome:StringEquals":{"k":"v"}}}`), "ForSome:StringEquals"},
		{policy(`{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"BinaryEquals":{"k":"v"}}}`), "BinaryEquals"},
		{policy(`{"Effect":"Allow","Action":7,"Resource":"*"}`), "7"},
	}
	for _, tt := range tests {
		_, err := iam.ParseIdentityPolicy(tt.document)
		if err == nil || !strings.Contains(err.Error(), tt.names) {
			t.Errorf("%s: want an error that names %q, got %v", tt.document, tt.names, err)
		}
	}
	for _, tt := range []struct{ document, names string }{
		{policy(`{"Effect":"Allow","Action":"sts:AssumeRole"}`), "Principal"},
		{policy(`{"Effect":"Allow","Action":"sts:AssumeRole","Principal":"*","Resource":"*"}`), "Resource"},
		{policy(`{"Effect":"Allow","Action":"sts:AssumeRole","NotPrincipal":"*"}`), "NotPrincipal"},
		{policy(`{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"Federated":"x"}}`), "Federated"},
		{policy(`{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"AWS":"arn:aws:iam::1:role/*"}}`), "wildcard"},
	} {
		_, err := iam.ParseTrustPolicy(tt.document)
		if err == nil || !strings.Contains(err.Error(), tt.names) {
			t.Errorf("%s: want an error that names %q, got %v", tt.document, tt.names, err)
		}
	}
}

func TestResourcePolicies(t *testing.T) {
	const bucket = "arn:aws:s3:::shared"
	read := policy(`{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}`)
	to := func(principal string) string {
		return policy(`{"Effect":"Allow","Principal":` + principal + `,"Action":"s3:GetObject","Resource":"arn:aws:s3:::shared/*"}`)
	}
	tests := []struct {
		name     string
		identity []string
		resource string
		owner    string
		allowed  bool
	}{
		{"same account, resource policy alone", nil, to(`{"AWS":"arn:aws:iam::111111111111:user/ann"}`), hub, true},
		{"same account, everyone", nil, to(`"*"`), hub, true},
		{"same account, account named only delegates", nil, to(`{"AWS":"111111111111"}`), hub, false},
		{"same account, account named and identity allows", []string{read}, to(`{"AWS":"111111111111"}`), hub, true},
		{"other account, identity alone", []string{read}, "", target, false},
		{"other account, resource alone", nil, to(`{"AWS":"arn:aws:iam::111111111111:user/ann"}`), target, false},
		{"other account, both", []string{read}, to(`{"AWS":"arn:aws:iam::111111111111:root"}`), target, true},
		{"deny in the resource policy", []string{read}, policy(`{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*"}`), hub, false},
		{"a service is not a user", nil, to(`{"Service":"logging.s3.amazonaws.com"}`), hub, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := newDirectory(t)
			request := iam.Request{
				Caller: addUser(t, d, tt.identity...), Action: "s3:GetObject", Resource: bucket + "/key", ResourceAccount: tt.owner,
			}
			if tt.resource != "" {
				document, err := iam.ParseResourcePolicy(tt.resource)
				if err != nil {
					t.Fatal(err)
				}
				request.ResourcePolicy = &document
			}
			checkAllowed(t, d.Authorize(request), tt.allowed)
		})
	}
}

func TestAssumeRole(t *testing.T) {
	assumeAny := policy(`{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"*"}`)
	trust := func(principal, condition string) string {
		return policy(`{"Effect":"Allow","Principal":` + principal + `,"Action":"sts:AssumeRole","Condition":{` + condition + `}}`)
	}
	external := `"StringEquals":{"sts:ExternalId":"right"}`
	right, wrong := "right", "wrong"
	ann := `{"AWS":"arn:aws:iam::111111111111:user/ann"}`
	tests := []struct {
		name       string
		account    string
		identity   []string
		trust      string
		externalID *string
		allowed    bool
	}{
		{"other account, both sides", target, []string{assumeAny}, trust(`{"AWS":"111111111111"}`, external), &right, true},
		{"other account, wrong external id", target, []string{assumeAny}, trust(`{"AWS":"111111111111"}`, external), &wrong, false},
		{"other account, no external id", target, []string{assumeAny}, trust(`{"AWS":"111111111111"}`, external), nil, false},
		{"other account, caller may not", target, nil, trust(ann, ""), nil, false},
		{"other account, not trusted", target, []string{assumeAny}, trust(`{"AWS":"333333333333"}`, ""), nil, false},
		{"same account, named", hub, nil, trust(ann, ""), nil, true},
		{"same account, account named", hub, nil, trust(`{"AWS":"111111111111"}`, ""), nil, false},
		{"same account, account named and allowed", hub, []string{assumeAny}, trust(`{"AWS":"111111111111"}`, ""), nil, true},
		{"same account, identity alone", hub, []string{assumeAny}, trust(`{"Service":"lambda.amazonaws.com"}`, ""), nil, false},
		{"session name demanded", hub, nil, trust(ann, `"StringLike":{"sts:RoleSessionName":"crossapply-*"}`), nil, true},
		{"other session name demanded", hub, nil, trust(ann, `"StringLike":{"sts:RoleSessionName":"other-*"}`), nil, false},
		{"explicit deny of the caller", hub, []string{policy(`{"Effect":"Deny","Action":"sts:*","Resource":"*"}`)}, trust(ann, ""), nil, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := newDirectory(t)
			caller := addUser(t, d, tt.identity...)
			role := iam.Role{Account: tt.account, Name: "teams/access", Trust: tt.trust}
			if err := d.PutRole(role); err != nil {
				t.Fatal(err)
			}
			session, err := d.AssumeRole(caller, iam.AssumeRoleInput{RoleARN: role.ARN(), SessionName: "crossapply-1", ExternalID: tt.externalID})
			checkAllowed(t, err, tt.allowed)
			if !tt.allowed {
				want := fmt.Sprintf("User: arn:aws:iam::111111111111:user/ann is not authorized to perform: sts:AssumeRole on resource: %s", role.ARN())
				if err.Error() != want {
					t.Errorf("error text %q, want %q", err, want)
				}
				return
			}
			if want := "arn:aws:sts::" + tt.account + ":assumed-role/access/crossapply-1"; session.Caller.ARN != want {
				t.Errorf("session ARN %s, want %s", session.Caller.ARN, want)
			}
			if want := start().Add(time.Hour); !session.Expires.Equal(want) {
				t.Errorf("expires %v, want %v", session.Expires, want)
			}
		})
	}
}

// An account, what is in it and what its policies name lie in one partition.
func TestPartitions(t *testing.T) {
	d := newDirectory(t)
	const china = "333333333333"
	if err := d.AddAccount(iam.Account{ID: china, Partition: "aws-cn"}); err != nil {
		t.Fatal(err)
	}
	everyone := policy(`{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole"}`)
	role := iam.Role{Partition: "aws-cn", Account: china, Name: "access", Trust: everyone,
		Policies: []string{policy(`{"Effect":"Allow","Action":"s3:*","Resource":["arn:aws-cn:s3:::b","arn:*:s3:::c"]}`)}}
	if err := d.PutRole(role); err != nil {
		t.Fatal(err)
	}
	if want := "arn:aws-cn:iam::333333333333:role/access"; role.ARN() != want {
		t.Errorf("the role is %s, want %s", role.ARN(), want)
	}
	caller := addUser(t, d, policy(`{"Effect":"Allow","Action":"*","Resource":"*"}`))
	_, err := d.AssumeRole(caller, iam.AssumeRoleInput{RoleARN: role.ARN(), SessionName: "run"})
	checkAllowed(t, err, false)

	for want, change := range map[string]func(*iam.Role){
		"its account lies in partition aws-cn": func(r *iam.Role) { r.Partition = "" },
		`Partition "aws" is not valid for resource "arn:aws:s3:::b"`: func(r *iam.Role) {
			r.Policies = []string{policy(`{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::b"}`)}
		},
		`Invalid principal in policy: "arn:aws:iam::111111111111:root"`: func(r *iam.Role) {
			r.Trust = policy(`{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:root"},"Action":"sts:AssumeRole"}`)
		},
	} {
		wrong := role
		change(&wrong)
		if err := d.PutRole(wrong); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error that says %q, got %v", want, err)
		}
	}
}

func TestSessions(t *testing.T) {
	d := newDirectory(t)
	everything := policy(`{"Effect":"Allow","Action":"*","Resource":"*"}`)
	ann := addUser(t, d, everything)
	first := iam.Role{Account: hub, Name: "first", Policies: []string{everything}, MaxSessionDuration: 4 * time.Hour,
		Trust: policy(`{"Effect":"Allow","Principal":{"AWS":"111111111111"},"Action":"sts:AssumeRole"}`)}
	second := iam.Role{Account: target, Name: "second", MaxSessionDuration: 4 * time.Hour, Policies: []string{everything},
		Trust: policy(`{"Effect":"Allow","Principal":{"AWS":"` + first.ARN() + `"},"Action":"sts:AssumeRole"}`)}
	for _, r := range []iam.Role{first, second} {
		if err := d.PutRole(r); err != nil {
			t.Fatal(err)
		}
	}
	long, err := d.AssumeRole(ann, iam.AssumeRoleInput{RoleARN: first.ARN(), SessionName: "long", Duration: 3 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	var invalid *iam.ValidationError
	if _, err := d.AssumeRole(ann, iam.AssumeRoleInput{RoleARN: first.ARN(), SessionName: "longer", Duration: 5 * time.Hour}); !errors.As(err, &invalid) {
		t.Errorf("a session above the role's limit: %v", err)
	}
	// A trust policy that names a role lets its sessions in.
	chained, err := d.AssumeRole(long.Caller, iam.AssumeRoleInput{RoleARN: second.ARN(), SessionName: "chained"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.AssumeRole(long.Caller, iam.AssumeRoleInput{RoleARN: second.ARN(), SessionName: "chained", Duration: 2 * time.Hour}); !errors.As(err, &invalid) {
		t.Errorf("a chained session above one hour: %v", err)
	}
	ask := iam.Request{Caller: chained.Caller, Action: "eks:DescribeCluster", Resource: "arn:aws:eks:eu-west-1:222222222222:cluster/x"}
	checkAllowed(t, d.Authorize(ask), true)

	narrow, err := d.AssumeRole(long.Caller, iam.AssumeRoleInput{RoleARN: second.ARN(), SessionName: "narrow",
		Policy: policy(`{"Effect":"Allow","Action":"s3:*","Resource":"*"}`)})
	if err != nil {
		t.Fatal(err)
	}
	ask.Caller = narrow.Caller
	checkAllowed(t, d.Authorize(ask), false)

	// A deleted role's sessions can do nothing any more.
	d.DeleteRole(second.ARN())
	ask.Caller = chained.Caller
	checkAllowed(t, d.Authorize(ask), false)
}

func TestServiceRoles(t *testing.T) {
	d := newDirectory(t)
	role := iam.Role{Account: hub, Name: "function",
		Trust: policy(`{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"aws:SourceAccount":"111111111111"}}}`)}
	if err := d.PutRole(role); err != nil {
		t.Fatal(err)
	}
	const source = "arn:aws:lambda:eu-west-1:111111111111:function:plan"
	if _, err := d.AssumeRoleForService("lambda.amazonaws.com", role.ARN(), "plan", source); err != nil {
		t.Error(err)
	}
	_, err := d.AssumeRoleForService("states.amazonaws.com", role.ARN(), "plan", source)
	checkAllowed(t, err, false)
	_, err = d.AssumeRoleForService("lambda.amazonaws.com", role.ARN(), "plan", strings.Replace(source, hub, target, 1))
	checkAllowed(t, err, false)
}

func TestRefusedEntries(t *testing.T) {
	d := newDirectory(t)
	trust := policy(`{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole"}`)
	for name, err := range map[string]error{
		"account id":        d.AddAccount(iam.Account{ID: "12"}),
		"unknown account":   d.PutRole(iam.Role{Account: "999999999999", Name: "r", Trust: trust}),
		"role name":         d.PutRole(iam.Role{Account: hub, Name: "a b", Trust: trust}),
		"role trust":        d.PutRole(iam.Role{Account: hub, Name: "r"}),
		"role policy":       d.PutRole(iam.Role{Account: hub, Name: "r", Trust: trust, Policies: []string{"{}"}}),
		"user key":          d.PutUser(iam.User{Account: hub, Name: "u", AccessKeyID: "short", SecretAccessKey: "s"}),
		"user of no secret": d.PutUser(iam.User{Account: hub, Name: "u", AccessKeyID: "AKIAAAAAAAAAAAAA"}),
	} {
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
