package world

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/crossapply/crossapply/local/emulator/cluster"
)

// KubeconfigPath is where a world that is kept running leaves its kubeconfig.
func KubeconfigPath() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find a place for the kubeconfig: %w", err)
	}
	return filepath.Join(cache, "crossapply", "kubeconfig"), nil
}

// WriteKubeconfig writes a kubeconfig for all clusters, whose tokens come from
// `aws eks get-token` with the keys of each account's engineer.
func (w *World) WriteKubeconfig(path string) error {
	keys := func(c *cluster.Cluster) map[string]string {
		user := engineer(w.Deployment.Partition(), c.Account)
		return map[string]string{
			"AWS_ACCESS_KEY_ID": user.AccessKeyID, "AWS_SECRET_ACCESS_KEY": user.SecretAccessKey, "AWS_SESSION_TOKEN": "",
		}
	}
	if err := clientcmd.WriteToFile(*cluster.Kubeconfig(w.control.Clusters(), keys), path); err != nil {
		return fmt.Errorf("write the kubeconfig: %w", err)
	}
	return nil
}

// Guide returns the command lines with which a person uses such a world, of at least
// one cluster, from the AWS CLI and kubectl.
func (w *World) Guide(endpoint, kubeconfig string) string {
	partition := w.Deployment.Partition()
	hub := engineer(partition, w.Deployment.Account)
	execution := strings.Replace(w.StateMachineARN, ":stateMachine:", ":execution:", 1) + ":first"
	var text strings.Builder
	fmt.Fprintf(&text, `
export AWS_ENDPOINT_URL=%s
export AWS_REGION=%[2]s AWS_DEFAULT_REGION=%[2]s AWS_PAGER=
export AWS_ACCESS_KEY_ID=%[3]s AWS_SECRET_ACCESS_KEY=%[4]s
export KUBECONFIG=%[5]s

aws stepfunctions start-execution --state-machine-arn %[6]s \
  --name first --input file://examples/rollout.json    # a name serves once
sleep 10                                               # the stand-in operator takes three for each wave
aws stepfunctions describe-execution --execution-arn %[7]s
aws s3 cp s3://%[8]s/reports/$(date -u +%%F)/first.json -
make stop EXECUTION=%[7]s BUCKET=%[8]s      # of one that runs: no other target starts
make report EXECUTION=%[7]s    # of one that was stopped the hard way
make approve MACHINE=%[6]s    # which executions wait for an approval
aws stepfunctions start-execution --state-machine-arn %[6]s \
  --input '{"rollback": {"execution": "%[7]s"}}'    # what the first did is taken back

# The clusters have the tag env, prod or stage, for selectors: docs/fleets.md.
`, endpoint, w.Deployment.Region, hub.AccessKeyID, hub.SecretAccessKey, kubeconfig, w.StateMachineARN, execution, w.Deployment.Bucket)
	text.WriteString("\n# Each cluster's tokens come from `aws eks get-token`, with the keys of its own account, as KUBECONFIG has it.\n")
	for _, c := range w.clusters {
		fmt.Fprintf(&text, "kubectl --context %s --namespace %s get topics --show-managed-fields -o yaml\n", c.Target, Namespace)
	}
	first := w.clusters[0]
	owner := engineer(partition, first.Account)
	fmt.Fprintf(&text, "\n# By hand (the token must name the real STS, so the endpoint above must not count):\n"+
		"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=true AWS_ACCESS_KEY_ID=%s AWS_SECRET_ACCESS_KEY=%s \\\n  aws eks get-token --cluster-name %s --region %s\n",
		owner.AccessKeyID, owner.SecretAccessKey, first.Cluster, first.Region)
	return text.String()
}
