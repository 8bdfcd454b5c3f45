package organizations_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/organizations/types"

	"github.com/crossapply/crossapply/local/emulator/awsapi"
	"github.com/crossapply/crossapply/local/emulator/awsapi/awsapitest"
	"github.com/crossapply/crossapply/local/emulator/awsapi/iam"
	"github.com/crossapply/crossapply/local/emulator/awsapi/organizations"
)

const (
	prod   = "ou-ab12-11111111"
	nested = "ou-ab12-22222222"
)

// tree has the hub as its management account, seven accounts in prod, and one in the
// unit inside of it.
func tree() organizations.Organization {
	o := organizations.Organization{
		ID: "o-example123", Root: "r-ab12", Management: awsapitest.Hub,
		Units:    []organizations.Unit{{ID: prod, Name: "prod"}, {ID: nested, Name: "nested", Parent: prod}},
		Accounts: []organizations.Account{{ID: awsapitest.Hub, Name: "hub"}, {ID: awsapitest.Target, Parent: nested, Status: "SUSPENDED"}},
	}
	for i := range 7 {
		o.Accounts = append(o.Accounts, organizations.Account{ID: fmt.Sprintf("90000000000%d", i), Parent: prod})
	}
	return o
}

func start(t *testing.T, o organizations.Organization) *awsapi.Server {
	return awsapitest.Start(t, func(c *awsapi.Config) {
		c.Organizations = []organizations.Organization{o}
	})
}

func clientOf(s *awsapi.Server, u iam.User) *sdk.Client {
	return sdk.NewFromConfig(awsapitest.ConfigOf(s, u))
}

func TestTree(t *testing.T) {
	client := clientOf(start(t, tree()), awsapitest.Admin())
	roots, err := client.ListRoots(t.Context(), &sdk.ListRootsInput{})
	if err != nil || len(roots.Roots) != 1 || *roots.Roots[0].Id != "r-ab12" ||
		*roots.Roots[0].Arn != "arn:aws:organizations::111111111111:root/o-example123/r-ab12" {
		t.Fatalf("%+v, %v", roots, err)
	}
	for parent, want := range map[string]string{"r-ab12": prod, prod: nested, nested: ""} {
		units, err := client.ListOrganizationalUnitsForParent(t.Context(), &sdk.ListOrganizationalUnitsForParentInput{ParentId: &parent})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, u := range units.OrganizationalUnits {
			got = append(got, *u.Id)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("units of %s: %v, want %s", parent, got, want)
		}
	}
	accounts, err := client.ListAccountsForParent(t.Context(), &sdk.ListAccountsForParentInput{ParentId: aws.String(nested)})
	if err != nil || len(accounts.Accounts) != 1 {
		t.Fatalf("%+v, %v", accounts, err)
	}
	if a := accounts.Accounts[0]; *a.Id != awsapitest.Target || a.State != types.AccountStateSuspended || a.Status != types.AccountStatusSuspended {
		t.Errorf("account %+v", a)
	}
}

