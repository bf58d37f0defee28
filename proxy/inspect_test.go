package proxy

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestInspectSaysEverythingOfAService(t *testing.T) {
	p := newProgram(t)
	_, end := p.serve()
	defer end()
	p.fails("service not found", "inspect", "my/app")
	target, reader, canary := backend(t, says("x")), backend(t, says("x")), backend(t, says("x"))
	p.succeeds("deploy", "my/app", "--target="+target, "--read-target="+reader, "--host=app.test", "--fence=4",
		"--balance=least-connections", "--health-check-interval=10ms", "--target-timeout=7s", "--drain-timeout=3s")
	p.succeeds("rollout", "deploy", "my/app", "--target="+canary, "--fence=5")
	p.succeeds("rollout", "set", "my/app", "--percent=10", "--list=a,b", "--header=X-A=b, c", "--by=address")
	p.succeeds("stop", "my/app", "--message=later")
	var i Inspection
	eventually(t, "the checks go on", func() bool {
		i = Inspection{}
		if err := json.Unmarshal([]byte(p.succeeds("inspect", "my/app")), &i); err != nil {
			t.Fatal(err)
		}
		return i.Targets[0].LastProbe != nil && i.Targets[0].LastProbe.At.After(i.Targets[0].Since)
	})
	if i.Service != "my/app" || i.Balance != BalanceLeastConnections || i.Fence != 5 || i.Generation != 2 || i.DrainTimeout != 3*time.Second ||
		i.TargetOptions.ResponseTimeout != 7*time.Second || i.Gate.State != "stopped" || i.Gate.Message != "later" || len(i.Deploys) != 0 {
		t.Errorf("inspect says %+v", i)
	}
	if len(i.Targets) != 2 || i.Targets[0].Target != target || i.Targets[0].Reader || i.Targets[1].Target != reader || !i.Targets[1].Reader {
		t.Errorf("targets: %+v", i.Targets)
	}
	if ro := i.Rollout; ro == nil || ro.Targets[0].Target != canary || asJSON(t, ro.Split) != asJSON(t, Split{10, []string{"a", "b"}, []string{"X-A=b, c"}, "address", 0}) {
		t.Errorf("rollout: %+v", ro)
	}
	table := p.succeeds("list")
	if head, _, _ := strings.Cut(table, "\n"); strings.Join(strings.Fields(head), " ") != "Service Host Path Target State TLS Rollout" {
		t.Errorf("list begins with %s", head)
	}
	for _, want := range []string{target + "," + reader + " (reader)", canary + " (10% by address, 2 listed, X-A=b, c)"} {
		if !strings.Contains(table, want) {
			t.Errorf("list has no %q:\n%s", want, table)
		}
	}
	p.succeeds("rollout", "stop", "my/app")
	p.fails("yours is 4", "rollout", "stop", "my/app", "--fence=4")
	p.fails("rollout target not set", "rollout", "set", "my/app", "--percent=10")
}

func TestInspectShowsADeployThatWaitsAndWhy(t *testing.T) {
	f := startProxy(t)
	waiting, _ := sick(t, http.StatusServiceUnavailable, "booting")
	ended := make(chan error, 1)
	go func() { ended <- f.router.Deploy(t.Context(), deployRequest("app", waiting, "app.test")) }()
	eventually(t, "inspect shows the deploy", func() bool {
		i, err := f.router.Inspect("app")
		return err == nil && i.State == "deploying" && len(i.Deploys) == 1 && i.Deploys[0].Targets[0].LastProbe != nil &&
			strings.Contains(i.Deploys[0].Targets[0].LastProbe.Error, "booting")
	})
	if err := f.remove("app"); err != ErrServiceNotFound {
		t.Errorf("remove said %v", err)
	}
	if err := receive(t, "the deploy", ended); err == nil || !strings.Contains(err.Error(), "was removed while") {
		t.Errorf("the deploy said %v", err)
	}
}

func TestListGivesTheCauseOfWhatIsUnwell(t *testing.T) {
	p := newProgram(t)
	_, end := p.serve()
	defer end()
	gone := nobody(t)
	p.succeeds("deploy", "app", "--target="+gone, "--force", "--health-check-interval=10ms")
	eventually(t, "list has the cause", func() bool {
		table := p.succeeds("list")
		return strings.Contains(table, "Cause") && strings.Contains(table, gone+" (unhealthy)") && strings.Contains(table, "nothing listens on that port")
	})
}
