package e2e

import (
	"slices"
	"strings"
	"sync"
)

// standing is what stands on each of the three hosts, by the hosts' own word: a line for each container of the app (its ID, its
// name, its state), and one for each deploy lock.
func (f *fixture) standing() [3][]string {
	f.t.Helper()
	var (
		all   sync.WaitGroup
		found [3][]string
		errs  [3]error
	)
	for i := range f.lab.Hosts {
		all.Go(func() {
			var out string
			out, errs[i] = f.lab.Hosts[i].Exec(f.t.Context(), "sh", "-c",
				"docker ps -a --no-trunc --filter label=service=shop --format '{{.ID}} {{.Names}} {{.State}}' && ls -d /root/.kamal/lock-* 2>/dev/null || true")
			found[i] = slices.Sorted(strings.Lines(out))
		})
	}
	all.Wait()
	for i, err := range errs {
		if err != nil {
			f.t.Fatalf("%s: %v", f.lab.Hosts[i].Name, err)
		}
	}
	return found
}

// whole wants all hosts to run one version and nothing else, with no lock and nothing half-made.
func (f *fixture) whole(version string) {
	f.t.Helper()
	for i, lines := range f.standing() {
		want, name := "shop-web-"+version, f.lab.Hosts[i].Name
		if i == 2 {
			want = "shop-workers-" + version
		}
		running := 0
		for _, line := range lines {
			fields := strings.Fields(line)
			switch {
			case len(fields) != 3:
				f.t.Errorf("%s: a lock is left: %s", name, line)
			case fields[2] == "running" && fields[1] == want:
				running++
			case fields[2] != "exited":
				f.t.Errorf("%s: it is to run %s, and has %s", name, want, line)
			case strings.Contains(fields[1], "_replaced_"):
				f.t.Errorf("%s: half-made: %s", name, line)
			}
		}
		if running != 1 {
			f.t.Errorf("%s does not run %s: %q", name, want, lines)
		}
	}
	f.wantLatest(version)
}
