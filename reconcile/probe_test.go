package reconcile

import (
	"testing"
	"time"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

func TestAContainerHasToBeWellOnceItHadTheTimeOfAReleaseByItsHostsClock(t *testing.T) {
	now := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	desired := release.Release{DeployTimeout: 30 * time.Second}
	for name, test := range map[string]struct {
		status state.Status
		runs   time.Duration
		skew   time.Duration
		grown  bool
	}{
		"it has just started":                 {state.StatusRunning, 29 * time.Second, 0, false},
		"it had its time":                     {state.StatusRunning, 30 * time.Second, 0, true},
		"it is young where clocks are slow":   {state.StatusRunning, 10 * time.Second, -time.Hour, false},
		"it is grown where clocks are ahead":  {state.StatusRunning, time.Minute, time.Hour, true},
		"it is paused, and answers nobody":    {state.StatusPaused, time.Hour, 0, false},
		"it is about to be started once more": {state.StatusRestarting, time.Hour, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			host := state.Host{Engine: state.Engine{Clock: now.Add(test.skew)}}
			c := state.Container{Status: test.status, Started: now.Add(test.skew - test.runs)}
			if got := grown(c, host, desired, now); got != test.grown {
				t.Errorf("it is %v", got)
			}
		})
	}
}

func TestOnlyWhatCanBeAskedAgainIsAsked(t *testing.T) {
	for name, test := range map[string]struct {
		role release.Role
		asks bool
	}{
		"by the proxy's path":             {release.Role{Proxy: &release.Proxy{}}, true},
		"by its own command":              {release.Role{Health: &release.Health{Exec: []string{"check"}}}, true},
		"by a line that it logs once":     {release.Role{Proxy: &release.Proxy{}, Health: &release.Health{Log: "ready"}}, false},
		"by nothing, or Docker's own":     {release.Role{}, false},
		"by its own port, without proxy":  {release.Role{Health: &release.Health{TCP: 6379}}, true},
		"by its own path, before a proxy": {release.Role{Proxy: &release.Proxy{}, Health: &release.Health{HTTP: ":9000/up"}}, true},
	} {
		if asks(test.role) != test.asks {
			t.Errorf("%s: %v", name, !test.asks)
		}
	}
}

// What was found is for one run of a container: after a start it is another's.
func TestAMarkIsOfOneRunOfAContainer(t *testing.T) {
	now := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	c := state.Container{ID: "c1", Started: now}
	failing := map[string]string{lifeOf(c): "500"}
	seen := state.Snapshot{Hosts: []state.Host{{Name: "h1", Containers: []state.Container{c, {ID: "c1", Started: now.Add(time.Second)}}}}}
	after := marked(seen, failing)
	if after.Hosts[0].Containers[0].Failing != "500" || after.Hosts[0].Containers[1].Failing != "" || seen.Hosts[0].Containers[0].Failing != "" {
		t.Errorf("marked: %+v, given: %+v", after, seen)
	}
	if found := failingIn(after); len(found) != 1 || found[lifeOf(c)] != "500" {
		t.Errorf("found again: %v", found)
	}
}
