package mapresults_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
	"github.com/crossapply/crossapply/shared/mapresults"
)

// bucket is a run bucket in memory.
type bucket map[string]string

func (b bucket) Open(_ context.Context, key string) (io.ReadCloser, error) {
	body, ok := b[key]
	if !ok {
		return nil, fault.New(fault.AWSError, "read %s: NoSuchKey", key)
	}
	return io.NopCloser(strings.NewReader(body)), nil
}

func (b bucket) put(key string, value any) {
	body, err := json.Marshal(value)
	if err != nil {
		panic(err) // what the tests make up can be written
	}
	b[key] = string(body)
}

const (
	prefix      = "runs/nightly/results/1"
	manifestKey = prefix + "/7f/manifest.json"
)

func file(name string) string { return prefix + "/7f/" + name + ".json" }

// whole is what a Map wrote about the targets c0, c1 and c2.
func whole() bucket {
	b := bucket{}
	b.put(file("SUCCEEDED_0"), []any{succeeded(0), succeeded(1)})
	b.put(file("FAILED_0"), []any{failed(2)})
	b.put(manifestKey, named("SUCCEEDED_0", "FAILED_0"))
	return b
}

// named is a manifest that names those files.
func named(files ...string) any {
	var keys []any
	for _, name := range files {
		keys = append(keys, map[string]any{"Key": file(name), "Size": 1})
	}
	return map[string]any{"DestinationBucket": "bucket", "ResultFiles": map[string]any{"SUCCEEDED": keys, "PENDING": []any{}}}
}

// read returns the names of the clusters that children are about, in the order of the
// visits.
func read(t *testing.T, b bucket) (clusters []string, written bool, lost []string) {
	t.Helper()
	written, lost, err := mapresults.Read(t.Context(), b, prefix, slices.Sorted(maps.Keys(b)), func(c mapresults.Child) {
		target, err := c.Target()
		if err != nil {
			clusters = append(clusters, err.Error())
			return
		}
		clusters = append(clusters, target.Cluster)
	})
	if err != nil {
		t.Fatal(err)
	}
	return clusters, written, lost
}

func TestRead(t *testing.T) {
	b := whole()
	b.put("runs/nightly/results/10/7f/SUCCEEDED_0.json", []any{succeeded(7)}) // of another phase
	b[prefix+"/7f/SUCCEEDED_0.txt"] = "no results"
	clusters, written, lost := read(t, b)
	if want := []string{"c2", "c0", "c1"}; !slices.Equal(clusters, want) || !written || len(lost) != 0 {
		t.Errorf("read %q, written %t, lost %q", clusters, written, lost)
	}
	if clusters, written, lost := read(t, bucket{}); len(clusters) != 0 || written || len(lost) != 0 {
		t.Errorf("of nothing: read %q, written %t, lost %q", clusters, written, lost)
	}
}

// A file that cannot be read to its end costs the rest of it.
func TestOddFiles(t *testing.T) {
	all := whole()[file("SUCCEEDED_0")]
	second := strings.LastIndex(all, `,{"`)
	if second < 0 {
		t.Fatal("the file has no second entry")
	}
	tests := []struct {
		name, body string
		want       []string
		says       string
	}{
		{"empty", "", []string{"c2"}, "is not a JSON array: EOF"},
		{"an object", "{}", []string{"c2"}, "is not a JSON array: it begins with {"},
		{"cut off in the second entry", all[:second+20], []string{"c2", "c0"}, "from entry 1 on: unexpected EOF"},
		{"cut off after the first entry", all[:second], []string{"c2", "c0"}, "at its end: "},
		{"something else after it", all[:second] + "] true, ]", []string{"c2", "c0"}, ""},
	}
	for _, test := range tests {
		b := whole()
		b[file("SUCCEEDED_0")] = test.body
		clusters, _, lost := read(t, b)
		if !slices.Equal(clusters, test.want) || (len(lost) == 0) != (test.says == "") || !strings.Contains(strings.Join(lost, "\n"), test.says) {
			t.Errorf("%s: read %q, lost %q", test.name, clusters, lost)
		}
	}
}

