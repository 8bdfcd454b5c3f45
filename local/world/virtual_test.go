package world_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"

	"github.com/crossapply/crossapply/local/world"
	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
)

// virtualFleet shares one API server.
func virtualFleet() *world.Fleet {
	return &world.Fleet{Servers: 1, Accounts: 2, Clusters: 2, Tags: func(target contract.Target) map[string]string {
		return map[string]string{"account": target.Account}
	}}
}

// Virtual clusters are to a rollout what others are: what is in one of them is not
// in the next.
func TestVirtualClusters(t *testing.T) {
	t.Parallel()
	targets := shared.FleetTargets()
	if len(targets) != 4 {
		t.Fatalf("the fleet is %v", targets)
	}
	taken := targets[2]
	if _, err := virtualTopics(t, taken).Apply(t.Context(), "virtual", object("virtual", 1), metav1.ApplyOptions{FieldManager: stranger}); err != nil {
		t.Fatal(err)
	}
	answer, results := rollout(t, topic{name: "virtual", partitions: 3, targets: targets, maxFailures: "1"})
	if answer.Counts[contract.OutcomeReady] != 3 || results[taken].Error != string(fault.Conflict) {
		t.Errorf("%v, %s", answer.Counts, says(results[taken]))
	}
	for _, target := range targets {
		got, err := virtualTopics(t, target).Get(t.Context(), "virtual", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		want := int64(3)
		if target == taken {
			want = 1
		}
		if partitions := got.Object["spec"].(map[string]any)["partitions"]; partitions != want || got.GetNamespace() != world.Namespace {
			t.Errorf("%s has %v partitions in %s, want %d", target, partitions, got.GetNamespace(), want)
		}
	}
}

func TestVirtualClustersHaveTags(t *testing.T) {
	target := shared.FleetTargets()[3]
	api := eks.NewFromConfig(shared.EngineerOf(target.Account), func(o *eks.Options) { o.Region = target.Region })
	out, err := api.DescribeCluster(t.Context(), &eks.DescribeClusterInput{Name: aws.String(target.Cluster)})
	if err != nil {
		t.Fatal(err)
	}
	if got := out.Cluster.Tags["account"]; got != target.Account {
		t.Errorf("tag account = %q, want %s", got, target.Account)
	}
}

func virtualTopics(t *testing.T, target contract.Target) dynamic.ResourceInterface {
	t.Helper()
	client, err := dynamic.NewForConfig(shared.FleetCluster(target).AdminConfig())
	if err != nil {
		t.Fatal(err)
	}
	return client.Resource(topicResource).Namespace(world.Namespace)
}
