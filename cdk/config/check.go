package config

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/crossapply/crossapply/shared/allowlist"
	"github.com/crossapply/crossapply/shared/awsenv"
	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/deployment"
	"github.com/crossapply/crossapply/shared/operation"
	"github.com/crossapply/crossapply/shared/regions"
)

// Rules of names. Where AWS has one, it stands in the resource's reference under
// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/
var (
	name            = regexp.MustCompile(`^[a-z]([a-z0-9-]{0,30}[a-z0-9])?$`)
	accountID       = regexp.MustCompile(`^[0-9]{12}$`)
	externalID      = regexp.MustCompile(`^[\w+=,.@:/-]{2,1000}$`)
	roleName        = regexp.MustCompile(`^[\w+=,.@-]{1,64}$`)
	clusterName     = regexp.MustCompile(`^[0-9A-Za-z][A-Za-z0-9_-]{0,99}$`)
	subnetID        = regexp.MustCompile(`^subnet-[0-9a-f]{8,17}$`)
	securityGroupID = regexp.MustCompile(`^sg-[0-9a-f]{8,17}$`)
	organizationID  = regexp.MustCompile(`^o-[a-z0-9]{10,32}$`)
	tagText         = regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+@-]+$`)
	rolePath        = regexp.MustCompile(`^/([\w+=,.@-]+/)*$`)
	policyName      = regexp.MustCompile(`^([\w+=,.@-]+/)*[\w+=,.@-]{1,128}$`)
	accessPolicy    = regexp.MustCompile(`^Amazon[0-9A-Za-z]{1,122}$`)
	busName         = regexp.MustCompile(`^[.\-_A-Za-z0-9]{1,256}$`)
	unitID          = regexp.MustCompile(`^(ou-[a-z0-9]{4,32}-[a-z0-9]{8,32}|r-[a-z0-9]{4,32})$`)
)

const externalIDForm = "must be 2 to 1,000 letters, digits and any of _+=,.@:/-"

// retentionDays are the periods CloudWatch Logs knows.
// https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
func retentionDays() []int {
	return []int{1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653}
}

// The limits of a CloudFormation template.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
const (
	templateResources = 500
	templateBytes     = 1_000_000
)

// problems gathers what is wrong.
type problems struct{ field.ErrorList }

func (p *problems) add(e *field.Error) { p.ErrorList = append(p.ErrorList, e) }

func (p *problems) matches(value string, pattern *regexp.Regexp, path *field.Path, must string) bool {
	switch {
	case value == "":
		p.add(field.Required(path, must))
		return false
	case !pattern.MatchString(value):
		p.add(field.Invalid(path, value, must))
		return false
	}
	return true
}

// unique refuses a key that stands elsewhere already: seen keeps where each was
// seen last. shown is the value that the message repeats.
func unique[K comparable](p *problems, seen map[K]*field.Path, key K, shown string, at *field.Path) {
	if first, twice := seen[key]; twice {
		p.add(field.Invalid(at, shown, fmt.Sprintf("repeats %s", first)))
	}
	seen[key] = at
}

func (p *problems) between(value, least, most int, path *field.Path) {
	if value < least || value > most {
		p.add(field.Invalid(path, value, fmt.Sprintf("must be between %d and %d", least, most)))
	}
}

// regions are where the deployment can act.
func (c *Config) regions() regions.Scope {
	return regions.Scope{Partition: regions.Partition(c.Hub.Region), Additional: c.AdditionalRegions}
}

func (p *problems) region(c *Config, value string, path *field.Path) {
	if value == "" {
		p.add(field.Required(path, "must be an AWS Region such as eu-west-1"))
	} else if why := c.regions().Refuse(value); why != "" {
		p.add(field.Invalid(path, value, why))
	}
}

// additionalRegions checks that each has the form of the names of the hub's
// partition: hosts are made of them.
func (p *problems) additionalRegions(c *Config) {
	seen := map[string]*field.Path{}
	for i, region := range c.AdditionalRegions {
		at := field.NewPath("additionalRegions").Index(i)
		if partition := regions.Partition(region); partition == "" || partition != c.regions().Partition {
			p.add(field.Invalid(at, region, "must be an AWS Region of the hub's partition"))
		}
		unique(p, seen, region, region, at)
	}
}

func (p *problems) regionList(c *Config) {
	seen := map[string]*field.Path{}
	for i, region := range c.Regions {
		at := field.NewPath("regions").Index(i)
		p.region(c, region, at)
		unique(p, seen, region, region, at)
	}
}

func (c *Config) check() field.ErrorList {
	var p problems
	p.matches(c.Name, name, field.NewPath("name"), "must be at most 32 lower-case letters, digits and hyphens")
	hub := field.NewPath("hub")
	p.matches(c.Hub.Account, accountID, hub.Child("account"), "must be the 12 digits of an AWS account id, as a string")
	p.region(c, c.Hub.Region, hub.Child("region"))
	p.additionalRegions(c)
	p.regionList(c)
	p.matches(c.ExternalID, externalID, field.NewPath("externalId"), externalIDForm)
	p.accounts(c)
	p.roles(c)
	p.accessPolicies(c)
	p.allow(c)
	p.operations(c)
	p.schedules(c)
	p.functions(c)
	p.options(c)
	p.partition(c)
	return p.ErrorList
}

func (p *problems) accounts(c *Config) {
	path := field.NewPath("accounts")
	if len(c.Accounts) == 0 && !c.everyAccount() {
		p.add(field.Required(path, "name at least one target account"))
	}
	seen := map[string]*field.Path{}
	for i, account := range c.Accounts {
		at := path.Index(i)
		if p.matches(account.ID, accountID, at.Child("id"), "must be the 12 digits of an AWS account id, as a string") {
			unique(p, seen, account.ID, account.ID, at.Child("id"))
		}
		switch {
		case account.HomeRegion == "":
		case c.StackSet != nil:
			p.add(field.Forbidden(at.Child("homeRegion"), "stackSet.homeRegion is that of all accounts"))
		default:
			p.region(c, account.HomeRegion, at.Child("homeRegion"))
		}
		p.clusters(c, account, at.Child("clusters"))
	}
}

// MaxNamedAccounts is how many accounts the policies of a function's role name
// one by one: with the longest of role names, that many fill the 10 managed
// policies of 6,144 characters that a role may have if no quota is raised.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
const MaxNamedAccounts = 500

// maxQualifiedName is how many characters the access role's name may have with
// its path: [MaxNamedAccounts] is counted with so many.
const maxQualifiedName = 64

// maxExternalIDs is how many characters both external ids may have, so that a
// trust policy has no more than the 2,048 that IAM allows.
const maxExternalIDs = 1_000

// roles checks what the roles are called, whom they trust, and that the hub's can
// name all accounts.
func (p *problems) roles(c *Config) {
	at := field.NewPath("accessRoleName")
	p.matches(c.AccessRoleName, roleName, at, "must be a role's name without a path, at most 64 characters")
	if c.RolePath != "" {
		p.matches(c.RolePath, rolePath, field.NewPath("rolePath"), "must begin and end with /, with letters, digits and any of _+=,.@- between")
	}
	if size := len(c.QualifiedAccessRole()); size > maxQualifiedName && c.RolePath != "" {
		p.add(field.Invalid(field.NewPath("rolePath"), c.RolePath, fmt.Sprintf("makes %d characters with accessRoleName, of at most %d", size, maxQualifiedName)))
	}
	if c.PermissionsBoundary != "" {
		p.matches(c.PermissionsBoundary, policyName, field.NewPath("permissionsBoundary"), "must be a managed policy's name, with its path if it has one, and no ARN")
	}
	if c.PreviousExternalID != "" {
		p.previousExternalID(c, field.NewPath("previousExternalId"))
	}
	p.organization(c)
	part, ours := strings.CutPrefix(c.AccessRoleName, c.Name+"-")
	if ours && slices.Contains(hubRoles(), part) && c.indexOfHub() >= 0 {
		p.add(field.Invalid(at, c.AccessRoleName, "is the name of a role of the hub, whose account is among accounts"))
	}
}

func (p *problems) previousExternalID(c *Config, path *field.Path) {
	p.matches(c.PreviousExternalID, externalID, path, externalIDForm)
	if c.PreviousExternalID == c.ExternalID {
		p.add(field.Invalid(path, c.PreviousExternalID, "is externalId itself"))
	}
	if size := len(c.ExternalID) + len(c.PreviousExternalID); size > maxExternalIDs {
		p.add(field.TooLong(path, "", maxExternalIDs-len(c.ExternalID)))
	}
}

func (p *problems) organization(c *Config) {
	path := field.NewPath("organizationId")
	switch {
	case c.OrganizationID != "":
		p.matches(c.OrganizationID, organizationID, path, "must be an organisation's id such as o-a1b2c3d4e5")
	case c.everyAccount():
		p.add(field.Required(path, "stackSet.allAccounts is on: the functions may assume the access role in the accounts of this organisation"))
	case !c.NamesAccounts():
		p.add(field.Forbidden(field.NewPath("accounts"), fmt.Sprintf("are %d, and the functions' policies can name %d: give organizationId", len(c.Accounts), MaxNamedAccounts)))
	}
}

func (p *problems) accessPolicies(c *Config) {
	seen := map[string]*field.Path{}
	for i, policy := range c.AccessPolicies {
		at := field.NewPath("accessPolicies").Index(i)
		if p.matches(policy.Name, accessPolicy, at.Child("name"), "must be the name of an EKS access policy such as AmazonEKSEditPolicy") {
			unique(p, seen, policy.Name, policy.Name, at.Child("name"))
		}
		for j, namespace := range policy.Namespaces {
			p.kubernetes(namespace, at.Child("namespaces").Index(j), validation.IsDNS1123Label)
		}
	}
}

// hubRoles are the roles of the hub, by what stands behind the deployment's name.
func hubRoles() []string {
	return append(deployment.FunctionNames(), "workflow", "schedule", "caller")
}

// indexOfHub returns which of the accounts is the hub's, or -1.
func (c *Config) indexOfHub() int {
	return slices.IndexFunc(c.Accounts, func(a Account) bool { return a.ID == c.Hub.Account })
}

func (p *problems) clusters(c *Config, account Account, path *field.Path) {
	if len(account.Clusters) == 0 && !account.Discovery {
		p.add(field.Required(path, "name at least one cluster, or turn discovery on"))
	}
	type name struct{ region, name string }
	seen := map[name]*field.Path{}
	for i, cluster := range account.Clusters {
		at := path.Index(i)
		p.matches(cluster.Name, clusterName, at.Child("name"), "must be an EKS cluster's name: up to 100 letters, digits, - and _")
		p.region(c, cluster.Region, at.Child("region"))
		unique(p, seen, name{cluster.Region, cluster.Name}, cluster.Name, at)
	}
	if size := policySize(account); size > maxPolicySize && !account.Discovery && c.StackSet == nil {
		p.add(field.Forbidden(path, fmt.Sprintf("the clusters' ARNs take %d characters, and a role's policies may have %d: turn discovery on", size, maxPolicySize)))
	}
}

// maxPolicySize is how many characters all inline policies of a role may have.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html#reference_iam-quotas-entity-length
const maxPolicySize = 10_240

// policySize is about how many characters the access role's policy takes.
func policySize(account Account) int {
	size := 200
	for _, cluster := range account.Clusters {
		size += len(`"arn:aws-us-gov:eks:`) + len(cluster.Region) + len(`:222222222222:cluster/`) + len(cluster.Name) + len(`",`)
	}
	return size
}

// maxAllowBytes leaves room for plan's other environment variables: all together
// may have 4 KB.
// https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
const maxAllowBytes = 3_500

var kindName = regexp.MustCompile(`^[A-Z][A-Za-z0-9]{0,62}$`)

func (p *problems) allow(c *Config) {
	path := field.NewPath("allow")
	for i, rule := range c.Allow {
		at := path.Index(i)
		if rule.Group != "" {
			p.kubernetes(rule.Group, at.Child("group"), validation.IsDNS1123Subdomain)
		}
		switch {
		case rule.Kind == allowlist.Any && rule.Plural == allowlist.Any:
		case rule.Kind == allowlist.Any || rule.Plural == allowlist.Any:
			p.add(field.Invalid(at.Child("plural"), rule.Plural, "kind and plural must both be * or neither"))
		default:
			p.matches(rule.Kind, kindName, at.Child("kind"), "must be a kind such as KafkaTopic, or *")
			if rule.Plural == "" {
				p.add(field.Required(at.Child("plural"), "must be a plural such as kafkatopics"))
			} else {
				p.kubernetes(rule.Plural, at.Child("plural"), validation.IsDNS1123Label)
			}
		}
		if rule.Group == "" && (rule.Kind == allowlist.Any || strings.EqualFold(rule.Kind, "Secret") || rule.Plural == "secrets") {
			p.add(field.Invalid(at.Child("kind"), rule.Kind, "would let the workflow read Secrets, which no request may hold: name other kinds of the core group"))
		}
		for j, namespace := range rule.Namespaces {
			p.kubernetes(namespace, at.Child("namespaces").Index(j), validation.IsDNS1123Label)
		}
	}
	if c.Allow != nil && len(c.Allow) == 0 {
		p.add(field.Required(path, "an empty list would allow everything: leave it out for that, or name what is allowed"))
	}
	if size := len(allowlist.List(c.Allow).String()) + len(strings.Join(c.AdditionalRegions, " ")); size > maxAllowBytes {
		p.add(field.Forbidden(path, fmt.Sprintf("takes %d bytes of the plan function's environment, and may take %d: allow whole groups, with kind and plural *", size, maxAllowBytes)))
	}
}

func (p *problems) operations(c *Config) {
	path, known := field.NewPath("operations"), append(operation.Names(), operation.Rollback)
	seen := map[contract.Operation]*field.Path{}
	for i, name := range c.Operations {
		if !slices.Contains(known, name) {
			p.add(field.NotSupported(path.Index(i), name, known))
		}
		unique(p, seen, name, string(name), path.Index(i))
	}
	if c.Operations != nil && len(c.Operations) == 0 {
		p.add(field.Required(path, "an empty list would allow all: leave it out for that, or name what is allowed"))
	}
}

func (p *problems) kubernetes(value string, path *field.Path, rule func(string) []string) {
	for _, message := range rule(value) {
		p.add(field.Invalid(path, value, message))
	}
}

func (p *problems) functions(c *Config) {
	for _, name := range slices.Sorted(maps.Keys(c.Functions)) {
		at, f := field.NewPath("functions").Child(name), c.Functions[name]
		if !slices.Contains(deployment.FunctionNames(), name) {
			p.add(field.Invalid(at, field.OmitValueType{}, "unknown function: there are "+strings.Join(deployment.FunctionNames(), ", ")))
			continue
		}
		p.between(f.MemoryMB, 128, 10_240, at.Child("memoryMB"))
		p.between(f.ReservedConcurrency, 0, 100_000, at.Child("reservedConcurrency"))
	}
}

func (p *problems) options(c *Config) {
	p.between(c.PollWindowSeconds, int(awsenv.ShortestPollWindow.Seconds()), int(awsenv.LongestPollWindow.Seconds()), field.NewPath("pollWindowSeconds"))
	p.between(c.RunDays, 2, 89, field.NewPath("runDays"))
	p.between(c.ReportDays, c.RunDays, 36_500, field.NewPath("reportDays"))
	p.callerRole(c)
	p.matches(c.Events.BusName, busName, field.NewPath("events", "busName"), "must be the name of an event bus, and no ARN")
	logs := field.NewPath("logs")
	if !slices.Contains(retentionDays(), c.Logs.RetentionDays) {
		p.add(field.NotSupported(logs.Child("retentionDays"), c.Logs.RetentionDays, asText(retentionDays())))
	}
	if levels := []string{"OFF", "FATAL", "ERROR", "ALL"}; !slices.Contains(levels, c.Logs.Level) {
		p.add(field.NotSupported(logs.Child("level"), c.Logs.Level, levels))
	}
	p.networks(c)
	if c.AlarmTopicARN != "" {
		prefix := fmt.Sprintf("arn:%s:sns:%s:", c.regions().Partition, c.Hub.Region)
		if !strings.HasPrefix(c.AlarmTopicARN, prefix) || strings.Count(c.AlarmTopicARN, ":") != 5 {
			p.add(field.Invalid(field.NewPath("alarmTopicArn"), c.AlarmTopicARN, "must be the ARN of an SNS topic in the hub's Region"))
		}
	}
	p.tags(c)
	p.stackSet(c)
}

func (p *problems) callerRole(c *Config) {
	if c.CallerRole == nil {
		return
	}
	path := field.NewPath("callerRole")
	if c.CallerRole.ExternalID != "" {
		p.matches(c.CallerRole.ExternalID, externalID, path.Child("externalId"), externalIDForm)
	}
	role := regexp.MustCompile(`^[0-9]{12}$|^arn:` + c.regions().Partition + `:iam::[0-9]{12}:role/[\w+=,.@/-]{1,512}$`)
	p.list(c.CallerRole.Principals, role, path.Child("principals"), "must be the 12 digits of an AWS account id, or the ARN of a role in the hub's partition")
}

// partition refuses what the hub's partition does not have: in China, trusted
// access of StackSets to AWS Organizations.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/stacksets-orgs-activate-trusted-access.html
func (p *problems) partition(c *Config) {
	if c.StackSet != nil && c.regions().Partition == "aws-cn" {
		p.add(field.Forbidden(field.NewPath("stackSet"), "AWS in China has no StackSets with service-managed permissions: deploy access account by account"))
	}
}

func (p *problems) tags(c *Config) {
	for _, key := range slices.Sorted(maps.Keys(c.Tags)) {
		at, value := field.NewPath("tags").Key(key), c.Tags[key]
		switch {
		case strings.HasPrefix(strings.ToLower(key), "aws:"):
			p.add(field.Invalid(at, key, "keys that begin with aws: are AWS's own"))
		case len(key) > 128 || !tagText.MatchString(key):
			p.add(field.Invalid(at, key, "a key must be 1 to 128 letters, digits, spaces and any of _.:/=+-@"))
		case len(value) > 256 || !tagText.MatchString(value):
			p.add(field.Invalid(at, value, "a value must be 1 to 256 letters, digits, spaces and any of _.:/=+-@"))
		}
	}
}

func (p *problems) stackSet(c *Config) {
	if c.StackSet == nil {
		return
	}
	path := field.NewPath("stackSet")
	p.units(c.StackSet.OrganizationalUnitIDs, path.Child("organizationalUnitIds"))
	p.oneOf(c.StackSet.CallAs, path.Child("callAs"), "SELF", "DELEGATED_ADMIN")
	if i := c.indexOfHub(); i >= 0 && c.StackSet.CallAs == "SELF" {
		p.add(field.Invalid(path.Child("callAs"), c.StackSet.CallAs, fmt.Sprintf(
			"makes the hub's the management account, which service-managed StackSets leave out, but %s is the hub's", field.NewPath("accounts").Index(i))))
	}
	p.region(c, c.StackSet.HomeRegion, path.Child("homeRegion"))
	p.operation(c.StackSet.Operation, path.Child("operation"))
	p.between(c.StackSet.Templates, 1, maxTemplates, path.Child("templates"))
	if c.StackSet.Templates >= 1 && c.StackSet.Templates <= maxTemplates {
		p.templates(c, path.Child("templates"))
	}
}

// maxTemplates is how many templates the access entries may be spread over. More
// would be more StackSets than an administrator may have, in several units.
const maxTemplates = 50

// units checks that none holds another: an account would be in both.
func (p *problems) units(ids []string, path *field.Path) {
	p.list(ids, unitID, path, "must be the id of an organisational unit or a root")
	seen := map[string]*field.Path{}
	for i, id := range ids {
		unique(p, seen, id, id, path.Index(i))
		if strings.HasPrefix(id, "r-") && len(ids) > 1 {
			p.add(field.Invalid(path.Index(i), id, "the root holds every unit: name it alone, or only the units"))
		}
	}
}

func (p *problems) operation(o Operation, path *field.Path) {
	p.between(o.MaxConcurrentPercentage, 1, 100, path.Child("maxConcurrentPercentage"))
	p.between(*o.FailureTolerancePercentage, 0, 100, path.Child("failureTolerancePercentage"))
	p.oneOf(o.ConcurrencyMode, path.Child("concurrencyMode"), "SOFT_FAILURE_TOLERANCE", "STRICT_FAILURE_TOLERANCE")
	p.oneOf(o.RegionConcurrency, path.Child("regionConcurrency"), "PARALLEL", "SEQUENTIAL")
}

func (p *problems) oneOf(value string, path *field.Path, values ...string) {
	if value == "" {
		p.add(field.Required(path, "must be one of "+strings.Join(values, ", ")))
	} else if !slices.Contains(values, value) {
		p.add(field.NotSupported(path, value, values))
	}
}

// templates checks that each template holds its access entries.
func (p *problems) templates(c *Config, path *field.Path) {
	for i, places := range c.Spread() {
		entries := 0
		for _, place := range places {
			entries += len(place.Clusters)
		}
		if entries > templateResources || entries*c.entrySize() > templateBytes {
			p.add(field.Invalid(path, c.StackSet.Templates, fmt.Sprintf(
				"number %d would hold %d access entries, and can hold %d: give more templates", i+1, entries, min(templateResources, templateBytes/c.entrySize()))))
		}
	}
}

// entrySize is how many bytes of a template an access entry takes, with its
// condition: reckoned generously.
func (c *Config) entrySize() int {
	size := 1_000
	for key, value := range c.Tags {
		size += len(`{"Key":"","Value":""},`) + len(key) + len(value)
	}
	for _, policy := range c.AccessPolicies {
		size += 200 + len(policy.Name) + len(strings.Join(policy.Namespaces, `","`))
	}
	return size
}

func (p *problems) list(values []string, pattern *regexp.Regexp, path *field.Path, must string) {
	if len(values) == 0 {
		p.add(field.Required(path, must))
	}
	for i, value := range values {
		p.matches(value, pattern, path.Index(i), must)
	}
}

func asText(numbers []int) []string {
	texts := make([]string, len(numbers))
	for i, n := range numbers {
		texts[i] = fmt.Sprint(n)
	}
	return texts
}
