package release

import (
	"testing"
	"time"
)

func TestACanaryIsReadIntoTheRelease(t *testing.T) {
	without := load(t, in(least, ""))
	if without.Rollout.Canary != nil {
		t.Errorf("without the block the canary is %+v", *without.Rollout.Canary)
	}
	with := load(t, in(least+"rollout {\ncanary {\npercent = 10\nhold = \"10m\"\n}\n}\n", ""))
	if c := with.Rollout.Canary; c == nil || *c != (Canary{Percent: 10, Hold: 10 * time.Minute}) {
		t.Errorf("the canary is %+v", c)
	}
	longer := load(t, in(least+"rollout {\ncanary {\npercent = 10\nhold = \"11m\"\n}\n}\n", ""))
	larger := load(t, in(least+"rollout {\ncanary {\npercent = 11\nhold = \"10m\"\n}\n}\n", ""))
	digests := map[string]bool{Digest(without): true, Digest(with): true, Digest(longer): true, Digest(larger): true}
	if len(digests) != 4 {
		t.Errorf("4 releases have %d digests", len(digests))
	}
	if len(with.Unbuilt) != 0 {
		t.Errorf("refused: %v", with.Unbuilt)
	}
}
