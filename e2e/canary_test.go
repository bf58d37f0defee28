package e2e

import (
	"strings"
	"testing"
	"time"
)

const tried = `rollout {
  canary {
    percent = 50
    hold    = "6s"
  }
}
`

// A version is tried on half of the traffic: one that does well is followed by the rest, and one whose pages are broken though it is
// healthy is taken back.
func TestACanaryUnderLoad(t *testing.T) {
	onlyLong(t)
	f := newFixture(t)
	f.deploy(settings{more: tried})
	f.image("v1", nil)
	f.image("v2", nil)
	f.image("v3", map[string]string{"APP_BROKEN": "true"})
	f.must(0, "apply", "--version", "v1")

	healthy := startLoad(t, 30, 3*time.Minute, f.host(1), f.host(2))
	began := time.Now()
	r := f.must(0, "apply", "--version", "v2")
	if took := time.Since(began); took < 6*time.Second || !strings.Contains(r.all(), "answers of v2 were 5xx") {
		t.Errorf("after %s:\n%s", took, r.all())
	}
	healthy.end(t)
	if healthy.versions["v1"] == 0 || healthy.versions["v2"] == 0 {
		t.Errorf("the versions that answered: %v", healthy.versions)
	}
	f.emptyTwice("v2")

	sick := startLoad(t, 30, 3*time.Minute, f.host(1), f.host(2))
	r = f.must(1, "apply", "--version", "v3")
	sick.stop()
	sick.done.Wait()
	if !strings.Contains(r.all(), "canary of web") || !strings.Contains(r.all(), "answers of v3 were 5xx") {
		t.Errorf("it says\n%s", r.all())
	}
	met, asked := sick.failed.Load(), sick.asked.Load()
	t.Logf("%d of %d requests met the broken version", met, asked)
	if met == 0 || 10*met >= 6*asked { // its share was half, and it ended early
		t.Errorf("%d of %d requests met the broken version: more than none, and less than 60 %% of them, was to", met, asked)
	}
	for n := range 2 {
		f.wantRunning(f.host(n+1), "shop-web-v2")
		if said := f.exec(f.host(n+1), "docker", "exec", "kamal-proxy", "kamal-proxy", "list", "--json"); strings.Contains(said, `"rollout":{`) || strings.Contains(said, `"rollout": {`) {
			t.Errorf("%s has a rollout still: %s", f.host(n+1).Name, said)
		}
	}
	after := startLoad(t, 20, 2*time.Second, f.host(1), f.host(2))
	after.done.Wait()
	after.end(t)
	f.emptyTwice("v2")
}
