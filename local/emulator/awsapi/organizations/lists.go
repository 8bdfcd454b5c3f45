package organizations

import (
	"cmp"

	"github.com/crossapply/crossapply/local/emulator/awsapi/protocol"
)

type listInput struct {
	paging
}

type listForParentInput struct {
	paging
	ParentID string `json:"ParentId"`
}

// root is docs.aws.amazon.com/organizations/latest/APIReference/API_Root.html
type root struct {
	ID          string     `json:"Id"`
	ARN         string     `json:"Arn"`
	Name        string     `json:"Name"`
	PolicyTypes []struct{} `json:"PolicyTypes"` // none is enabled
}

type listRootsOutput struct {
	Roots     []root
	NextToken *string `json:",omitempty"`
}

func (s *Service) listRoots(r *protocol.Request, in *listInput) (*listRootsOutput, error) {
	o, err := s.ask(r, "")
	if err != nil {
		return nil, err
	}
	roots, next, err := page([]root{{ID: o.Root, ARN: o.parentARN(o.Root), Name: "Root", PolicyTypes: []struct{}{}}}, in.paging)
	return &listRootsOutput{Roots: roots, NextToken: next}, err
}

// unit is docs.aws.amazon.com/organizations/latest/APIReference/API_OrganizationalUnit.html
type unit struct {
	ID   string `json:"Id"`
	ARN  string `json:"Arn"`
	Name string `json:"Name"`
}

type listUnitsOutput struct {
	OrganizationalUnits []unit
	NextToken           *string `json:",omitempty"`
}

func (s *Service) listUnitsForParent(r *protocol.Request, in *listForParentInput) (*listUnitsOutput, error) {
	o, err := s.askAbout(r, in.ParentID)
	if err != nil {
		return nil, err
	}
	all := []unit{}
	for _, u := range o.Units {
		if o.parent(u.Parent) == in.ParentID {
			all = append(all, unit{ID: u.ID, ARN: o.arn("ou", u.ID), Name: u.Name})
		}
	}
	units, next, err := page(all, in.paging)
	return &listUnitsOutput{OrganizationalUnits: units, NextToken: next}, err
}

// account is docs.aws.amazon.com/organizations/latest/APIReference/API_Account.html.
// State has taken the place of Status, which older SDKs read.
type account struct {
	ID           string `json:"Id"`
	ARN          string `json:"Arn"`
	Name         string
	Email        string
	State        string
	Status       string
	JoinedMethod string
}

type listAccountsOutput struct {
	Accounts  []account
	NextToken *string `json:",omitempty"`
}

func (s *Service) listAccounts(r *protocol.Request, in *listInput) (*listAccountsOutput, error) {
	o, err := s.ask(r, "")
	if err != nil {
		return nil, err
	}
	return o.listAccounts(in.paging, func(Account) bool { return true })
}

func (s *Service) listAccountsForParent(r *protocol.Request, in *listForParentInput) (*listAccountsOutput, error) {
	o, err := s.askAbout(r, in.ParentID)
	if err != nil {
		return nil, err
	}
	return o.listAccounts(in.paging, func(a Account) bool { return o.parent(a.Parent) == in.ParentID })
}

func (o Organization) listAccounts(p paging, belongs func(Account) bool) (*listAccountsOutput, error) {
	all := []account{}
	for _, a := range o.Accounts {
		if belongs(a) {
			status := cmp.Or(a.Status, "ACTIVE")
			all = append(all, account{
				ID: a.ID, ARN: o.arn("account", a.ID), Name: cmp.Or(a.Name, a.ID), Email: a.ID + "@example.com",
				State: status, Status: status, JoinedMethod: "CREATED",
			})
		}
	}
	accounts, next, err := page(all, p)
	return &listAccountsOutput{Accounts: accounts, NextToken: next}, err
}
