// Package organizations serves what AWS Organizations tells about the tree of units and
// accounts: ListRoots, ListOrganizationalUnitsForParent, ListAccounts and
// ListAccountsForParent.
//
// Organizations is one endpoint for a partition, and SDKs sign for its Region
// whatever theirs is; with AWS_ENDPOINT_URL they sign for their own. So requests are
// answered in every Region, and IAM sees the Region of the endpoint.
//
// The API is described at docs.aws.amazon.com/organizations/latest/APIReference/.
package organizations
