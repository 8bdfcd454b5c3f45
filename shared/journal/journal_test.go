package journal_test

import (
	"context"
	"encoding/json"
	"reflect"
	"testing"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/journal"
	"github.com/crossapply/crossapply/shared/manifest"
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

// Of several attempts the first that can have changed something notes what was there.
// That an earlier one changed the target holds; that it did not holds only until the
// next begins, which may change it and die before it can say so, and finds what others
// have changed since.
func TestAttempts(t *testing.T) {
	ctx, key := t.Context(), "journal/0.json"
	before := manifest.Object{"metadata": map[string]any{"generation": int64(1) << 53}}
	for _, test := range []struct {
		did   contract.Change // empty: the attempt died
		holds bool
		first bool
	}{{"", false, false}, {contract.Created, true, false}, {contract.Configured, true, false}, {contract.Unchanged, false, true}, {contract.ChangeNone, false, true}} {
		b := bucket{}
		entry, first, err := journal.Begin(ctx, b, key, journal.Entry{Operation: "apply", Before: before})
		if err != nil || entry.After != nil || !first {
			t.Fatalf("the first attempt: %+v, %t, %v", entry, first, err)
		}
		if test.did != "" {
			entry.After = &journal.After{Applied: contract.Applied{Change: test.did}}
			if err := journal.End(ctx, b, key, entry); err != nil {
				t.Fatal(err)
			}
		}
		since, want := manifest.Object{"metadata": map[string]any{"generation": int64(7)}}, before
		if test.first {
			want = since
		}
		holds, first, err := journal.Begin(ctx, b, key, journal.Entry{Operation: "apply", Before: since})
		if err != nil || first != test.first {
			t.Errorf("after %q: the first that can have changed something: %t, %v", test.did, first, err)
		}
		got, err := journal.Read(ctx, b, key)
		if err != nil || !reflect.DeepEqual(got, holds) || !reflect.DeepEqual(got.Before, want) || (got.After != nil) != test.holds {
			t.Errorf("after %q: the second attempt finds %+v, %v", test.did, got, err)
		}
	}
}

// An attempt that changed no value, but took ownership, is one to take back.
func TestAttemptThatTookOwnership(t *testing.T) {
	ctx, key, b := t.Context(), "journal/0.json", bucket{}
	before, after := manifest.Object{"owner": "a"}, manifest.Object{"owner": "b"}
	entry := journal.Entry{Operation: "apply", Before: before, After: &journal.After{Applied: contract.Applied{Change: contract.Unchanged}, Object: after}}
	if err := journal.End(ctx, b, key, entry); err != nil {
		t.Fatal(err)
	}
	holds, first, err := journal.Begin(ctx, b, key, journal.Entry{Operation: "apply", Before: after})
	if err != nil || !first || !reflect.DeepEqual(holds.Before, before) || holds.After != nil {
		t.Errorf("%+v, %t, %v", holds, first, err)
	}
}

// Each resource has an entry of its own, and a rollback never writes over what it
// reads, which may be another execution's.
func TestKeys(t *testing.T) {
	run := contract.Run{Prefix: "runs/nightly/", Journal: "runs/evening/"}
	target := contract.Target{Account: "111111111111", Region: "eu-west-1", Cluster: "payments"}
	for want, got := range map[string]string{
		"runs/nightly/journal/111111111111/eu-west-1/payments/0.json":          journal.Key(run, contract.Phase{Kind: contract.PhaseWave}, target, 0),
		"runs/nightly/journal/rollback/111111111111/eu-west-1/payments/2.json": journal.Key(run, contract.Phase{Kind: contract.PhaseRollback}, target, 2),
		"runs/evening/journal/111111111111/eu-west-1/payments/2.json":          journal.EarlierKey(run, target, 2),
		"runs/nightly/journal/111111111111/eu-west-1/payments/1.json":          journal.EarlierKey(contract.Run{Prefix: run.Prefix}, target, 1),
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
