package iam

import (
	"cmp"
	"encoding/base32"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/crossapply/crossapply/local/emulator/partition"
)

// Account is an AWS account.
type Account struct {
	ID    string // twelve digits
	Alias string // for people; may be empty
	// Organization is the id of the organisation that it is in; may be empty.
	Organization string
	// Partition is the AWS partition that it lies in; "" means aws. What is in it
	// says the same one.
	Partition string
}

// User is an IAM user with one access key.
type User struct {
	Partition       string // its account's
	Account         string
	Name            string
	AccessKeyID     string
	SecretAccessKey string
	// Policies are identity policies, as JSON documents.
	Policies []string
}

// Role is an IAM role.
type Role struct {
	Partition string // its account's
	Account   string
	// Name may have a path in front, as in "teams/payments/reader".
	Name string
	// Trust is the trust policy, as a JSON document.
	Trust string
	// Policies are identity policies, as JSON documents.
	Policies []string
	// MaxSessionDuration limits AssumeRole; 0 means AWS's default of one hour.
	MaxSessionDuration time.Duration
}

// ARN returns the role's ARN.
func (r Role) ARN() string { return arn(r.Partition, "iam", r.Account, "role/"+r.Name) }

// ARN returns the user's ARN.
func (u User) ARN() string { return arn(u.Partition, "iam", u.Account, "user/"+u.Name) }

func arn(in, service, account, resource string) string {
	return fmt.Sprintf("arn:%s:%s::%s:%s", cmp.Or(in, partition.Commercial), service, account, resource)
}

// partitionOf returns the partition that an ARN names.
func partitionOf(arn string) string {
	named, _, _ := strings.Cut(strings.TrimPrefix(arn, "arn:"), ":")
	return named
}

// Directory is who exists, in all accounts. It is safe for concurrent use, and
// a change counts from the next request on, for sessions under way too.
type Directory struct {
	now    func() time.Time
	random io.Reader

	mu          sync.RWMutex
	accounts    map[string]Account
	users       map[string]user // by ARN
	roles       map[string]role // by ARN
	credentials map[string]Credential
}

type user struct {
	User
	policies []Document
}

type role struct {
	Role
	id       string
	trust    Document
	policies []Document
}

// Credential is a secret and who it stands for.
type Credential struct {
	AccessKeyID     string
	SecretAccessKey string
	// SessionToken is empty for a user's own access key.
	SessionToken string
	// Expires is zero for a user's own access key.
	Expires time.Time
	Caller  Caller
}

// NewDirectory returns an empty directory. Ids, secrets and tokens are made
// from random, which must be good for secrets (crypto/rand.Reader) outside tests.
func NewDirectory(now func() time.Time, random io.Reader) *Directory {
	return &Directory{
		now: now, random: random,
		accounts: map[string]Account{}, users: map[string]user{}, roles: map[string]role{},
		credentials: map[string]Credential{},
	}
}

var (
	accountPattern   = regexp.MustCompile(`^\d{12}$`)
	namePattern      = regexp.MustCompile(`^[\w+=,.@-]{1,64}$`)
	pathPattern      = regexp.MustCompile(`^([\w+=,.@-]+/)*$`)
	accessKeyPattern = regexp.MustCompile(`^\w{16,128}$`)
)

