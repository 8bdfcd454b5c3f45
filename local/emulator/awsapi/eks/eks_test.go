package eks_test

import (
	"context"
	"encoding/base64"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awseks "github.com/aws/aws-sdk-go-v2/service/eks"

	"github.com/crossapply/crossapply/local/emulator/awsapi/awsapitest"
	"github.com/crossapply/crossapply/local/emulator/awsapi/eks"
	"github.com/crossapply/crossapply/local/emulator/awsapi/iam"
)

func TestDescribeCluster(t *testing.T) {
	s := awsapitest.Start(t)
	ctx := context.Background()
	out, err := awseks.NewFromConfig(awsapitest.ConfigOf(s, awsapitest.Guest())).DescribeCluster(ctx, &awseks.DescribeClusterInput{Name: aws.String("payments")})
	if err != nil {
		t.Fatal(err)
	}
	c := out.Cluster
	if *c.Arn != "arn:aws:eks:eu-west-1:111111111111:cluster/payments" || *c.Endpoint != "https://127.0.0.1:6443" ||
		c.Status != "ACTIVE" || *c.Version != "1.34" || c.Tags["env"] != "prod" || c.AccessConfig.AuthenticationMode != "API" || c.CreatedAt.IsZero() {
		t.Errorf("cluster %+v", c)
	}
	if got := *c.CertificateAuthority.Data; got != base64.StdEncoding.EncodeToString([]byte("PEM")) {
		t.Errorf("CA data %q", got)
	}
}

func TestClusterBeforeItIsActive(t *testing.T) {
	s := awsapitest.Start(t)
	ctx := context.Background()
	client := awseks.NewFromConfig(awsapitest.ConfigOf(s, awsapitest.Outsider()))
	in := &awseks.DescribeClusterInput{Name: aws.String("young")}
	out, err := client.DescribeCluster(ctx, in)
	if err != nil {
		t.Fatal(err)
	}
	if out.Cluster.Status != "CREATING" || out.Cluster.Endpoint != nil || out.Cluster.CertificateAuthority != nil {
		t.Errorf("a cluster in creation: %+v", out.Cluster)
	}
	s.EKS.Put(eks.Cluster{Account: awsapitest.Target, Region: awsapitest.Region, Name: "young", Endpoint: "https://127.0.0.1:1", CA: []byte("PEM")})
	if out, err = client.DescribeCluster(ctx, in); err != nil || *out.Cluster.Endpoint != "https://127.0.0.1:1" {
		t.Errorf("after its creation: %+v, %v", out, err)
	}
	s.EKS.Delete(*out.Cluster.Arn)
	_, err = client.DescribeCluster(ctx, in)
	awsapitest.CheckCode(t, err, "ResourceNotFoundException", 404)
}

func TestEKSRefusals(t *testing.T) {
	s := awsapitest.Start(t)
	ctx := context.Background()
	limited := awseks.NewFromConfig(awsapitest.ConfigOf(s, awsapitest.Guest()))
	_, err := limited.DescribeCluster(ctx, &awseks.DescribeClusterInput{Name: aws.String("orders")})
	awsapitest.CheckCode(t, err, "AccessDeniedException", 403)
	_, err = limited.ListClusters(ctx, nil)
	awsapitest.CheckCode(t, err, "AccessDeniedException", 403)
	_, err = awseks.NewFromConfig(awsapitest.ConfigOf(s, awsapitest.Admin())).DescribeCluster(ctx, &awseks.DescribeClusterInput{Name: aws.String("orders")})
	awsapitest.CheckCode(t, err, "ResourceNotFoundException", 404) // it is in the other account
	_, err = awseks.NewFromConfig(awsapitest.ConfigOf(s, awsapitest.Admin())).ListAddons(ctx, &awseks.ListAddonsInput{ClusterName: aws.String("payments")})
	awsapitest.CheckCode(t, err, "UnknownOperationException", 404)

	elsewhere := awsapitest.ConfigOf(s, awsapitest.Admin())
	elsewhere.Region = "us-east-1"
	_, err = awseks.NewFromConfig(elsewhere).DescribeCluster(ctx, &awseks.DescribeClusterInput{Name: aws.String("payments")})
	awsapitest.CheckCode(t, err, "ResourceNotFoundException", 404)

	wrong := awsapitest.Admin()
	wrong.SecretAccessKey = "guess"
	_, err = awseks.NewFromConfig(awsapitest.ConfigOf(s, wrong)).ListClusters(ctx, nil)
	awsapitest.CheckCode(t, err, "InvalidSignatureException", 403)
}

func TestListClustersInPages(t *testing.T) {
	s := awsapitest.Start(t)
	for _, name := range []string{"a", "b", "c", "d"} {
		s.EKS.Put(eks.Cluster{Account: awsapitest.Hub, Region: awsapitest.Region, Name: name})
	}
	client := awseks.NewFromConfig(awsapitest.ConfigOf(s, awsapitest.Admin()))
	pages := awseks.NewListClustersPaginator(client, &awseks.ListClustersInput{MaxResults: aws.Int32(2)})
	var names []string
	count := 0
	for ; pages.HasMorePages(); count++ {
		page, err := pages.NextPage(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, page.Clusters...)
	}
	if want := []string{"a", "b", "c", "d", "payments"}; !slices.Equal(names, want) || count != 3 {
		t.Errorf("clusters %v in %d pages", names, count)
	}
}

// Clients wait and try again.
func TestThrottledRequests(t *testing.T) {
	s := awsapitest.Start(t)
	refused := 0
	s.EKS.SetThrottle(func(by iam.Origin, operation string) bool {
		if by.Caller.Account != awsapitest.Hub || by.Region != awsapitest.Region || operation != "ListClusters" || refused == 2 {
			return false
		}
		refused++
		return true
	})
	once := awseks.NewFromConfig(awsapitest.ConfigOf(s, awsapitest.Admin()))
	_, err := once.ListClusters(t.Context(), nil)
	awsapitest.CheckCode(t, err, "TooManyRequestsException", 429)
	if _, err := once.DescribeCluster(t.Context(), &awseks.DescribeClusterInput{Name: aws.String("payments")}); err != nil {
		t.Error(err)
	}
	patient := awseks.NewFromConfig(s.UserConfig(awsapitest.Admin(), awsapitest.Region))
	if out, err := patient.ListClusters(t.Context(), nil); err != nil || len(out.Clusters) != 1 || refused != 2 {
		t.Errorf("clusters %v, %v, after %d refusals", out, err, refused)
	}
}

// A cluster whose ConfigMap alone says who may come in knows no access entries.
func TestAuthenticationMode(t *testing.T) {
	s := awsapitest.Start(t)
	s.EKS.Put(eks.Cluster{Account: awsapitest.Hub, Region: awsapitest.Region, Name: "old", AuthenticationMode: "CONFIG_MAP"})
	out, err := awseks.NewFromConfig(awsapitest.ConfigOf(s, awsapitest.Admin())).DescribeCluster(t.Context(), &awseks.DescribeClusterInput{Name: aws.String("old")})
	if err != nil || out.Cluster.AccessConfig.AuthenticationMode != "CONFIG_MAP" {
		t.Errorf("%+v, %v", out, err)
	}
}
