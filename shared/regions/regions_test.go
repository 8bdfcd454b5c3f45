package regions

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The list is the SDK's. With a newer SDK this fails until its new Regions are
// lines here.
func TestListIsTheSDKs(t *testing.T) {
	dir, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/aws/aws-sdk-go-v2").Output()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "internal/endpoints/awsrulesfn/partitions.json"))
	if err != nil {
		t.Fatal(err)
	}
	var sdk struct {
		Partitions []struct {
			ID          string
			RegionRegex string
			Regions     map[string]any
		}
	}
	if err := json.Unmarshal(text, &sdk); err != nil {
		t.Fatal(err)
	}
	if len(sdk.Partitions) != len(partitions) {
		t.Errorf("the SDK has %d partitions, the list %d", len(sdk.Partitions), len(partitions))
	}
	for _, want := range sdk.Partitions {
		i := slices.IndexFunc(partitions, func(p partition) bool { return p.name == want.ID })
		if i < 0 {
			t.Errorf("the list lacks the partition %s", want.ID)
			continue
		}
		got := partitions[i]
		if got.pattern.String() != want.RegionRegex {
			t.Errorf("%s: the pattern is %s, the SDK's %s", want.ID, got.pattern, want.RegionRegex)
		}
		// Beside its Regions, a partition has an endpoint of the name aws-global or the like.
		names := slices.DeleteFunc(slices.Sorted(maps.Keys(want.Regions)), func(name string) bool { return !got.pattern.MatchString(name) })
		if !slices.Equal(got.regions, names) {
			t.Errorf("%s: the Regions are %q, the SDK's %q", want.ID, got.regions, names)
		}
	}
}

// A Region lies in the partition that lists it, and in no other.
func TestPartition(t *testing.T) {
	for _, p := range partitions {
		for _, region := range p.regions {
			if got := Partition(region); got != p.name || !Known(region) {
				t.Errorf("%s lies in %s, known %t", region, got, Known(region))
			}
		}
	}
	for name, want := range map[string]string{
		"eu-west-99": "aws", "us-gov-south-1": "aws-us-gov", "us-isob-south-1": "aws-iso-b",
		"": "", "aws-global": "", "eu-west": "", "evil.example.com/#": "", "eu-west-1.example.com": "", "eu-west-1\n": "",
	} {
		if got := Partition(name); got != want || Known(name) {
			t.Errorf("%q would lie in %q, want %q; known %t", name, got, want, Known(name))
		}
	}
}

func TestRefuse(t *testing.T) {
	const (
		none   = "no such AWS Region: the configuration's additionalRegions can allow one that is new"
		others = "no such AWS Region: did you mean "
	)
	scope := Scope{Partition: "aws", Additional: []string{"eu-moon-1"}}
	for name, want := range map[string]string{
		"eu-west-1": "",
		"eu-moon-1": "",
		"eu-mars-1": none,
		"frankfurt": none,
		"eu-west1":  others + "eu-west-1?",
		"eu-wets-1": others + "eu-west-1?",
		"EU-WEST-1": others + "eu-west-1?",
		"eu-west-9": others + "eu-west-1, eu-west-2, eu-west-3?",
		// An endpoint's name, and one that would end in a host name.
		"aws-global":                   none,
		"eu-west-1.evil.example.com/#": none,
		"cn-north-1":                   "lies in partition aws-cn, but a workflow in aws can assume roles in its own only",
	} {
		if got := scope.Refuse(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
	if got := (Scope{}).Refuse("cn-north-1"); got != "" {
		t.Errorf("in any partition: %q", got)
	}
}
