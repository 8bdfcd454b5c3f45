package config_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/crossapply/crossapply/cdk/config"
)

const minimal = `
hub: {account: "111111111111", region: eu-west-1}
externalId: rollouts-of-example-corp
accounts:
- id: "222222222222"
  clusters: [{name: payments, region: eu-west-1}]
`

const request = `{resource: {apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: b}}, targets: [{account: "222222222222", region: eu-west-1, cluster: payments}]}`

func schedule(fields string) string {
	return minimal + "schedules:\n- {name: nightly, expression: rate(1 day), request: " + request + ", " + fields + "}\n"
}

// stackSet is one that is right but for the given keys.
func stackSet(keys string) string {
	set := map[string]any{"organizationalUnitIds": []string{"ou-ab12-11111111"}, "callAs": "SELF", "homeRegion": "eu-west-1"}
	if err := yaml.Unmarshal([]byte("{"+keys+"}"), &set); err != nil {
		panic(err)
	}
	text, err := yaml.Marshal(map[string]any{"stackSet": set})
	if err != nil {
		panic(err)
	}
	return string(text)
}

func manyClusters(account string, count int) string {
	var text strings.Builder
	text.WriteString("- id: \"" + account + "\"\n  clusters:\n")
	for i := range count {
		fmt.Fprintf(&text, "  - {name: cluster-%d, region: eu-west-1}\n", i)
	}
	return text.String()
}

func manyAccounts(count int) string {
	var text strings.Builder
	for i := range count {
		fmt.Fprintf(&text, "- {id: \"%012d\", discovery: true}\n", 300000000000+i)
	}
	return text.String()
}

// selecting is the field request of a schedule that looks for clusters in accounts.
func selecting(accounts string) string {
	return `request: {resource: {apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: b}}, targets: [{accounts: [` + accounts + `]}]}`
}

// manySchedules are schedules with requests of that many bytes.
func manySchedules(count, size int) string {
	var text strings.Builder
	for i := range count {
		fmt.Fprintf(&text, "- {name: s%d, expression: rate(1 day), request: %s}\n", i,
			strings.Replace(request, "{name: a,", "{name: a, annotations: {note: "+strings.Repeat("x", size)+"},", 1))
	}
	return text.String()
}

func parse(t *testing.T, text string) (config.Config, error) {
	t.Helper()
	raw, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return config.Parse(raw, "test.yaml")
}

func TestMinimal(t *testing.T) {
	c, err := parse(t, minimal)
	if err != nil {
		t.Fatal(err)
	}
	if c.Name != "crossapply" || c.AccessRoleName != "crossapply-access" || c.PollWindowSeconds != 60 || c.RunDays != 30 || c.ReportDays != 365 ||
		c.Logs.RetentionDays != 30 || c.Logs.Level != "ERROR" || c.Events.BusName != "default" || c.Events.Topic || c.Functions["poll"].MemoryMB != 256 || c.Functions["report"].MemoryMB != 512 {
		t.Errorf("defaults are not as documented: %+v", c)
	}
}

