package request

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/crossapply/crossapply/shared/contract"
)

func parseIdempotencyKey(key *string, path *field.Path) (string, field.ErrorList) {
	switch {
	case key == nil:
		return "", nil
	case *key == "":
		return "", field.ErrorList{field.Required(path, "leave it out, or give it a value")}
	case len(*key) > contract.MaxIdempotencyKey:
		return "", field.ErrorList{field.TooLong(path, "", contract.MaxIdempotencyKey)}
	}
	return *key, nil
}

// incidental are the fields that do not belong to what a request asks for: two
// starts of one request by different executions differ in them.
var incidental = []string{"idempotencyKey", "AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID"}

// Hash identifies what a request asks for. It is taken of the request as it was
// given, so that a later version with other defaults or more fields finds the
// same: of its canonical JSON, in which white space, the order of fields and the
// way to write a number make no difference.
func Hash(raw json.RawMessage) (string, error) {
	var fields map[string]any
	if err := json.Unmarshal(raw, &fields); err != nil {
		return "", fmt.Errorf("hash the request: %w", err)
	}
	for _, name := range incidental {
		delete(fields, name)
	}
	canonical, err := json.Marshal(fields) // sorts the fields
	if err != nil {
		return "", fmt.Errorf("hash the request: %w", err)
	}
	sum := sha256.Sum256(canonical)
	return hex.EncodeToString(sum[:]), nil
}