// AddAccount makes an account known.
func (d *Directory) AddAccount(a Account) error {
	if !accountPattern.MatchString(a.ID) {
		return fmt.Errorf("account %q: an id is twelve digits", a.ID)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.accounts[a.ID] = a
	return nil
}

// PutUser adds or replaces a user. It returns an error when the account is
// unknown, a name or key is malformed, or a policy is not understood whole.
func (d *Directory) PutUser(u User) error {
	policies, err := parseAll(u.Policies)
	if err != nil {
		return fmt.Errorf("user %s: %w", u.ARN(), err)
	}
	if !namePattern.MatchString(u.Name) {
		return fmt.Errorf("user %q: malformed name", u.Name)
	}
	if !accessKeyPattern.MatchString(u.AccessKeyID) || u.SecretAccessKey == "" {
		return fmt.Errorf("user %s: want an access key id of 16 to 128 letters and digits, and a secret", u.ARN())
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.checkPartition(u.Account, u.ARN(), policies...); err != nil {
		return fmt.Errorf("user %s: %w", u.ARN(), err)
	}
	if other, taken := d.credentials[u.AccessKeyID]; taken && other.Caller.ARN != u.ARN() {
		return fmt.Errorf("user %s: access key id is taken", u.ARN())
	}
	id, err := d.id("AIDA")
	if err != nil {
		return err
	}
	if old, ok := d.users[u.ARN()]; ok {
		id = d.credentials[old.AccessKeyID].Caller.UserID
		delete(d.credentials, old.AccessKeyID)
	}
	d.users[u.ARN()] = user{u, policies}
	d.credentials[u.AccessKeyID] = Credential{
		AccessKeyID: u.AccessKeyID, SecretAccessKey: u.SecretAccessKey,
		Caller: Caller{Account: u.Account, ARN: u.ARN(), UserID: id, Source: u.AccessKeyID, userName: u.Name},
	}
	return nil
}

// PutRole adds or replaces a role. It returns an error when the account is
// unknown, the name is malformed, or a policy is not understood whole.
func (d *Directory) PutRole(r Role) error {
	slash := strings.LastIndex(r.Name, "/") + 1
	if !pathPattern.MatchString(r.Name[:slash]) || !namePattern.MatchString(r.Name[slash:]) {
		return fmt.Errorf("role %q: malformed name", r.Name)
	}
	trust, err := ParseTrustPolicy(r.Trust)
	if err != nil {
		return fmt.Errorf("role %s: trust policy: %w", r.ARN(), err)
	}
	policies, err := parseAll(r.Policies)
	if err != nil {
		return fmt.Errorf("role %s: %w", r.ARN(), err)
	}
	if r.MaxSessionDuration == 0 {
		r.MaxSessionDuration = time.Hour
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.checkPartition(r.Account, r.ARN(), append(policies, trust)...); err != nil {
		return fmt.Errorf("role %s: %w", r.ARN(), err)
	}
	id, err := d.id("AROA")
	if err != nil {
		return err
	}
	if old, ok := d.roles[r.ARN()]; ok {
		id = old.id
	}
	d.roles[r.ARN()] = role{r, id, trust, policies}
	return nil
}

// checkPartition returns an error when the account of a user or role is unknown or
// lies in another partition than its ARN says or its policies name.
func (d *Directory) checkPartition(account, arn string, policies ...Document) error {
	a, ok := d.accounts[account]
	if !ok {
		return errors.New("unknown account")
	}
	its := cmp.Or(a.Partition, partition.Commercial)
	if partitionOf(arn) != its {
		return fmt.Errorf("its account lies in partition %s", its)
	}
	for _, policy := range policies {
		if err := policy.CheckPartition(its); err != nil {
			return err
		}
	}
	return nil
}

// DeleteRole removes a role; its sessions can do nothing from then on.
func (d *Directory) DeleteRole(arn string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.roles, arn)
}

// Credentials returns every credential there is or was, so that a test can look
// for secrets where none belong.
func (d *Directory) Credentials() []Credential {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return slices.Collect(maps.Values(d.credentials))
}

// Credential returns what belongs to an access key id, expired or not.
func (d *Directory) Credential(accessKeyID string) (Credential, bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	c, ok := d.credentials[accessKeyID]
	return c, ok
}

// RoleCaller returns the role itself as a caller, for questions such as what
// the role of a state machine may do.
func (d *Directory) RoleCaller(roleARN string) (Caller, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	r, ok := d.roles[roleARN]
	if !ok {
		return Caller{}, fmt.Errorf("role %s does not exist", roleARN)
	}
	return Caller{Account: r.Account, ARN: roleARN, RoleARN: roleARN, UserID: r.id}, nil
}

// identityPolicies looks the policies up at each request, so that a changed
// role counts at once.
func (d *Directory) identityPolicies(c Caller) []Document {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if c.RoleARN != "" {
		return d.roles[c.RoleARN].policies
	}
	return d.users[c.ARN].policies
}

func parseAll(documents []string) ([]Document, error) {
	var parsed []Document
	for i, document := range documents {
		p, err := ParseIdentityPolicy(document)
		if err != nil {
			return nil, fmt.Errorf("policy %d: %w", i, err)
		}
		parsed = append(parsed, p)
	}
	return parsed, nil
}

// id makes a unique id such as AROA..., sixteen characters after its prefix.
func (d *Directory) id(prefix string) (string, error) {
	b, err := d.bytes(10)
	return prefix + base32.StdEncoding.EncodeToString(b), err
}

func (d *Directory) bytes(n int) ([]byte, error) {
	b := make([]byte, n)
	if _, err := io.ReadFull(d.random, b); err != nil {
		return nil, fmt.Errorf("random bytes: %w", err)
	}
	return b, nil
}

func (d *Directory) secret(n int) (string, error) {
	b, err := d.bytes(n)
	return base64.StdEncoding.EncodeToString(b), err
}
