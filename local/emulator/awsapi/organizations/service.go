package organizations

import (
	"encoding/base64"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/crossapply/crossapply/local/emulator/awsapi/iam"
	"github.com/crossapply/crossapply/local/emulator/awsapi/protocol"
	"github.com/crossapply/crossapply/local/emulator/partition"
)

// Service is the Organizations endpoint.
type Service struct {
	targets protocol.Targets

	mu            sync.RWMutex
	organizations map[string]Organization // by id
}

// New returns an endpoint without organizations.
func New() *Service {
	s := &Service{organizations: map[string]Organization{}}
	s.targets = protocol.Targets{
		Prefix: "AWSOrganizationsV20161128", Service: s.Name(), Version: "1.1",
		Handlers: map[string]protocol.Handler{
			"ListRoots":                        protocol.Handle(s.listRoots),
			"ListAccounts":                     protocol.Handle(s.listAccounts),
			"ListAccountsForParent":            protocol.Handle(s.listAccountsForParent),
			"ListOrganizationalUnitsForParent": protocol.Handle(s.listUnitsForParent),
		},
	}
	return s
}

// Name implements [protocol.Service].
func (s *Service) Name() string { return "organizations" }

// Protocol implements [protocol.Service].
func (s *Service) Protocol() protocol.Protocol { return protocol.JSON }

// Operation implements [protocol.Service].
func (s *Service) Operation(r *http.Request) protocol.Operation { return s.targets.Operation(r) }

// Put adds an organization or changes the one of the same id. It returns an error
// for one that AWS could not have.
func (s *Service) Put(o Organization) error {
	if err := o.check(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.organizations[o.ID] = o
	return nil
}

// ask finds the caller's organization, of which only some accounts may ask, and checks
// that IAM lets it ask about a resource: a parent, or "" for the whole.
// docs.aws.amazon.com/service-authorization/latest/reference/list_awsorganizations.html
func (s *Service) ask(r *protocol.Request, parent string) (Organization, error) {
	o, member := s.organizationOf(r.Caller.Account)
	resource := "*"
	if parent != "" && member {
		resource = o.parentARN(parent)
	}
	err := r.Authorize(iam.Request{
		Resource: resource,
		// A delegated administrator asks about what lies in the management account;
		// who that is, is not a matter of policies.
		ResourceAccount: r.Caller.Account,
		Conditions:      iam.Conditions{"aws:RequestedRegion": {partition.Of(r.Region).Global}},
	})
	switch {
	case err != nil:
		return o, err
	case !member:
		return o, protocol.Errorf(http.StatusBadRequest, "AWSOrganizationsNotInUseException", "Your account is not a member of an organization.")
	case r.Caller.Account != o.Management && !slices.Contains(o.Delegated, r.Caller.Account):
		return o, protocol.Errorf(http.StatusBadRequest, "AccessDeniedException", "You don't have permissions to access this resource.")
	}
	return o, nil
}

func (s *Service) organizationOf(account string) (Organization, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, o := range s.organizations {
		if o.has(account) {
			return o, true
		}
	}
	return Organization{}, false
}

// askAbout is ask about a parent, which must exist.
func (s *Service) askAbout(r *protocol.Request, parent string) (Organization, error) {
	if !rootPattern.MatchString(parent) && !unitPattern.MatchString(parent) {
		return Organization{}, invalid("INVALID_PATTERN", "You provided a value that does not match the required pattern.")
	}
	o, err := s.ask(r, parent)
	if err == nil && !o.hasParent(parent) {
		err = protocol.Errorf(http.StatusBadRequest, "ParentNotFoundException", "You specified a parent that doesn't exist.")
	}
	return o, err
}

func invalid(reason, format string, args ...any) error {
	err := protocol.Errorf(http.StatusBadRequest, "InvalidInputException", format, args...)
	err.Fields = map[string]string{"Reason": reason}
	return err
}

// pageSize is how many results an answer has at most. The API allows up to maxResults,
// and may always give fewer: clients must go on while there is a token.
const (
	pageSize   = 5
	maxResults = 20
)

// paging is what the operations' inputs have in common.
type paging struct {
	MaxResults *int
	NextToken  *string
}

// page cuts one page out of a list, and gives the next page's token.
func page[T any](all []T, p paging) ([]T, *string, error) {
	size, from := pageSize, 0
	if p.MaxResults != nil {
		switch n := *p.MaxResults; {
		case n < 1:
			return nil, nil, invalid("MIN_VALUE_EXCEEDED", "You specified an invalid value for MaxResults. You must specify a value from 1 to %d.", maxResults)
		case n > maxResults:
			return nil, nil, invalid("MAX_VALUE_EXCEEDED", "You specified an invalid value for MaxResults. You must specify a value from 1 to %d.", maxResults)
		default:
			size = min(size, n)
		}
	}
	if p.NextToken != nil {
		text, err := base64.StdEncoding.DecodeString(*p.NextToken)
		position, ok := strings.CutPrefix(string(text), "at ")
		n, conversion := strconv.Atoi(position)
		if err != nil || !ok || conversion != nil || n < 0 {
			return nil, nil, invalid("INVALID_NEXT_TOKEN", "You specified an invalid value for nextToken. You must specify the value returned by a previous call.")
		}
		from = min(n, len(all))
	}
	to := min(from+size, len(all))
	if to == len(all) {
		return all[from:], nil, nil
	}
	next := base64.StdEncoding.EncodeToString([]byte("at " + strconv.Itoa(to)))
	return all[from:to], &next, nil
}
