package e2e

import (
	"context"
	"strings"
	"time"

	"github.com/kamald/kamald/lab"
)

// engines are engines that answer no more, though their host does.
func engines() []disaster {
	return []disaster{
		{"frozen engine before", false, []int{1, 2}, func(f *fixture, version string) {
			thaw := f.freeze(f.host(2), "-x", "dockerd")
			r := f.must(1, "apply", "--version", version)
			thaw()
			f.says(r, f.host(2).Name, "Engine.", "no answer within", "nothing was changed", "--skip-unreachable")
		}},
		{"frozen engine in the middle", false, []int{1, 2}, func(f *fixture, version string) {
			p := f.begin("apply", "--version", version)
			p.hears("create shop-web-", 2)
			thaw := f.freeze(f.host(2), "-x", "dockerd")
			r := p.wait()
			thaw()
			if r.code != 1 {
				f.t.Errorf("exit code %d, want 1", r.code)
			}
			f.says(r, f.host(2).Name+": ", "no answer within", "left: ")
			f.stands(1, 3)
		}},
	}
}

// daemons are an sshd that ends or freezes with a connection of kamald's on it.
func daemons() []disaster {
	return []disaster{
		{"sshd restarted", true, []int{1, 2}, func(f *fixture, version string) {
			p := f.begin("apply", "--version", version)
			p.hears("create shop-web-", 1)
			// All of it, as where its service is stopped with all its processes and started again, which takes the port once it is free.
			f.exec(f.host(2), "sh", "-c", "pkill -9 -x sshd; for n in $(seq 100); do /usr/sbin/sshd -E /var/log/lab-sshd.log && exit; sleep 0.05; done; exit 1")
			f.endedWell(p.wait(), f.host(2))
		}},
		{"frozen connection", true, []int{1, 2}, func(f *fixture, version string) {
			p := f.begin("apply", "--version", version)
			p.hears("create shop-web-", 2)
			thaw := f.freeze(f.host(2), "-f", "^sshd: root")
			r := p.wait()
			thaw()
			f.endedWell(r, f.host(2))
		}},
	}
}

// freeze stops processes of a host by SIGSTOP: which, as pkill is told. They go on with what it gives, or with the test's end.
func (f *fixture) freeze(h *lab.Host, which ...string) (thaw func()) {
	f.t.Helper()
	f.exec(h, append([]string{"pkill", "-STOP"}, which...)...)
	thawed := false
	thaw = func() {
		if thawed {
			return
		}
		thawed = true
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute) // the test's own has ended
		defer cancel()
		// The connection may be gone by then, and its process with it.
		if _, err := h.Exec(ctx, "sh", "-c", "pkill -CONT \"$@\" || true", "-", which[0], which[1]); err != nil {
			f.t.Errorf("%s: what was stopped may not go on: %v", h.Name, err)
		}
	}
	f.t.Cleanup(thaw)
	return thaw
}

// says wants all texts in what was printed.
func (f *fixture) says(r result, texts ...string) {
	f.t.Helper()
	for _, text := range texts {
		if !strings.Contains(r.all(), text) {
			f.t.Errorf("the message does not say %q", text)
		}
	}
}

// endedWell wants a release to have come through, or to have failed by a host that it names.
func (f *fixture) endedWell(r result, h *lab.Host) {
	f.t.Helper()
	switch r.code {
	case 0:
	case 1:
		f.says(r, "kamald: "+h.Name+": ")
	default:
		f.t.Errorf("exit code %d, want 0 or 1", r.code)
	}
}

// stands wants no lock on hosts whose release has failed, and on each one running container of the app.
func (f *fixture) stands(hosts ...int) {
	f.t.Helper()
	standing := f.standing()
	for _, n := range hosts {
		running := 0
		for _, line := range standing[n-1] {
			switch fields := strings.Fields(line); {
			case len(fields) != 3:
				f.t.Errorf("%s: a lock is left: %s", f.host(n).Name, line)
			case fields[2] == "running":
				running++
			case fields[2] != "exited":
				f.t.Errorf("%s: half-made: %s", f.host(n).Name, line)
			}
		}
		if running != 1 {
			f.t.Errorf("%s runs %d containers, want 1: %q", f.host(n).Name, running, standing[n-1])
		}
	}
}

// filters put a rule before all others of a host's own network for what comes to its sshd.
func (f *fixture) filter(h *lab.Host, rule ...string) (lift func()) {
	f.t.Helper()
	put := append([]string{"iptables", "-w", "-I", "INPUT", "-i", "eth0", "-p", "tcp", "--dport", "22"}, rule...)
	f.exec(h, put...)
	lifted := false
	lift = func() {
		if lifted {
			return
		}
		lifted = true
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute) // the test's own has ended
		defer cancel()
		put[2] = "-D"
		if _, err := h.Exec(ctx, put...); err != nil {
			f.t.Errorf("%s: the link stays cut: %v", h.Name, err)
		}
	}
	f.t.Cleanup(lift)
	return lift
}

// cuts are links that end in the middle: nothing answers, or everything is refused.
func cuts() []disaster {
	return []disaster{
		{"link to sshd is a black hole", false, []int{1, 2}, func(f *fixture, version string) {
			p := f.begin("apply", "--version", version)
			p.hears("create shop-web-", 2)
			lift := f.filter(f.host(2), "-j", "DROP")
			r := p.wait()
			lift()
			f.endedWell(r, f.host(2))
			f.stands(1, 3)
		}},
		{"host cut off and back", false, []int{1}, func(f *fixture, version string) {
			p := f.begin("apply", "--version", version)
			p.hears("prove shop-web-", 1)
			if err := f.host(2).Cut(f.t.Context()); err != nil {
				f.t.Fatal(err)
			}
			r := p.wait()
			if err := f.host(2).Heal(f.t.Context()); err != nil {
				f.t.Fatal(err)
			}
			f.endedWell(r, f.host(2))
			f.stands(1, 3)
		}},
		{"link to sshd refused", true, []int{1, 2}, func(f *fixture, version string) {
			p := f.begin("apply", "--version", version)
			p.hears("create shop-web-", 1)
			lift := f.filter(f.host(2), "-j", "REJECT", "--reject-with", "tcp-reset")
			r := p.wait()
			lift()
			f.endedWell(r, f.host(2))
			f.stands(1, 3)
		}},
	}
}
