package partition_test

import (
	"testing"

	"github.com/crossapply/crossapply/local/emulator/partition"
)

func TestOf(t *testing.T) {
	for region, want := range map[string]partition.Partition{
		"eu-west-1":      {Name: "aws", Domain: "amazonaws.com", Global: "us-east-1"},
		"us-east-1":      {Name: "aws", Domain: "amazonaws.com", Global: "us-east-1"},
		"cn-northwest-1": {Name: "aws-cn", Domain: "amazonaws.com.cn", Global: "cn-northwest-1"},
		"us-gov-west-1":  {Name: "aws-us-gov", Domain: "amazonaws.com", Global: "us-gov-west-1"},
	} {
		if got := partition.Of(region); got != want {
			t.Errorf("%s lies in %+v, want %+v", region, got, want)
		}
	}
}
