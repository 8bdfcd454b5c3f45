package cluster

import (
	"maps"
	"slices"

	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// Kubeconfig returns a kubeconfig for clusters, with a context account/region/name
// for each, the first one being the current. Tokens come from
// "aws eks get-token", as in the file that "aws eks update-kubeconfig" writes.
// Save it with client-go's clientcmd.WriteToFile.
//
// env gives the variables that choose the AWS identity for a cluster, such as
// AWS_PROFILE or AWS_ACCESS_KEY_ID with its secret; nil leaves that to the
// environment of kubectl.
func Kubeconfig(clusters []*Cluster, env func(*Cluster) map[string]string) *clientcmdapi.Config {
	config := clientcmdapi.NewConfig()
	for _, c := range clusters {
		id, variables := c.ID(), map[string]string{}
		if env != nil {
			maps.Copy(variables, env(c))
		}
		config.Clusters[id] = &clientcmdapi.Cluster{Server: c.Endpoint(), CertificateAuthorityData: c.CAData}
		config.AuthInfos[id] = &clientcmdapi.AuthInfo{Exec: tokenCommand(c.Spec, variables)}
		config.Contexts[id] = &clientcmdapi.Context{Cluster: id, AuthInfo: id}
	}
	if len(clusters) > 0 {
		config.CurrentContext = clusters[0].ID()
	}
	return config
}

func tokenCommand(spec Spec, variables map[string]string) *clientcmdapi.ExecConfig {
	// A token is a presigned request to the real regional STS. An AWS_ENDPOINT_URL
	// that points the CLI at a local world would put the local address into the token,
	// and the cluster would refuse it. Making a token needs no network.
	variables["AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"] = "true"
	variables["AWS_STS_REGIONAL_ENDPOINTS"] = "regional" // as every current CLI does by itself
	exec := &clientcmdapi.ExecConfig{
		APIVersion:      "client.authentication.k8s.io/v1beta1", // what aws eks get-token answers with
		Command:         "aws",
		Args:            []string{"eks", "get-token", "--cluster-name", spec.Name, "--region", spec.Region, "--output", "json"},
		InteractiveMode: clientcmdapi.NeverExecInteractiveMode,
		InstallHint:     "Tokens for this cluster are made by the AWS CLI: https://aws.amazon.com/cli/",
	}
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		exec.Env = append(exec.Env, clientcmdapi.ExecEnvVar{Name: name, Value: variables[name]})
	}
	return exec
}
