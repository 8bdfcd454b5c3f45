package main

import (
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/manifest"
)

// checkOverrides makes the effective objects of the targets, one for all targets that
// have the same overrides, and refuses an override that makes another object of a
// resource, or one that is too large.
func checkOverrides(bundle manifest.Bundle, targets []contract.PlannedTarget) field.ErrorList {
	var problems field.ErrorList
	checked := map[string]bool{}
	for _, target := range targets {
		key := fmt.Sprint(target.Overrides)
		if len(target.Overrides) == 0 || checked[key] {
			continue
		}
		checked[key] = true
		for i := range bundle.Resources {
			last := lastOf(bundle, i, target.Overrides)
			if last < 0 {
				continue
			}
			if why := refuseEffective(bundle, i, target.Overrides); why != "" {
				problems = append(problems, field.Invalid(field.NewPath("overrides").Index(last).Child("patch"), field.OmitValueType{},
					fmt.Sprintf("on %s: %s", target.Target, why)))
			}
		}
	}
	return problems
}

// lastOf returns the last of some overrides that changes a resource, or -1.
func lastOf(bundle manifest.Bundle, resource int, overrides []int) int {
	last := -1
	for _, o := range overrides {
		if bundle.Overrides[o].Resource == resource {
			last = o
		}
	}
	return last
}

// refuseEffective says why a resource with some overrides cannot be worked on.
func refuseEffective(bundle manifest.Bundle, resource int, overrides []int) (why string) {
	effective, err := bundle.Effective(resource, overrides)
	if err != nil {
		return err.Error()
	}
	if identity(effective) != identity(bundle.Resources[resource]) {
		return "makes another object of the resource"
	}
	text, err := json.Marshal(effective)
	if err != nil {
		return err.Error()
	}
	if len(text) > contract.MaxResourceBytes {
		return fmt.Sprintf("makes %d bytes of JSON of the resource: at most %d are accepted", len(text), contract.MaxResourceBytes)
	}
	return ""
}

// identity is what names an object.
func identity(object manifest.Object) contract.ResourceRef {
	u := unstructured.Unstructured{Object: object}
	return contract.ResourceRef{APIVersion: u.GetAPIVersion(), Kind: u.GetKind(), Namespace: u.GetNamespace(), Name: u.GetName()}
}
