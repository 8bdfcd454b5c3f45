package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// standInCommand writes down who it is called as and with what; a call that holds
// $FAIL fails.
const standInCommand = `#!/bin/sh
echo "$(basename $0) $* as ${AWS_PROFILE:-${AWS_ACCESS_KEY_ID:-nobody}}" >>"$CALLS"
case "$*" in
*get-caller-identity*) echo arn:aws-us-gov:sts::111111111111:assumed-role/admin/me ;;
*assume-role*) echo "ASIAOF secret token" ;;
esac
case "$*" in *"$FAIL"*) exit 1 ;; esac
`

// callsOf runs a command in a folder with a cdk.out of two accounts, and commands
// that do nothing but write down their calls.
func callsOf(t *testing.T, fail string, environment []string, command ...string) (calls []string, err error) {
	t.Helper()
	dir := t.TempDir()
	for _, folder := range []string{"bin", "cdk.out"} {
		must(t, os.Mkdir(filepath.Join(dir, folder), 0o750))
	}
	for _, name := range []string{"npx", "aws"} {
		must(t, os.WriteFile(filepath.Join(dir, "bin", name), []byte(standInCommand), 0o700))
	}
	for _, stack := range []string{"222222222222", "222222222222-eu-west-1-a", "222222222222-us-east-1-b", "333333333333"} {
		must(t, os.WriteFile(filepath.Join(dir, "cdk.out", "crossapply-access-"+stack+templateSuffix), []byte("{}"), 0o600))
	}
	file := filepath.Join(dir, "calls")
	run := exec.CommandContext(t.Context(), command[0], command[1:]...)
	run.Dir = dir
	run.Env = append([]string{"PATH=" + filepath.Join(dir, "bin") + ":/usr/bin:/bin", "CALLS=" + file, "FAIL=" + fail}, environment...)
	output, err := run.CombinedOutput()
	t.Logf("%s", output)
	text, readErr := os.ReadFile(file)
	if readErr != nil {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimPrefix(strings.TrimSpace(line), "npx cdk --no-notices --app cdk.out ")
		calls = append(calls, strings.ReplaceAll(line, "crossapply-access-222222222222", "ROLE"))
	}
	return calls, err
}

func TestAccessStacks(t *testing.T) {
	script, err := filepath.Abs("access-stacks")
	must(t, err)
	const never = "a call that fails"
	tests := []struct {
		name, verb, fail string
		environment      []string
		want             []string
		fails            bool
	}{
		{"deploys the role first", "deploy", never, nil, []string{
			"deploy --exclusively --require-approval never --progress events ROLE as nobody",
			"deploy --exclusively --require-approval never --progress events ROLE-eu-west-1-a as nobody",
			"deploy --exclusively --require-approval never --progress events ROLE-us-east-1-b as nobody",
		}, false},
		{"no entry without its role", "deploy", "222222222222", nil, []string{
			"deploy --exclusively --require-approval never --progress events ROLE as nobody",
		}, true},
		{"one cluster keeps no other", "deploy", "eu-west-1-a", nil, []string{
			"deploy --exclusively --require-approval never --progress events ROLE as nobody",
			"deploy --exclusively --require-approval never --progress events ROLE-eu-west-1-a as nobody",
			"deploy --exclusively --require-approval never --progress events ROLE-us-east-1-b as nobody",
		}, true},
		{"destroys the role last", "destroy", never, nil, []string{
			"destroy --exclusively --force ROLE-eu-west-1-a as nobody",
			"destroy --exclusively --force ROLE-us-east-1-b as nobody",
			"destroy --exclusively --force ROLE as nobody",
		}, false},
		{"keeps a role that has an entry", "destroy", "us-east-1-b", nil, []string{
			"destroy --exclusively --force ROLE-eu-west-1-a as nobody",
			"destroy --exclusively --force ROLE-us-east-1-b as nobody",
		}, true},
		{"compares all", "diff", "222222222222", nil, []string{
			"diff --exclusively ROLE as nobody", "diff --exclusively ROLE-eu-west-1-a as nobody", "diff --exclusively ROLE-us-east-1-b as nobody",
		}, true},
		{"by profile", "diff", never, []string{"PROFILE_PREFIX=org-", "AWS_ACCESS_KEY_ID=AKIAHUB"}, []string{
			"diff --exclusively ROLE as org-222222222222", "diff --exclusively ROLE-eu-west-1-a as org-222222222222", "diff --exclusively ROLE-us-east-1-b as org-222222222222",
		}, false},
		{"by role", "diff", never, []string{"ROLE=deployer", "AWS_PROFILE=hub"}, []string{
			"aws sts get-caller-identity --query Arn --output text as hub",
			"aws sts assume-role --role-arn arn:aws-us-gov:iam::222222222222:role/deployer --role-session-name crossapply-access " +
				"--query Credentials.[AccessKeyId,SecretAccessKey,SessionToken] --output text as hub",
			"diff --exclusively ROLE as ASIAOF", "diff --exclusively ROLE-eu-west-1-a as ASIAOF", "diff --exclusively ROLE-us-east-1-b as ASIAOF",
		}, false},
		{"a role that cannot be assumed", "diff", "assume-role", []string{"ROLE=deployer"}, []string{
			"aws sts get-caller-identity --query Arn --output text as nobody",
			"aws sts assume-role --role-arn arn:aws-us-gov:iam::222222222222:role/deployer --role-session-name crossapply-access " +
				"--query Credentials.[AccessKeyId,SecretAccessKey,SessionToken] --output text as nobody",
		}, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := callsOf(t, test.fail, test.environment, script, test.verb, "222222222222")
			if !slices.Equal(got, test.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(test.want, "\n"))
			}
			if (err != nil) != test.fails {
				t.Errorf("it ends with %v", err)
			}
		})
	}
	if calls, err := callsOf(t, never, nil, script, "deploy", "999999999999"); err == nil || calls != nil {
		t.Errorf("an account that is not in the configuration: %q, %v", calls, err)
	}
}

// The Makefile goes on with the next account, and fails in the end.
func TestMakeAccess(t *testing.T) {
	makefile, err := filepath.Abs("../Makefile")
	must(t, err)
	script, err := filepath.Abs("access-stacks")
	must(t, err)
	for accounts, want := range map[string]string{
		"222222222222 333333333333": "[222222222222 333333333333]", "all": "[222222222222 333333333333]", "333333333333": "[333333333333]", "": "[]",
	} {
		// What the target depends on is taken to be there.
		calls, err := callsOf(t, "222222222222", nil, "make", "--no-print-directory", "-f", makefile, "-o", "synth", "deploy-access",
			"ACCOUNTS="+accounts, "ACCESS_STACKS="+script)
		got := map[string]bool{}
		for _, call := range calls {
			for _, account := range []string{"222222222222", "333333333333"} {
				if strings.Contains(strings.ReplaceAll(call, "ROLE", "222222222222"), account) {
					got[account] = true
				}
			}
		}
		var names []string
		for name := range got {
			names = append(names, name)
		}
		slices.Sort(names)
		if fmt.Sprint(names) != want {
			t.Errorf("ACCOUNTS=%q deploys to %v, want %s", accounts, names, want)
		}
		if fails := accounts != "333333333333"; (err != nil) != fails {
			t.Errorf("ACCOUNTS=%q ends with %v", accounts, err)
		}
	}
}
