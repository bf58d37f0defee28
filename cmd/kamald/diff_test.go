package main

import (
	"slices"
	"testing"

	"github.com/kamald/kamald/release"
)

func TestADiffHasOnlyWhatDiffers(t *testing.T) {
	got := differences([]release.Setting{{Path: "a", Value: "1"}, {Path: "b", Value: "2"}, {Path: "c", Value: "3"}},
		[]release.Setting{{Path: "b", Value: "2"}, {Path: "c", Value: "4"}, {Path: "d", Value: "5"}})
	if want := []change{{"a", "1", ""}, {"c", "3", "4"}, {"d", "", "5"}}; !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
}