// A file that the manifest names is missed; a broken manifest hides none that is there.
func TestManifest(t *testing.T) {
	b := whole()
	b.put(manifestKey, named("SUCCEEDED_0", "FAILED_0", "PENDING_0"))
	if clusters, _, lost := read(t, b); len(clusters) != 3 || len(lost) != 1 || !strings.Contains(lost[0], file("PENDING_0")+": NoSuchKey") {
		t.Errorf("a file that is missing: read %q, lost %q", clusters, lost)
	}
	for _, broken := range []string{"", "[]", `{"ResultFiles": []}`, `{"ResultFiles": {"FAILED": [{"Key": 5}]}}`, `{}`} {
		b := whole()
		b[manifestKey] = broken
		if clusters, written, _ := read(t, b); len(clusters) != 3 || !written {
			t.Errorf("the manifest %s: read %q, written %t", broken, clusters, written)
		}
	}
}

// troubled is a bucket of which one object cannot be read to its end.
type troubled struct {
	bucket
	key string
	err error
}

func (s troubled) Open(ctx context.Context, key string) (io.ReadCloser, error) {
	if key == s.key {
		return io.NopCloser(io.MultiReader(strings.NewReader(`[{}`), broken{s.err})), nil
	}
	return s.bucket.Open(ctx, key)
}

type broken struct{ err error }

func (b broken) Read([]byte) (int, error) { return 0, b.err }

// What may pass is worth another try.
func TestTroubleReading(t *testing.T) {
	tests := []struct {
		key   string
		name  fault.Name
		fails bool
	}{
		{file("FAILED_0"), fault.AWSUnavailable, true},
		{manifestKey, fault.Throttled, true},
		{file("FAILED_0"), fault.AWSError, false},
		{manifestKey, fault.AWSError, false},
	}
	for _, test := range tests {
		store := troubled{whole(), test.key, fault.New(test.name, "no")}
		_, lost, err := mapresults.Read(t.Context(), store, prefix, slices.Sorted(maps.Keys(store.bucket)), func(mapresults.Child) {})
		if test.fails && fault.NameOf(err) != test.name || !test.fails && (err != nil || len(lost) != 1) {
			t.Errorf("%s of %s: lost %q, %v", test.name, test.key, lost, err)
		}
	}
}

// endless is a bucket with one file of many entries, which it makes up while it is read.
type endless struct{ entries int }

func (e endless) Open(context.Context, string) (io.ReadCloser, error) {
	r, w := io.Pipe()
	go func() {
		entry := fmt.Sprintf(`,{"Status": "SUCCEEDED", "Output": %q}`, strings.Repeat("x", 10<<10))
		_, err := io.WriteString(w, "[{}")
		for i := 0; i < e.entries && err == nil; i++ {
			_, err = io.WriteString(w, entry)
		}
		_, last := io.WriteString(w, "]")
		_ = w.CloseWithError(errors.Join(err, last)) // never fails
	}()
	return r, nil
}

// However many targets there are, one entry is in memory at a time.
func TestMemory(t *testing.T) {
	const entries, most = 2_000, 2 << 20
	heap := func() uint64 {
		runtime.GC()
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		return stats.HeapAlloc
	}
	visits, before, peak := 0, heap(), uint64(0)
	_, lost, err := mapresults.Read(t.Context(), endless{entries}, prefix, []string{file("SUCCEEDED_0")}, func(mapresults.Child) {
		if visits++; visits%500 == 0 {
			peak = max(peak, heap())
		}
	})
	if err != nil || len(lost) != 0 || visits != entries+1 {
		t.Fatalf("%d visits, lost %q, %v", visits, lost, err)
	}
	if peak > before+most {
		t.Errorf("20 MB of results take %d bytes", peak-before)
	}
}

func targetOf(i int) contract.Target {
	return contract.Target{Account: "111111111111", Region: "eu-west-1", Cluster: fmt.Sprintf("c%d", i)}
}