// An answer has fewer accounts than were asked for, and a token for the others.
func TestPages(t *testing.T) {
	client := clientOf(start(t, tree()), awsapitest.Admin())
	var ids []string
	count := 0
	all := sdk.NewListAccountsPaginator(client, &sdk.ListAccountsInput{MaxResults: aws.Int32(20)})
	for ; all.HasMorePages(); count++ {
		page, err := all.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range page.Accounts {
			ids = append(ids, *a.Id)
		}
	}
	if len(ids) != 9 || count != 2 || len(slices.Compact(slices.Sorted(slices.Values(ids)))) != 9 {
		t.Errorf("%v in %d pages", ids, count)
	}
	count = 0
	pages := sdk.NewListAccountsForParentPaginator(client, &sdk.ListAccountsForParentInput{ParentId: aws.String(prod), MaxResults: aws.Int32(3)})
	for ; pages.HasMorePages(); count++ {
		if _, err := pages.NextPage(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if count != 3 {
		t.Errorf("%d pages", count)
	}
}

func TestInputThatIsRefused(t *testing.T) {
	client := clientOf(start(t, tree()), awsapitest.Admin())
	for reason, in := range map[types.InvalidInputExceptionReason]*sdk.ListAccountsForParentInput{
		"INVALID_PATTERN":    {ParentId: aws.String("prod")},
		"INVALID_NEXT_TOKEN": {ParentId: aws.String(prod), NextToken: aws.String("page 2")},
		"MIN_VALUE_EXCEEDED": {ParentId: aws.String(prod), MaxResults: aws.Int32(0)},
		"MAX_VALUE_EXCEEDED": {ParentId: aws.String(prod), MaxResults: aws.Int32(21)},
	} {
		_, err := client.ListAccountsForParent(t.Context(), in)
		var invalid *types.InvalidInputException
		if !errors.As(err, &invalid) || invalid.Reason != reason {
			t.Errorf("want %s, got %v", reason, err)
		}
	}
	_, err := client.ListOrganizationalUnitsForParent(t.Context(), &sdk.ListOrganizationalUnitsForParentInput{ParentId: aws.String("ou-ab12-99999999")})
	awsapitest.CheckCode(t, err, "ParentNotFoundException", 400)
}

// Only the management account and delegated administrators may ask.
func TestWhoMayAsk(t *testing.T) {
	list := func(s *awsapi.Server, u iam.User) error {
		_, err := clientOf(s, u).ListAccounts(t.Context(), nil)
		return err
	}
	s := start(t, tree())
	awsapitest.CheckCode(t, list(s, awsapitest.Outsider()), "AccessDeniedException", 400)

	delegating := tree()
	delegating.Delegated = []string{awsapitest.Target}
	if err := s.Organizations.Put(delegating); err != nil {
		t.Fatal(err)
	}
	if err := list(s, awsapitest.Outsider()); err != nil {
		t.Error(err)
	}
	// Its policies name units, which lie in the management account.
	reader := awsapitest.Outsider()
	reader.Policies = []string{awsapitest.Allow("organizations:ListAccountsForParent", "arn:aws:organizations::111111111111:ou/o-example123/"+prod)}
	if err := s.IAM.PutUser(reader); err != nil {
		t.Fatal(err)
	}
	awsapitest.CheckCode(t, list(s, reader), "AccessDeniedException", 400)
	for parent, code := range map[string]string{prod: "", nested: "AccessDeniedException"} {
		_, err := clientOf(s, reader).ListAccountsForParent(t.Context(), &sdk.ListAccountsForParentInput{ParentId: &parent})
		if code != "" {
			awsapitest.CheckCode(t, err, code, 400)
		} else if err != nil {
			t.Error(err)
		}
	}
	awsapitest.CheckCode(t, list(awsapitest.Start(t), awsapitest.Admin()), "AWSOrganizationsNotInUseException", 400)
}

// Wherever a client is, the endpoint is in one Region of its partition.
func TestRegionOfTheEndpoint(t *testing.T) {
	admin := awsapitest.Admin()
	admin.Policies = []string{`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"organizations:*","Resource":"*",
		"Condition":{"StringEquals":{"aws:RequestedRegion":"us-east-1"}}}}`}
	s := start(t, tree())
	if err := s.IAM.PutUser(admin); err != nil {
		t.Fatal(err)
	}
	if _, err := clientOf(s, admin).ListRoots(t.Context(), nil); err != nil {
		t.Error(err)
	}
}

func TestTreesThatCannotBe(t *testing.T) {
	s := awsapitest.Start(t)
	for want, change := range map[string]func(*organizations.Organization){
		"is not the id of a root":       func(o *organizations.Organization) { o.Root = "root" },
		"is not the id of a unit":       func(o *organizations.Organization) { o.Units[0].ID = "prod" },
		"not among the units before it": func(o *organizations.Organization) { slices.Reverse(o.Units) },
		"does not exist":                func(o *organizations.Organization) { o.Accounts[1].Parent = "ou-ab12-99999999" },
		"not among its accounts":        func(o *organizations.Organization) { o.Management = "999999999999" },
	} {
		o := tree()
		change(&o)
		if err := s.Organizations.Put(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}
