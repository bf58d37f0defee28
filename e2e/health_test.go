package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kamald/kamald/lab"
)

// checked is a role on the workers host with a health check of its own.
func (f *fixture) checked(name, cmd, body string) string {
	return fmt.Sprintf("role %q {\n  hosts = [%q]\n  cmd = [\"app\", %q]\n%s\n}\n", name, f.host(3).Name, cmd, body)
}

// Every kind of health check proves a role: exec, http, tcp, log, and the engine's own.
func TestHealthChecks(t *testing.T) {
	f := newFixture(t)
	f.deploy(settings{workers: "  env {\n    clear = { APP_MODE = \"worker\" }\n  }", more: f.checked("by-exec", "web", "  health { exec = [\"app\", \"healthy\"] }") +
		f.checked("by-http", "web", "  health { http = \":3000/up\" }") +
		f.checked("by-tcp", "web", "  health {\n    tcp = 3000\n    min_healthy_time = \"300ms\"\n  }") +
		f.checked("by-log", "worker", "  health { log = \"^booting version\" }")})
	if _, err := f.lab.BuildApp(t.Context(), lab.AppImage{Repository: "acme/shop", Version: "v1", Health: true}); err != nil {
		t.Fatal(err)
	}
	f.must(0, "apply", "--version", "v1")
	f.wantRunning(f.host(3), "shop-by-exec-v1", "shop-by-http-v1", "shop-by-log-v1", "shop-by-tcp-v1", "shop-workers-v1")
	f.emptyTwice("v1")
}

// A check that fails says what it saw, and a container that the kernel kills says that.
func TestHealthFailuresNameTheirCause(t *testing.T) {
	onlyLong(t)
	f := newFixture(t)
	f.image("v1", nil)
	for _, c := range []struct{ role, says string }{
		{f.checked("checked", "web", "  health { exec = [\"app\", \"healthy\"] }\n  env {\n    clear = { APP_SICK = \"true\" }\n  }"), "app healthy ended with code 1"},
		{f.checked("checked", "web", "  health { tcp = 9999 }"), "TCP port 9999"},
		{f.checked("checked", "worker", "  health { log = \"never said\" }"), "never said"},
		{f.checked("checked", "worker", "  options = { memory = \"32m\" }\n  env {\n    clear = { APP_MEMORY = \"200\" }\n  }"), "out of memory"},
	} {
		f.deploy(settings{root: "", more: c.role})
		r := f.must(1, "apply", "--version", "v1")
		if !strings.Contains(r.all(), c.says) {
			t.Errorf("the message does not say %q", c.says)
		}
		for n := 1; n <= 3; n++ {
			f.wantRunning(f.host(n)) // the first deploy failed: nothing is left running
		}
	}
}

// Where sshd forwards nothing, the engine is reached by a command of its own and the proxy's check decides.
func TestForwardingRefused(t *testing.T) {
	f := newFixture(t)
	f.deploy(settings{})
	f.image("v1", nil)
	f.image("v2", nil)
	for i := range f.lab.Hosts {
		h := &f.lab.Hosts[i]
		f.exec(h, "sh", "-c", "cp /etc/ssh/sshd_config /etc/ssh/sshd_config.lab && (echo 'AllowTcpForwarding no'; cat /etc/ssh/sshd_config.lab) > /etc/ssh/sshd_config && pkill -HUP -x -o sshd")
		f.until(func() bool { return f.answers(t.Context(), h) })
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute) // the test's own has ended
			defer cancel()
			if _, err := h.Exec(ctx, "sh", "-c", "mv /etc/ssh/sshd_config.lab /etc/ssh/sshd_config && pkill -HUP -x -o sshd"); err != nil {
				t.Errorf("%s: sshd is left as the test made it: %v", h.Name, err)
			}
			f.until(func() bool { return f.answers(ctx, h) })
		})
	}
	f.must(0, "apply", "--version", "v1")
	f.must(0, "apply", "--version", "v2")
	f.must(0, "plan", "--version", "v2", "--detailed-exitcode")
	f.wantRunning(f.host(1), "shop-web-v2")
	f.wantLatest("v2")
}

// answers tells whether a host's sshd takes connections: for a moment after it reads its settings again it does not.
func (f *fixture) answers(ctx context.Context, h *lab.Host) bool {
	client, err := h.Dial(ctx, "root")
	if err != nil {
		return false
	}
	return client.Close() == nil
}
