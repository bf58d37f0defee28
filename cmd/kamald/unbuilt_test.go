package main

import (
	"strings"
	"testing"

	"github.com/kamald/kamald/release"
)

// What the vocabulary has and this build does not do is refused by its name and place: leaving it out would release something else.
// deploy.hcl has nothing of the kind now.
func TestWhatIsNotBuiltIsRefusedByNameAndPlace(t *testing.T) {
	desired := release.Release{Unbuilt: []release.Unbuilt{
		{What: `accessory "redis".moved`, Where: "deploy.hcl:12", When: "plan"},
		{What: "later", Where: "deploy.hcl:14", When: "run"},
	}}
	err := refuseUnbuilt(desired)
	if err == nil || !strings.Contains(err.Error(), `deploy.hcl:12: accessory "redis".moved`) || !strings.Contains(err.Error(), "does not do yet") ||
		!strings.Contains(err.Error(), "next: ") || strings.Contains(err.Error(), "later") {
		t.Errorf("it says %v", err)
	}
	if err := refuseUnbuilt(release.Release{}); err != nil {
		t.Errorf("of a release that asks for nothing of the kind it says %v", err)
	}
}
