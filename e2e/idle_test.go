package e2e

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/kamald/kamald/lab"
)

// crowd is many servers on one lab host: an account each, with an SSH connection, a run directory and an app of its own.
type crowd struct {
	*fixture
	on    *lab.Host
	names []string
	files []string
}

// newCrowd makes so many accounts, and gives each app a running worker.
func newCrowd(f *fixture, accounts int) *crowd {
	c := &crowd{fixture: f, on: f.host(1)}
	f.t.Cleanup(func() { c.disband() })
	f.image("v1", nil)
	for n := range accounts {
		name := fmt.Sprintf("many%03d", n)
		c.names = append(c.names, name)
		f.exec(c.on, "useradd", "-m", "-p", "*", "-G", "docker", "-s", "/bin/sh", name)
		file := filepath.Join("apps", name, "deploy.hcl")
		c.files = append(c.files, file)
		f.write(file, fmt.Sprintf(`service = %q
image   = "acme/shop"
version = "v1"
readiness_delay = "100ms"
registry {
  server   = %q
  username = %q
  password = secret("REGISTRY_PASSWORD")
}
secrets {
  files = ["../../.kamald/secrets"]
}
ssh {
  user        = %q
  keys        = [%q]
  known_hosts = [%q]
  config      = false
}
host %q {
  address = %q
}
role "workers" {
  hosts = [%q]
  cmd   = ["app", "worker"]
  proxied = false
}
reconcile {
  mode     = "release"
  interval = "1m"
}
`, name, f.lab.Registry.Server, f.lab.Registry.Username, name, f.lab.KeyFile, f.lab.KnownHosts, name, c.on.Address, name), 0o600)
	}
	var all sync.WaitGroup
	slots := make(chan struct{}, 4)
	for i, file := range c.files {
		if i == 1 { // the first makes the network that all share
			all.Wait()
		}
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			if r := f.run("apply", "-c", file, "-q"); r.code != 0 {
				f.t.Errorf("%s: exit code %d", file, r.code)
			}
		})
	}
	all.Wait()
	if f.t.Failed() {
		f.t.FailNow()
	}
	return c
}

// disband removes the accounts. Their containers go with the next reset, or here: so many are in the way of whoever comes next.
func (c *crowd) disband() {
	if err := c.on.Reset(context.Background()); err != nil {
		c.t.Error(err)
	}
	for _, name := range c.names {
		_, _ = c.on.Exec(context.Background(), "pkill", "-KILL", "-u", name) // what sshd has begun for it
		if _, err := c.on.Exec(context.Background(), "userdel", "-r", name); err != nil {
			c.t.Logf("%s: %v", name, err)
		}
	}
}

// bastion writes the kamald.hcl that drives all of them, and gives where its metrics are.
func (c *crowd) bastion() (metrics string) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		c.t.Fatal(err)
	}
	address := free.Addr().String()
	_ = free.Close()
	text := fmt.Sprintf("metrics { listen = %q }\n", address)
	for i, name := range c.names {
		text += fmt.Sprintf("app %q {\n  source \"file\" { path = %q }\n  secrets { files = [%q] }\n}\n", name, filepath.Join(c.dir, c.files[i]), filepath.Join(c.dir, ".kamald/secrets"))
	}
	c.write("kamald.hcl", text, 0o600)
	return "http://" + address + "/metrics"
}

// figures are what a process says of itself.
func figures(t *testing.T, url string) map[string]float64 {
	t.Helper()
	response, err := (&http.Client{Timeout: 10 * time.Second}).Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	found := map[string]float64{}
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), " ")
		if number, err := strconv.ParseFloat(value, 64); err == nil && name != "#" {
			found[name] = number
		}
	}
	return found
}

// TestADaemonHoldsManyConnections: what connections that are idle cost a daemon. The bounds are far above what was measured: they are
// for what grows with the hosts and should not; right after a look a host has some channels more.
func TestADaemonHoldsManyConnections(t *testing.T) {
	accounts, idle := 5, 10*time.Second
	if long() {
		accounts, idle = 100, 2*time.Minute
	}
	c := newCrowd(newFixture(t), accounts)
	url := c.bastion()
	p := c.begin("run", "-f", filepath.Join(c.dir, "kamald.hcl"))
	p.hears("kamald runs", 1)
	looked := func() float64 {
		n := 0.0
		for name, value := range figures(t, url) {
			if strings.HasPrefix(name, "kamald_rounds_total") && strings.Contains(name, `outcome="done"`) {
				n += min(value, 1)
			}
		}
		return n
	}
	c.eventually("every app was looked at", func() bool { return looked() >= float64(accounts) })
	time.Sleep(5 * time.Second) // what a first look has left behind is gone
	began := figures(t, url)
	time.Sleep(idle)
	ended := figures(t, url)
	cpu := ended["process_cpu_seconds_total"] - began["process_cpu_seconds_total"]
	rss, heap, fds, goroutines := ended["process_resident_memory_bytes"], ended["go_memstats_heap_inuse_bytes"], ended["process_open_fds"], ended["go_goroutines"]
	n := float64(accounts)
	figure := ""
	if long() {
		figure = "figure connections: "
	}
	t.Logf(figure+"%d SSH connections, idle for %s with a look every minute: %.2f s of processor time (%.2f %%), %.0f MiB resident, %.0f MiB of heap in use, %.0f goroutines, %.0f files",
		accounts, idle, cpu, 100*cpu/idle.Seconds(), rss/(1<<20), heap/(1<<20), goroutines, fds)
	if rss > 128<<20+n*(1<<20) || rss == 0 {
		t.Errorf("%.0f bytes are resident", rss)
	}
	if fds < n || fds > 40+2*n {
		t.Errorf("%.0f files are open", fds)
	}
	if goroutines > 60+70*n || goroutines == 0 {
		t.Errorf("%.0f goroutines", goroutines)
	}
	p.signal(syscall.SIGTERM)
	if r := p.wait(); r.code != 0 {
		t.Errorf("the daemon ended with %d", r.code)
	}
}
