package config

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // the machine that synthesises may have no time zones

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/crossapply/crossapply/shared/request"
	"github.com/crossapply/crossapply/shared/selector"
)

var scheduleName = regexp.MustCompile(`^[0-9A-Za-z_.-]{1,64}$`)

const (
	// The largest input of an execution, less what the idempotencyKey takes.
	maxRequestBytes = 250 << 10
	// A CloudFormation template has at most a million bytes; all schedules'
	// requests together may take this much of the hub's.
	// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
	maxRequestsBytes = 700_000
)

func (p *problems) schedules(c *Config) {
	path := field.NewPath("schedules")
	seen, total := map[string]*field.Path{}, 0
	for i, s := range c.Schedules {
		at := path.Index(i)
		if p.matches(s.Name, scheduleName, at.Child("name"), "must be 1 to 64 letters, digits and any of _.-") {
			unique(p, seen, s.Name, s.Name, at.Child("name"))
		}
		if s.Expression == "" {
			p.add(field.Required(at.Child("expression"), "must be rate(...), cron(...) or at(...)"))
		} else if err := checkExpression(s.Expression); err != nil {
			p.add(field.Invalid(at.Child("expression"), s.Expression, err.Error()))
		}
		if _, err := time.LoadLocation(s.TimeZone); err != nil || s.TimeZone == "Local" {
			p.add(field.Invalid(at.Child("timeZone"), s.TimeZone, "must be an IANA time zone such as Europe/Berlin"))
		}
		p.between(s.FlexibleWindowMinutes, 0, 1_440, at.Child("flexibleWindowMinutes"))
		p.between(*s.MaximumRetryAttempts, 0, 185, at.Child("maximumRetryAttempts"))
		p.between(s.MaximumEventAgeSeconds, 60, 86_400, at.Child("maximumEventAgeSeconds"))
		p.request(c, s.Request, at.Child("request"))
		total += len(strconv.Quote(string(s.Request))) // as it stands in the template
	}
	if total > maxRequestsBytes {
		p.add(field.Invalid(path, field.OmitValueType{}, fmt.Sprintf("their requests take %d bytes of the hub's template, and may take %d", total, maxRequestsBytes)))
	}
}

// request checks the input of an execution as the plan function does when the
// execution starts, and that access is given to every target, and to the accounts in
// which clusters are looked for. What lies in the run bucket is not known here.
func (p *problems) request(c *Config, raw json.RawMessage, path *field.Path) {
	parsed, mistakes := request.Parse(raw, c.regions(), path)
	p.ErrorList = append(p.ErrorList, mistakes...)
	if len(raw) > maxRequestBytes {
		p.add(field.TooLong(path, "", maxRequestBytes))
	}
	if parsed.IdempotencyKey != "" {
		p.add(field.Forbidden(path.Child("idempotencyKey"), "the schedule gives one of its own to each start"))
	}
	p.ErrorList = append(p.ErrorList, parsed.Refuse(c.Allow)...)
	p.ErrorList = append(p.ErrorList, parsed.RefuseOperations(c.Operations, path)...)
	for i, s := range parsed.Targets {
		at := path.Child("targets").Index(i)
		if !selector.Explicit(s) {
			p.searched(c, s.Accounts, at.Child("accounts"))
		} else if t := selector.Target(s); !c.reaches(t.Account, Cluster{Name: t.Cluster, Region: t.Region}) {
			p.add(field.Invalid(at, t.String(), "is not among the clusters of accounts"))
		}
	}
}

// searched checks that clusters can be looked for in accounts. Those that * stands for
// follow the configuration, and the accounts of organizational units are not known
// here.
func (p *problems) searched(c *Config, accounts []string, path *field.Path) {
	if c.everyAccount() {
		return
	}
	for i, id := range accounts {
		found := slices.IndexFunc(c.Accounts, func(a Account) bool { return a.ID == id })
		switch {
		case id == selector.AnyAccount:
		case found < 0:
			p.add(field.Invalid(path.Index(i), id, "is not among the accounts"))
		case !c.Accounts[found].Discovery:
			p.add(field.Invalid(path.Index(i), id, "may not be searched for clusters: discovery is off in it"))
		}
	}
}

