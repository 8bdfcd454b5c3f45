package journal_test

import (
	"context"
	"encoding/json"
	"reflect"
	"testing"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/journal"
)

// bucket is a run bucket in memory.
type bucket map[string][]byte

func (b bucket) GetJSON(_ context.Context, key string, value any) error {
	return json.Unmarshal(b[key], value)
}

func (b bucket) PutJSON(_ context.Context, key string, value any) (err error) {
	b[key], err = json.Marshal(value)
	return err
}

func (b bucket) PutJSONOnce(ctx context.Context, key string, value any) (bool, error) {
	if _, there := b[key]; there {
		return false, nil
	}
	return true, b.PutJSON(ctx, key, value)
}

// Of several attempts the first notes what was there. What an earlier one did holds
// until the next has noted its own, but for that it changed nothing: whoever reads
// it meanwhile must not take that for the last word.
func TestAttempts(t *testing.T) {
	ctx, run := t.Context(), contract.Run{Prefix: "runs/nightly/"}
	target := contract.Target{Account: "111111111111", Region: "eu-west-1", Cluster: "payments"}
	first := journal.Object{"metadata": map[string]any{"generation": int64(1) << 53}}
	for _, test := range []struct {
		did   contract.Change
		holds bool
	}{{contract.Configured, true}, {contract.Unchanged, true}, {contract.ChangeNone, false}} {
		b := bucket{}
		entry, err := journal.Begin(ctx, b, run, target, first)
		if err != nil || entry.After != nil {
			t.Fatalf("the first attempt: %+v, %v", entry, err)
		}
		entry.After = &journal.After{Applied: contract.Applied{Change: test.did}}
		if err := journal.End(ctx, b, run, target, entry); err != nil {
			t.Fatal(err)
		}
		if _, err := journal.Begin(ctx, b, run, target, journal.Object{}); err != nil {
			t.Fatal(err)
		}
		got, err := journal.Read(ctx, b, run, target)
		if err != nil || !reflect.DeepEqual(got.Before, first) || (got.After != nil) != test.holds {
			t.Errorf("%s: the second attempt finds %+v, %v", test.did, got, err)
		}
	}
}
