package e2e

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/kamald/kamald/lab"
)

// later runs a command on a host with the test's end.
func (f *fixture) later(h *lab.Host, argv ...string) {
	f.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute) // the test's own has ended
		defer cancel()
		if _, err := h.Exec(ctx, argv...); err != nil {
			f.t.Errorf("%s: %v", h.Name, err)
		}
	})
}

// lies is all that a release would change on a host: containers, images, networks, and kamald's files with their times. Images that
// were made at one time come in any order.
func (f *fixture) lies(h *lab.Host) string {
	f.t.Helper()
	return f.exec(h, "sh", "-c", "docker ps -a --no-trunc --format '{{.ID}} {{.Names}} {{.State}}'; docker images -a --no-trunc -q | sort; docker network ls -q; find /root/.kamal /home/deploy/.kamal -printf '%p %T@\n' 2>/dev/null; true")
}

// TestPreflight: three servers with five different troubles, all named in one plan; nothing is changed, and with the troubles gone nothing is said.
func TestPreflight(t *testing.T) {
	f := newFixture(t)
	one, two, three := f.host(1), f.host(2), f.host(3)
	f.deploy(settings{})
	f.image("v1", nil)

	other, err := one.Load(t.Context(), lab.AppImage{Repository: "acme/other", Version: "v1"}, f.lab.Registry.Server)
	if err != nil {
		t.Fatal(err)
	}
	f.exec(one, "docker", "run", "-d", "--name", "other", "-p", "127.0.0.1:80:3000", other)

	stop := []string{"sh", "-c", "test ! -e /run/sshd-443.pid || kill $(cat /run/sshd-443.pid)"}
	f.later(two, stop...)
	f.exec(two, "/usr/sbin/sshd", "-p", "443", "-o", "PidFile=/run/sshd-443.pid")
	shut := []string{"sh", "-c", "while iptables -D OUTPUT -p tcp --dport 5000 -j REJECT --reject-with tcp-reset 2>/dev/null; do :; done"}
	f.later(two, shut...)
	f.exec(two, "iptables", "-I", "OUTPUT", "-p", "tcp", "--dport", "5000", "-j", "REJECT", "--reject-with", "tcp-reset")

	f.smallEngine(three, "96m")
	f.fill(three, "/var/lib/docker")

	var before []string
	for i := range f.lab.Hosts {
		before = append(before, f.lies(&f.lab.Hosts[i]))
	}
	for _, command := range []string{"plan", "apply"} {
		r := f.must(1, command, "--version", "v1")
		at := -1
		for _, want := range []string{
			"port 80/tcp, which the proxy publishes, is held there by the container other", "port 443/tcp, which the proxy publishes, is held there by a process",
			"the image " + f.lab.Registry.Server + "/acme/shop:v1 has no room"} {
			i := strings.Index(r.all(), want)
			if i < at {
				t.Errorf("%s: %q is not there, or not in its place", command, want)
			}
			at = i
		}
		f.says(r, "connection refused", one.Name, two.Name, three.Name, "/var/lib/docker")
		if n := strings.Count(r.all(), "connection refused"); n != 1 {
			t.Errorf("%s: the registry is out of reach for %d servers, and is for one", command, n)
		}
	}
	for i := range f.lab.Hosts {
		if after := f.lies(&f.lab.Hosts[i]); after != before[i] {
			t.Errorf("%s was changed:\n%s\nwas\n%s", f.lab.Hosts[i].Name, after, before[i])
		}
	}

	f.exec(one, "docker", "rm", "-f", "other")
	f.exec(two, stop...)
	f.exec(two, shut...)
	f.empty(three, "/var/lib/docker")
	f.must(2, "plan", "--version", "v1", "--detailed-exitcode") // nothing is in the way any more
}