// Every mistake is an error that names its key.
func TestMistakes(t *testing.T) {
	replace := func(old, instead string) string {
		if !strings.Contains(minimal, old) {
			t.Fatalf("the minimal configuration does not hold %q", old)
		}
		return strings.Replace(minimal, old, instead, 1)
	}
	tests := []struct{ name, config, names string }{
		{"nothing", "{}", "hub.account: Required"},
		{"unknown key", minimal + "regoin: eu-west-1\n", "regoin: Invalid value: unknown field"},
		{"unknown key below", replace("region: eu-west-1}\next", "regoin: eu-west-1}\next"), "hub.regoin: Invalid value: unknown field"},
		{"key in other case", minimal + "runDAYS: 3\n", "runDAYS"},
		{"wrong type", minimal + "runDays: thirty\n", "runDays"},
		{"number as account", replace(`"111111111111"`, `111111111111`), "hub.account"},
		{"bad hub account", replace(`"111111111111"`, `"1111"`), "hub.account"},
		{"unknown region", replace("region: eu-west-1}\next", "region: eu-west-9}\next"), "hub.region"},
		{"name", minimal + "name: Cross_Apply\n", "name"},
		{"no external id", replace("externalId: rollouts-of-example-corp", ""), "externalId: Required"},
		{"external id", replace("rollouts-of-example-corp", `"a b"`), "externalId"},
		{"role name", minimal + "accessRoleName: path/role\n", "accessRoleName"},
		{"bad account", replace(`"222222222222"`, `"22222222222x"`), "accounts[0].id"},
		{"duplicate account", minimal + `- {id: "222222222222", discovery: true}` + "\n", "accounts[1].id"},
		{"no clusters", minimal + `- {id: "333333333333"}` + "\n", "accounts[1].clusters"},
		{"duplicate cluster", replace("[{name: payments, region: eu-west-1}]", "[{name: payments, region: eu-west-1}, {name: payments, region: eu-west-1}]"), "accounts[0].clusters[1]"},
		{"cluster name", replace("payments", "pay/ments"), "accounts[0].clusters[0].name"},
		{"unknown cluster region", replace("payments, region: eu-west-1", "payments, region: europe"), "accounts[0].clusters[0].region"},
		{"other partition", replace("payments, region: eu-west-1", "payments, region: cn-north-1"), "accounts[0].clusters[0].region"},
		{"additional region of another partition", minimal + "additionalRegions: [eu-moon-1, cn-moon-1]\n", "additionalRegions[1]: Invalid value"},
		{"additional region that is none", minimal + "additionalRegions: [evil.example.com/#]\n", "additionalRegions[0]: Invalid value"},
		{"additional region twice", minimal + "additionalRegions: [eu-moon-1, eu-moon-1]\n", "additionalRegions[1]: Invalid value: \"eu-moon-1\": repeats additionalRegions[0]"},
		{"region of a target that is none", schedule(strings.Replace("request: "+request, "eu-west-1", "eu-west1", 1)),
			"schedules[0].request.targets[0].region: Invalid value: \"eu-west1\": no such AWS Region: did you mean eu-west-1"},
		{"retry", schedule(`request: {retry: {execution: "arn:aws:states:eu-west-1:111111111111:execution:crossapply:a"}}`), "schedules[0].request.retry: Forbidden"},
		{"more clusters than a policy can name", minimal + manyClusters("333333333333", 200), "accounts[1].clusters"},
		{"more entries than a template holds", minimal + manyClusters("333333333333", 501) + stackSet(""), "stackSet.templates: Invalid value: 1: number 1 would hold 502 access entries, and can hold 500"},
		{"more bytes than a template holds", minimal + manyClusters("333333333333", 400) + stackSet("") + "tags: {team: " + strings.Repeat("x", 256) + ", a: " +
			strings.Repeat("x", 256) + ", b: " + strings.Repeat("x", 256) + ", c: " + strings.Repeat("x", 256) + ", d: " + strings.Repeat("x", 256) +
			", e: " + strings.Repeat("x", 256) + "}\n", "stackSet.templates: Invalid value: 1: number 1 would hold 401 access entries, and can hold"},
		{"region to look in", minimal + "regions: [eu-west-1, cn-north-1]\n", "regions[1]: Invalid value"},
		{"region to look in, twice", minimal + "regions: [eu-west-1, eu-west-1]\n", "regions[1]: Invalid value: \"eu-west-1\": repeats regions[0]"},
		{"event bus as an ARN", minimal + "events: {busName: \"arn:aws:events:eu-west-1:111111111111:event-bus/a\"}\n", "events.busName: Invalid value"},
		{"operation that is none", minimal + "operations: [apply, destroy]\n", "operations[1]: Unsupported value: \"destroy\""},
		{"operation that only the workflow does", minimal + "operations: [verify]\n", "operations[0]: Unsupported value"},
		{"operation twice", minimal + "operations: [apply, rollback, apply]\n", "operations[2]: Invalid value: \"apply\": repeats operations[0]"},
		{"no operation", minimal + "operations: []\n", "operations: Required"},
		{"operation that is not allowed", schedule("") + "operations: [rollback]\n", "schedules[0].request.operation: Unsupported value: \"apply\""},
		{"rollback that is not allowed", schedule(strings.Replace("request: "+request, "{resource", "{rollout: {onFailure: rollback}, resource", 1)) + "operations: [apply]\n",
			"schedules[0].request.rollout.onFailure: Forbidden"},
		{"group", minimal + "allow: [{group: Example.com, kind: Topic, plural: topics}]\n", "allow[0].group"},
		{"kind", minimal + "allow: [{group: example.com, kind: topics, plural: topics}]\n", "allow[0].kind"},
		{"no plural", minimal + "allow: [{group: example.com, kind: Topic}]\n", "allow[0].plural: Required"},
		{"all kinds of one plural", minimal + "allow: [{group: example.com, kind: \"*\", plural: topics}]\n", "allow[0].plural"},
		{"secrets", minimal + "allow: [{kind: Secret, plural: secrets}]\n", "allow[0].kind"},
		{"secrets under another kind", minimal + "allow: [{kind: ConfigMap, plural: secrets}]\n", "allow[0].kind"},
		{"nothing", minimal + "allow: []\n", "allow: Required"},
		{"all of the core group", minimal + "allow: [{kind: \"*\", plural: \"*\"}]\n", "allow[0].kind"},
		{"namespace", minimal + "allow: [{kind: ConfigMap, plural: configmaps, namespaces: [a_b]}]\n", "allow[0].namespaces[0]"},
		{"more than an environment holds", minimal + "allow:\n" + strings.Repeat("- {group: example.com, kind: Topic, plural: topics}\n", 70), "allow: Forbidden"},
		{"what is not allowed", schedule("") + "allow: [{kind: ConfigMap, plural: configmaps, namespaces: [a]}]\n", "schedules[0].request.resource: Forbidden"},
		{"unknown function", minimal + "functions: {pole: {}}\n", "functions.pole"},
		{"memory", minimal + "functions: {poll: {memoryMB: 64}}\n", "functions.poll.memoryMB"},
		{"window", minimal + "pollWindowSeconds: 120\n", "pollWindowSeconds"},
		{"retention", minimal + "logs: {retentionDays: 31}\n", "logs.retentionDays"},
		{"log level", minimal + "logs: {level: DEBUG}\n", "logs.level"},
		{"run days", minimal + "runDays: 90\n", "runDays"},
		{"report days", minimal + "runDays: 60\nreportDays: 59\n", "reportDays"},
		{"caller's role for nobody", minimal + "callerRole: {}\n", "callerRole.principals: Required"},
		{"caller's role for a user", minimal + "callerRole: {principals: [\"arn:aws:iam::444444444444:user/ann\"]}\n", "callerRole.principals[0]"},
		{"caller's role for another partition", minimal + "callerRole: {principals: [\"444444444444\", \"arn:aws-cn:iam::444444444444:role/ci\"]}\n", "callerRole.principals[1]"},
		{"caller's external id", minimal + "callerRole: {principals: [\"444444444444\"], externalId: \"a b\"}\n", "callerRole.externalId"},
		{"access role like the caller's", replace(`id: "222222222222"`, `id: "111111111111"`) + "accessRoleName: crossapply-caller\n", "accessRoleName"},
		{"vpc", minimal + "vpc: {subnetIds: [sub-1], securityGroupIds: []}\n", "vpc.subnetIds[0]"},
		{"no security group", minimal + "vpc: {subnetIds: [subnet-0123456789abcdef0], securityGroupIds: []}\n", "vpc.securityGroupIds"},
		{"network without a name", minimal + "networks: [{regions: [us-east-1], vpc: {subnetIds: [subnet-0123456789abcdef0], securityGroupIds: [sg-0123456789abcdef0]}}]\n", "networks[0].name: Required"},
		{"network for all", minimal + "networks: [{name: us, vpc: {subnetIds: [subnet-0123456789abcdef0], securityGroupIds: [sg-0123456789abcdef0]}}]\n", "networks[0]: Required"},
		{"network of no account", minimal + "networks: [{name: us, accounts: [\"2\"], vpc: {subnetIds: [subnet-0123456789abcdef0], securityGroupIds: [sg-0123456789abcdef0]}}]\n", "networks[0].accounts[0]"},
		{"network of no Region", minimal + "networks: [{name: us, regions: [us-east-9], vpc: {subnetIds: [subnet-0123456789abcdef0], securityGroupIds: [sg-0123456789abcdef0]}}]\n", "networks[0].regions[0]"},
		{"network nowhere", minimal + "networks: [{name: us, regions: [us-east-1], vpc: {subnetIds: [subnet-0123456789abcdef0]}}]\n", "networks[0].vpc.securityGroupIds: Required"},
		{"topic elsewhere", minimal + "alarmTopicArn: arn:aws:sns:us-east-1:111111111111:alarms\n", "alarmTopicArn"},
		{"unit", minimal + stackSet("organizationalUnitIds: [finance]"), "stackSet.organizationalUnitIds[0]: Invalid value"},
		{"no unit", minimal + stackSet("organizationalUnitIds: []"), "stackSet.organizationalUnitIds: Required"},
		{"unit twice", minimal + stackSet("organizationalUnitIds: [ou-ab12-11111111, ou-ab12-11111111]"), "stackSet.organizationalUnitIds[1]: Invalid value: \"ou-ab12-11111111\": repeats"},
		{"unit beside its root", minimal + stackSet("organizationalUnitIds: [ou-ab12-11111111, r-ab12]"), "stackSet.organizationalUnitIds[1]: Invalid value: \"r-ab12\": the root holds every unit"},
		{"no callAs", minimal + stackSet(`callAs: ""`), "stackSet.callAs: Required value: must be one of SELF, DELEGATED_ADMIN"},
		{"callAs", minimal + stackSet("callAs: ADMIN"), "stackSet.callAs: Unsupported value"},
		{"no home of stack sets", minimal + stackSet(`homeRegion: ""`), "stackSet.homeRegion: Required"},
		{"home of an account beside that of stack sets", replace(`id: "222222222222"`, "id: \"222222222222\"\n  homeRegion: eu-west-1") + stackSet(""), "accounts[0].homeRegion: Forbidden"},
		{"templates", minimal + stackSet("templates: 51"), "stackSet.templates: Invalid value: 51"},
		{"concurrency", minimal + stackSet("operation: {maxConcurrentPercentage: 101}"), "stackSet.operation.maxConcurrentPercentage"},
		{"tolerance", minimal + stackSet("operation: {failureTolerancePercentage: -1}"), "stackSet.operation.failureTolerancePercentage"},
		{"concurrency mode", minimal + stackSet("operation: {concurrencyMode: SOFT}"), "stackSet.operation.concurrencyMode: Unsupported value"},
		{"concurrency of Regions", minimal + stackSet("operation: {regionConcurrency: BOTH}"), "stackSet.operation.regionConcurrency: Unsupported value"},
		{"all accounts of no organisation", minimal + stackSet("allAccounts: true"), "organizationId: Required"},
		{"no accounts", "hub: {account: \"111111111111\", region: eu-west-1}\nexternalId: example\n", "accounts: Required"},
		{"stack set in China", strings.ReplaceAll(minimal, "eu-west-1", "cn-north-1") + stackSet("homeRegion: cn-north-1"), "stackSet: Forbidden: AWS in China has no StackSets"},
		{"role path", minimal + "rolePath: platform\n", "rolePath: Invalid value"},
		{"long role path", minimal + "rolePath: /" + strings.Repeat("x", 64) + "/\n", "rolePath: Invalid value"},
		{"boundary as an ARN", minimal + "permissionsBoundary: \"arn:aws:iam::111111111111:policy/boundary\"\n", "permissionsBoundary: Invalid value"},
		{"previous external id", minimal + "previousExternalId: \"a b\"\n", "previousExternalId: Invalid value"},
		{"previous external id that is no other", minimal + "previousExternalId: rollouts-of-example-corp\n", "previousExternalId: Invalid value"},
		{"two long external ids", minimal + "previousExternalId: " + strings.Repeat("x", 990) + "\n", "previousExternalId: Too long"},
		{"access policy as an ARN", minimal + "accessPolicies: [{name: \"arn:aws:eks::aws:cluster-access-policy/AmazonEKSEditPolicy\"}]\n", "accessPolicies[0].name: Invalid value"},
		{"access policy twice", minimal + "accessPolicies: [{name: AmazonEKSEditPolicy}, {name: AmazonEKSEditPolicy, namespaces: [a]}]\n", "accessPolicies[1].name: Invalid value"},
		{"namespace of an access policy", minimal + "accessPolicies: [{name: AmazonEKSEditPolicy, namespaces: [a_b]}]\n", "accessPolicies[0].namespaces[0]"},
		{"duplicate schedule", schedule("") + "- {name: nightly, expression: rate(1 day), request: " + request + "}\n", "schedules[1].name"},
		{"schedule name", schedule("name: a b"), "schedules[0].name"},
		{"schedule expression", schedule("expression: every day"), "schedules[0].expression"},
		{"schedule time zone", schedule("timeZone: Europe/Atlantis"), "schedules[0].timeZone"},
		{"schedule window", schedule("flexibleWindowMinutes: 2000"), "schedules[0].flexibleWindowMinutes"},
		{"schedule retries", schedule("maximumRetryAttempts: 186"), "schedules[0].maximumRetryAttempts"},
		{"schedule age", schedule("maximumEventAgeSeconds: 5"), "schedules[0].maximumEventAgeSeconds"},
		{"schedule without request", minimal + "schedules: [{name: a, expression: rate(1 day)}]\n", "schedules[0].request"},
		{"schedule with two requests", schedule("requestFile: a.json"), "schedules[0].requestFile"},
		{"schedule with no such file", minimal + "schedules: [{name: a, expression: rate(1 day), requestFile: none.json}]\n", "schedules[0].requestFile"},
		{"unknown field in a request", schedule("request: {rersource: {}}"), "schedules[0].request.rersource"},
		{"wrong type in a request", schedule("request: {targets: all}"), "schedules[0].request.targets"},
		{"no object as request", schedule("request: [1]"), "schedules[0].request"},
		{"null as request", schedule("request: null"), "schedules[0].request"},
		{"target without access", schedule(strings.Replace("request: "+request, "payments", "billing", 1)), "schedules[0].request.targets[0]"},
		{"request without a resource", schedule("request: {targets: []}"), "schedules[0].request.resource: Required"},
		{"resource without a name", schedule("request: {resource: {apiVersion: v1, kind: ConfigMap}}"), "schedules[0].request.resource.metadata.name: Required"},
		{"target without a cluster", schedule(`request: {targets: [{}]}`), "schedules[0].request.targets[0].account: Required"},
		{"wrong type in a target", schedule(`request: {targets: [{account: "222222222222"}, {account: 222222222222}]}`), "schedules[0].request.targets[1].account"},
		{"selected targets of an account that may not be searched", schedule(selecting(`"222222222222"`)), "schedules[0].request.targets[0].accounts[0]: Invalid value: \"222222222222\": may not be searched"},
		{"selected targets of an account that is not there", schedule(selecting(`"*", "333333333333"`)), "schedules[0].request.targets[0].accounts[1]: Invalid value: \"333333333333\": is not among the accounts"},
		{"selected targets of no account", schedule(selecting("")), "schedules[0].request.targets[0].accounts: Required value"},
		{"operation", schedule("request: {operation: destroy}"), "schedules[0].request.operation: Unsupported value"},
		{"secret", schedule(strings.Replace("request: "+request, "ConfigMap", "Secret", 1)), "schedules[0].request.resource.kind: Forbidden"},
		{"number that JSONata rounds", schedule(strings.Replace("request: "+request, "metadata:", "data: {count: 9007199254740992}, metadata:", 1)),
			"schedules[0].request.resource.data.count: Invalid value"},
		{"option out of range", schedule(strings.Replace("request: "+request, "{resource", "{ready: {timeoutSeconds: 0}, resource", 1)),
			"schedules[0].request.ready.timeoutSeconds: Invalid value"},
		{"waves", schedule("request: {rollout: {waves: [{}, {}]}}"), "schedules[0].request.rollout.waves[0]: Required value"},
		{"requests larger than a template", minimal + "schedules:\n" + manySchedules(4, 200_000), "schedules: Invalid value"},
		{"number as second account", minimal + "- {id: 333333333333, discovery: true}\n", "accounts[1].id: Invalid value"},
		{"text as second cluster", replace("[{name: payments, region: eu-west-1}]", "[{name: payments, region: eu-west-1}, billing]"), "accounts[0].clusters[1]: Invalid value"},
		{"list as configuration", "[1]", "configuration: Invalid value"},
		{"unknown home", replace(`id: "222222222222"`, "id: \"222222222222\"\n  homeRegion: europe"), "accounts[0].homeRegion"},
		{"home in another partition", replace(`id: "222222222222"`, "id: \"222222222222\"\n  homeRegion: cn-north-1"), "accounts[0].homeRegion"},
		{"more accounts than policies can name", minimal + manyAccounts(500), "accounts: Forbidden"},
		{"organisation", minimal + "organizationId: ou-ab12-11111111\n", "organizationId"},
		{"access role like a role of the hub", replace(`id: "222222222222"`, `id: "111111111111"`) + "accessRoleName: crossapply-poll\n", "accessRoleName"},
		{"hub as member of its own organisation", replace(`id: "222222222222"`, `id: "111111111111"`) + stackSet(""), "stackSet.callAs"},
		{"tag of AWS", minimal + "tags: {\"AWS:team\": platform}\n", "tags[AWS:team]"},
		{"tag without a key", minimal + "tags: {\"\": platform}\n", "tags[]"},
		{"tag without a value", minimal + "tags: {team: \"\"}\n", "tags[team]"},
		{"own idempotency key", schedule(strings.Replace("request: "+request, "{resource", "{idempotencyKey: a, resource", 1)), "schedules[0].request.idempotencyKey"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := parse(t, tt.config)
			var invalid *config.InvalidError
			if !errors.As(err, &invalid) {
				t.Fatalf("want an InvalidError, got %v", err)
			}
			if !strings.Contains(err.Error(), "\n  "+tt.names) {
				t.Errorf("want an error that names %q, got: %v", tt.names, err)
			}
		})
	}
}

