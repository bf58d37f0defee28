package e2e

import (
	"encoding/json"
	"strings"
	"testing"
)

// What is wrong on one server, here and before the servers is named with what to do about it; nothing is changed, and once all is
// well the exit code says so.
func TestDoctor(t *testing.T) {
	f := newFixture(t)
	f.image("v1", nil)
	f.deploy(settings{root: "version = \"v1\""})
	f.must(0, "apply")
	f.emptyTwice("v1")
	well := f.must(0, "doctor", "--json")
	var report struct {
		Wrong, Warnings int
		Findings        []struct{ Where, What, Level, Said string }
	}
	if err := json.Unmarshal([]byte(well.stdout), &report); err != nil || report.Wrong != 0 || len(report.Findings) < 20 {
		t.Errorf("%v: %+v", err, report)
	}
	f.exec(f.host(1), "docker", "stop", "-t", "1", "kamal-proxy")
	f.exec(f.host(2), "mv", "/var/run/docker.sock", "/var/run/docker.sock.away")
	defer func() { // not at the test's end: its context has ended then, and the next test needs the engine
		f.exec(f.host(2), "mv", "/var/run/docker.sock.away", "/var/run/docker.sock")
	}()
	f.rewrite("deploy.hcl", strings.NewReplacer("app_port = 3000", "app_port = 3000\n  hosts = [\"nowhere.invalid\"]"))
	ill := f.must(1, "doctor")
	for _, want := range []string{
		f.host(1).Name + "\n", "kamal-proxy does not run", "`kamald proxy start --hosts " + f.host(1).Name + "`",
		"`kamald server bootstrap --hosts " + f.host(2).Name + "`",
		"name nowhere.invalid: it does not resolve", "make an A or AAAA record",
	} {
		if !strings.Contains(ill.stdout, want) {
			t.Errorf("it lacks %q", want)
		}
	}
	if strings.Contains(ill.all(), canary) {
		t.Error("it shows a secret")
	}
	if strings.Contains(ill.stdout, "it serves") {
		t.Error("what is behind a stopped proxy serves")
	}
	if got := f.exec(f.host(1), "docker", "ps", "-q", "--filter", "name=kamal-proxy"); strings.TrimSpace(got) != "" {
		t.Error("it has started the proxy")
	}
}
