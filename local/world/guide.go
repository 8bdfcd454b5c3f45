package world

import (
	"fmt"
	"path/filepath"
	"strings"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/crossapply/crossapply/local/cluster"
)

// Guide writes a kubeconfig and returns the command lines with which a person
// uses the world from the AWS CLI and kubectl.
func (w *World) Guide() (string, error) {
	kubeconfig := filepath.Join(w.dir, "kubeconfig")
	keys := func(c *cluster.Cluster) map[string]string {
		user := engineer(c.Account)
		return map[string]string{
			"AWS_ACCESS_KEY_ID": user.AccessKeyID, "AWS_SECRET_ACCESS_KEY": user.SecretAccessKey, "AWS_SESSION_TOKEN": "",
		}
	}
	if err := clientcmd.WriteToFile(*cluster.Kubeconfig(w.control.Clusters(), keys), kubeconfig); err != nil {
		return "", fmt.Errorf("write the kubeconfig: %w", err)
	}
	hub := engineer(HubAccount)
	var text strings.Builder
	fmt.Fprintf(&text, `
The world is running. In another terminal:

export AWS_ENDPOINT_URL=%s
export AWS_REGION=%s AWS_ACCESS_KEY_ID=%s AWS_SECRET_ACCESS_KEY=%s
export AWS_PAGER= KUBECONFIG=%s

aws stepfunctions start-execution --state-machine-arn %s \
  --name first --input file://examples/rollout.json
aws stepfunctions describe-execution --execution-arn %s:first
aws s3 cp s3://%s/runs/first/report.json -
`, w.AWS.URL(), HubRegion, hub.AccessKeyID, hub.SecretAccessKey, kubeconfig, w.StateMachineARN,
		strings.Replace(w.StateMachineARN, ":stateMachine:", ":execution:", 1), Bucket)
	for _, c := range w.control.Clusters() {
		fmt.Fprintf(&text, "kubectl --context %s --namespace %s get topics --show-managed-fields -o yaml\n", c.ID(), Namespace)
	}
	text.WriteString("\nThe clusters' tokens come from `aws eks get-token`, as on EKS. Ctrl-C ends it all.\n")
	return text.String(), nil
}