func (c *Config) reaches(account string, cluster Cluster) bool {
	return slices.ContainsFunc(c.Accounts, func(a Account) bool {
		return a.ID == account && slices.ContainsFunc(a.Clusters, func(c Cluster) bool {
			return c.Name == cluster.Name && c.Region == cluster.Region
		})
	}) || c.everyAccount()
}

var (
	rateExpression = regexp.MustCompile(`^rate\((\d+) (minutes?|hours?|days?)\)$`)
	atExpression   = regexp.MustCompile(`^at\((.*)\)$`)
	cronExpression = regexp.MustCompile(`^cron\((.*)\)$`)
)

// checkExpression checks an EventBridge Scheduler expression.
// https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html
func checkExpression(expression string) error {
	if rate := rateExpression.FindStringSubmatch(expression); rate != nil {
		value, err := strconv.Atoi(rate[1])
		if err != nil || value < 1 {
			return fmt.Errorf("the rate's value must be a positive whole number")
		}
		return nil
	}
	if at := atExpression.FindStringSubmatch(expression); at != nil {
		if _, err := time.Parse("2006-01-02T15:04:05", at[1]); err != nil {
			return fmt.Errorf("must be at(yyyy-mm-ddThh:mm:ss)")
		}
		return nil
	}
	if cron := cronExpression.FindStringSubmatch(expression); cron != nil {
		return checkCron(cron[1])
	}
	return fmt.Errorf("must be rate(value unit), cron(...) or at(yyyy-mm-ddThh:mm:ss)")
}

// cronField is one of the six fields of a cron expression.
type cronField struct {
	name        string
	least, most int
	// names stand for numbers, the first for least.
	names []string
	// special matches what only this field may hold.
	special *regexp.Regexp
}

func cronFields() []cronField {
	return []cronField{
		{name: "minutes", least: 0, most: 59},
		{name: "hours", least: 0, most: 23},
		{name: "day-of-month", least: 1, most: 31, special: regexp.MustCompile(`^(\?|L|LW|([1-9]|[12][0-9]|3[01])W)$`)},
		{name: "month", least: 1, most: 12, names: strings.Fields("JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC")},
		{name: "day-of-week", least: 1, most: 7, names: strings.Fields("SUN MON TUE WED THU FRI SAT"),
			special: regexp.MustCompile(`^(\?|L|([1-7]|SUN|MON|TUE|WED|THU|FRI|SAT)(L|#[1-5]))$`)},
		{name: "year", least: 1970, most: 2199},
	}
}

func checkCron(text string) error {
	given, fields := strings.Fields(text), cronFields()
	if len(given) != len(fields) {
		return fmt.Errorf("cron takes 6 fields (minutes hours day-of-month month day-of-week year), not %d", len(given))
	}
	for i, f := range fields {
		for part := range strings.SplitSeq(given[i], ",") {
			if !f.accepts(part) {
				return fmt.Errorf("cron: %q is no %s", part, f.name)
			}
		}
	}
	// AWS cannot tell a day of the month and one of the week apart: one must be ?
	if (given[2] == "?") == (given[4] == "?") {
		return fmt.Errorf("cron: either day-of-month or day-of-week must be ?, and not both")
	}
	return nil
}

// accepts a value, *, a range a-b, or one of these with a step /n.
func (f cronField) accepts(part string) bool {
	if f.special != nil && f.special.MatchString(part) {
		return true
	}
	base, step, stepped := strings.Cut(part, "/")
	if n, err := strconv.Atoi(step); stepped && (err != nil || n < 1) {
		return false
	}
	if base == "*" {
		return true
	}
	from, to, ranged := strings.Cut(base, "-")
	return f.number(from) && (!ranged || f.number(to))
}

func (f cronField) number(text string) bool {
	if slices.Contains(f.names, text) {
		return true
	}
	n, err := strconv.Atoi(text)
	return err == nil && n >= f.least && n <= f.most
}
