package cluster

import (
	"errors"
	"fmt"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	"sigs.k8s.io/aws-iam-authenticator/pkg/arn"
	"sigs.k8s.io/aws-iam-authenticator/pkg/token"
)

// clusterAdminGroup stands for the access policy AmazonEKSClusterAdminPolicy. On
// EKS that policy is evaluated by an authorizer of EKS's own; here its holder joins
// the group that Kubernetes lets do everything.
const clusterAdminGroup = "system:masters"

// AccessEntry lets an IAM principal into one cluster, as EKS's access entry of type
// STANDARD does. A principal without one is refused with 401.
// https://docs.aws.amazon.com/eks/latest/userguide/access-entries.html
type AccessEntry struct {
	// PrincipalARN is the ARN of an IAM role (not of its sessions) or user. A role's
	// ARN may hold a path.
	PrincipalARN string
	// Groups are the Kubernetes groups that RBAC bindings name.
	Groups []string
	// ClusterAdmin stands for the access policy AmazonEKSClusterAdminPolicy.
	ClusterAdmin bool
}

// errNoAccessEntry is returned when a valid identity has no access entry.
var errNoAccessEntry = errors.New("no access entry")

// identify maps a verified identity to the Kubernetes user that EKS would make of it.
func identify(id *token.Identity, entries []AccessEntry) (authenticationv1.UserInfo, error) {
	entry, err := entryFor(id.CanonicalARN, entries)
	if err != nil {
		return authenticationv1.UserInfo{}, err
	}
	groups := append([]string{}, entry.Groups...)
	if entry.ClusterAdmin {
		groups = append(groups, clusterAdminGroup)
	}
	return authenticationv1.UserInfo{
		Username: username(id),
		UID:      "aws-iam-authenticator:" + id.AccountID + ":" + id.UserID,
		Groups:   groups,
		Extra: map[string]authenticationv1.ExtraValue{
			"accessKeyId":  {id.AccessKeyID},
			"arn":          {id.ARN},
			"canonicalArn": {id.CanonicalARN},
			"principalId":  {id.UserID},
			"sessionName":  {id.SessionName},
		},
	}, nil
}

// entryFor compares without the role's path: the ARN that STS gives for a session
// has lost it.
func entryFor(canonicalARN string, entries []AccessEntry) (AccessEntry, error) {
	for _, entry := range entries {
		principal, err := arn.StripPath(entry.PrincipalARN)
		if err != nil {
			return AccessEntry{}, fmt.Errorf("access entry: %w", err)
		}
		if strings.EqualFold(principal, canonicalARN) {
			return entry, nil
		}
	}
	return AccessEntry{}, fmt.Errorf("%w for %s", errNoAccessEntry, canonicalARN)
}

// username is EKS's default: a user's ARN as it is, and for a role
// arn:aws:sts::<account>:assumed-role/<role>/{{SessionName}}, where SessionName has
// each @ replaced by a dash.
// https://docs.aws.amazon.com/eks/latest/userguide/set-custom-username.html
func username(id *token.Identity) string {
	if id.SessionName == "" {
		return id.CanonicalARN
	}
	return strings.TrimSuffix(id.ARN, id.SessionName) + strings.ReplaceAll(id.SessionName, "@", "-")
}