// A schedule looks for clusters where the configuration lets it.
func TestScheduleSelects(t *testing.T) {
	searched := strings.Replace(minimal, `id: "222222222222"`, "id: \"222222222222\"\n  discovery: true", 1)
	for _, accounts := range []string{`"222222222222"`, `"*"`} {
		if _, err := parse(t, searched+"schedules: [{name: a, expression: rate(1 day), "+selecting(accounts)+"}]\n"); err != nil {
			t.Errorf("%s: %v", accounts, err)
		}
	}
}

func TestScheduleExpressions(t *testing.T) {
	good := []string{
		"rate(1 hour)", "rate(5 minutes)", "at(2027-01-31T08:00:00)", "cron(0 2 * * ? *)", "cron(0/15 8-17 ? * MON-FRI *)",
		"cron(0 10 L * ? 2026)", "cron(0 10 15W * ? *)", "cron(0 10 ? * FRI#2 *)", "cron(0 0 1,15 JAN,JUL ? 2026-2030)", "cron(0 0 ? * 6L *)",
	}
	bad := []string{
		"rate(0 hours)", "rate(1 fortnight)", "rate(hour)", "at(2027-02-31T08:00:00)", "at(tomorrow)", "cron(0 2 * * *)", "cron(0 2 * * * *)",
		"cron(0 2 ? * ? *)", "cron(60 2 * * ? *)", "cron(0 24 * * ? *)", "cron(0 0 32 * ? *)", "cron(0 0 * 13 ? *)", "cron(0 0 ? * 8 *)",
		"cron(0 0 ? * MONDAY *)", "cron(*/0 0 * * ? *)", "cron(0 0 * * ? 1960)", "0 2 * * *", "rate(1 hour) ", "cron(,)",
	}
	check := func(expression string, wanted bool) {
		_, err := parse(t, strings.Replace(schedule(""), "rate(1 day)", `"`+expression+`"`, 1))
		if (err == nil) != wanted {
			t.Errorf("%s: accepted %v, want %v (%v)", expression, err == nil, wanted, err)
		}
	}
	for _, expression := range good {
		check(expression, true)
	}
	for _, expression := range bad {
		check(expression, false)
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	write("request.json", `{"resource": {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}, "targets": [{"account": "222222222222", "region": "eu-west-1", "cluster": "payments"}]}`)
	c, err := config.Load(write("good.yaml", minimal+"schedules: [{name: a, expression: rate(1 day), requestFile: request.json}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(c.Schedules[0].Request), "payments") {
		t.Errorf("the request was not read from its file: %s", c.Schedules[0].Request)
	}
	if _, err := config.Load(write("twice.yaml", minimal+"runDays: 3\nrunDays: 4\n")); err == nil || !strings.Contains(err.Error(), "runDays") {
		t.Errorf("a key given twice: got %v", err)
	}
	if _, err := config.Load(filepath.Join(dir, "none.yaml")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is not there: got %v", err)
	}
}

func TestPlaces(t *testing.T) {
	c, err := parse(t, `
hub: {account: "111111111111", region: eu-west-1}
externalId: example
accounts:
- id: "333333333333"
  clusters: [{name: c, region: us-east-1}, {name: b, region: eu-west-1}, {name: a, region: eu-west-1}, {name: d, region: eu-west-1, withoutEntry: true}]
- {id: "444444444444", discovery: true}
- id: "222222222222"
  clusters: [{name: a, region: us-east-1, withoutEntry: true}, {name: a, region: ap-south-1}]
`)
	if err != nil {
		t.Fatal(err)
	}
	want := []config.Place{
		{Account: "333333333333", Region: "eu-west-1", Clusters: []string{"a", "b"}},
		{Account: "333333333333", Region: "us-east-1", Clusters: []string{"c"}},
		{Account: "222222222222", Region: "ap-south-1", Clusters: []string{"a"}},
	}
	if got := c.Places(); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// Where an access entry is made depends on nothing but the account and the number
// of templates, and with more of them an account stays or moves to the last: two
// templates never make the same entry at the same time.
func TestSpread(t *testing.T) {
	c := config.Config{StackSet: &config.StackSet{}}
	for i := range 300 {
		c.Accounts = append(c.Accounts, config.Account{ID: fmt.Sprintf("%012d", 300000000000+i*7919), Clusters: []config.Cluster{{Name: "a", Region: "eu-west-1"}}})
	}
	in := map[string]int{}
	for templates := 1; templates <= 12; templates++ {
		c.StackSet.Templates = templates
		spread := c.Spread()
		if len(spread) != templates {
			t.Fatalf("%d templates, want %d", len(spread), templates)
		}
		for i, places := range spread {
			if even := 300 / templates; len(places) < even/2 || len(places) > even*2 {
				t.Errorf("template %d of %d holds %d accounts", i, templates, len(places))
			}
			for _, place := range places {
				if before, known := in[place.Account]; known && before != i && i != templates-1 {
					t.Errorf("%s moves from template %d to %d of %d", place.Account, before, i, templates)
				}
				in[place.Account] = i
			}
		}
	}
}

// A request looks where there are clusters, and where the hub is, or where the
// configuration says.
func TestLooksIn(t *testing.T) {
	text := minimal + "- id: \"333333333333\"\n  clusters: [{name: a, region: us-east-1}, {name: b, region: ap-south-1}, {name: c, region: us-east-1}]\n"
	for configuration, want := range map[string]string{
		text: "ap-south-1 eu-west-1 us-east-1", text + "regions: [us-west-2, eu-north-1]\n": "eu-north-1 us-west-2",
	} {
		c, err := parse(t, configuration)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(c.LooksIn(), " "); got != want {
			t.Errorf("it looks in %s, want %s", got, want)
		}
	}
}

// Whatever clusters come and go, the access role stays where it was made.
func TestHome(t *testing.T) {
	c := config.Config{Hub: config.Hub{Account: "111111111111", Region: "eu-west-1"}}
	account := config.Account{ID: "222222222222", Clusters: []config.Cluster{{Name: "a", Region: "ap-south-1"}}}
	if got := c.Home(account); got != "eu-west-1" {
		t.Errorf("by default: %s", got)
	}
	account.HomeRegion = "us-east-1"
	if got := c.Home(account); got != "us-east-1" {
		t.Errorf("as the account says: %s", got)
	}
	c.StackSet = &config.StackSet{HomeRegion: "eu-central-1"}
	if got := c.Home(account); got != "eu-central-1" {
		t.Errorf("with StackSets: %s", got)
	}
}

// A Region that is new may be allowed: everywhere that one is named, the hub
// included.
func TestAdditionalRegions(t *testing.T) {
	text := strings.ReplaceAll(schedule(""), "eu-west-1", "eu-moon-1")
	if _, err := parse(t, text+"additionalRegions: [eu-moon-1]\n"); err != nil {
		t.Error(err)
	}
	if _, err := parse(t, text); err == nil {
		t.Error("a Region that nobody knows is accepted")
	}
}

// With the organisation's id, there may be more accounts than policies can name.
func TestManyAccounts(t *testing.T) {
	for _, text := range []string{minimal + manyAccounts(499), minimal + manyAccounts(2_000) + "organizationId: o-a1b2c3d4e5\n"} {
		if _, err := parse(t, text); err != nil {
			t.Error(err)
		}
	}
}
