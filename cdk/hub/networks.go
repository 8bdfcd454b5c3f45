package hub

import (
	"fmt"
	"strings"

	"github.com/crossapply/crossapply/cdk/config"
	"github.com/crossapply/crossapply/shared/deployment"
)

// variant is a function as it runs in one network.
type variant struct {
	deployment.Function
	// network is empty for the function that takes what no network takes.
	network string
	// vpc is nil outside any VPC.
	vpc *config.VPC
}

// variants returns the function, and after it those for the configured networks.
func (h *hubStack) variants(f deployment.Function) []variant {
	if !f.ReachesClusters {
		return []variant{{Function: f}}
	}
	all := []variant{{Function: f, vpc: h.config.VPC}}
	for _, network := range h.config.Networks {
		all = append(all, variant{Function: f, network: network.Name, vpc: &network.VPC})
	}
	return all
}

func (h *hubStack) allVariants() []variant {
	var all []variant
	for _, f := range deployment.Functions() {
		all = append(all, h.variants(f)...)
	}
	return all
}

// name is its name in AWS, but for the deployment's before it.
func (v variant) name() string { return v.suffixed(v.Name) }

// id is what the stack calls it.
func (v variant) id() string { return v.suffixed(v.Title()) }

func (v variant) suffixed(text string) string {
	if v.network == "" {
		return text
	}
	return text + "-" + v.network
}

// functionName is the FunctionName of the states that call a function: its ARN, or
// where there are networks an expression that picks it by the target. The input of
// a target's child execution has that target.
func (h *hubStack) functionName(f deployment.Function, arn func(variant) string) string {
	variants := h.variants(f)
	picked := "'" + arn(variants[0]) + "'"
	if len(variants) == 1 {
		return arn(variants[0])
	}
	// The first network that fits counts, so the last comes innermost.
	for i := len(variants) - 1; i > 0; i-- {
		picked = fmt.Sprintf("%s ? '%s' : %s", fits(h.config.Networks[i-1]), arn(variants[i]), picked)
	}
	return "{% (" + "$target := $states.context.Execution.Input.target; " + picked + ") %}"
}

func fits(network config.Network) string {
	var all []string
	for _, part := range []struct {
		of     string
		values []string
	}{{"account", network.Accounts}, {"region", network.Regions}} {
		if len(part.values) > 0 {
			all = append(all, fmt.Sprintf("$target.%s in ['%s']", part.of, strings.Join(part.values, "', '")))
		}
	}
	return strings.Join(all, " and ")
}
