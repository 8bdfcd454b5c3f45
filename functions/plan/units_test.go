package main

import (
	"context"
	"reflect"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/smithy-go"

	"github.com/crossapply/crossapply/shared/fault"
	"github.com/crossapply/crossapply/shared/selector"
)

func TestUnits(t *testing.T) {
	w := newWorld(t)
	below := []string{"222222222222", "333333333333"} // without the suspended one
	all := []string{"111111111111", "222222222222", "333333333333", hub}
	for _, test := range []struct {
		ids  []string
		want selector.Units
	}{
		{[]string{bottom}, selector.Units{bottom: below}},
		{[]string{middle}, selector.Units{middle: below}},
		{[]string{root, upper}, selector.Units{root: all, upper: all[:3]}},
	} {
		got, err := unitsOf(t.Context(), w.organization, test.ids)
		if err != nil || !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: %v, %v", test.ids, got, err)
		}
	}
	_, err := unitsOf(t.Context(), w.organization, []string{upper, "ou-ab12-99999999"})
	if fault.NameOf(err) != fault.OrganizationDenied || !strings.Contains(err.Error(), "list the accounts of ou-ab12-99999999: ParentNotFoundException") {
		t.Errorf("a unit that there is not: %v", err)
	}
}

// refusing is an organization that answers with an error.
type refusing struct {
	Organization
	code string
}

func (r refusing) ListAccountsForParent(context.Context, *organizations.ListAccountsForParentInput, ...func(*organizations.Options)) (*organizations.ListAccountsForParentOutput, error) {
	return nil, &smithy.GenericAPIError{Code: r.code, Message: "no"}
}

func TestUnitsRefused(t *testing.T) {
	for code, want := range map[string]fault.Name{
		"AccessDeniedException": fault.OrganizationDenied, "AWSOrganizationsNotInUseException": fault.OrganizationDenied,
		"TooManyRequestsException": fault.Throttled, "InvalidInputException": fault.AWSError,
	} {
		if _, err := unitsOf(t.Context(), refusing{code: code}, []string{root}); fault.NameOf(err) != want {
			t.Errorf("%s: %v", code, err)
		}
	}
}
