package readiness

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/crossapply/crossapply/shared/contract"
)

type Rule struct{}

func New(expressions contract.ReadyExpressions, condition string, kind schema.GroupKind) (*Rule, error) {
	return &Rule{}, nil
}
func (r *Rule) String() string { return "" }
func (r *Rule) Judge(object *unstructured.Unstructured, generation int64, hasStatus bool) (Verdict, error) {
	return Verdict{}, nil
}
