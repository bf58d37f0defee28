package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kamald/kamald/lab"
)

// What a person does with an app that stands: look at it, stop a part of it and start it, restart it under traffic, take it away; with
// another service on the same hosts.
func TestAnOperatorsApp(t *testing.T) {
	f := newFixture(t)
	f.image("v1", nil)
	f.image("v2", nil)
	for _, image := range []lab.AppImage{{Repository: "acme/blog", Version: "v1"}, {Repository: "acme/queue", Version: "3"}} {
		if _, err := f.lab.BuildApp(t.Context(), image); err != nil {
			t.Fatal(err)
		}
	}
	f.deploy(settings{root: `volumes = ["shop-data:/data"]`, more: fmt.Sprintf(`accessory "queue" {
  image   = "%s/acme/queue:3"
  hosts   = [%q, %q]
  volumes = ["shop-queue:/queue"]
  env { secret = ["API_TOKEN"] }
  file "queue.conf.tmpl" { to = "/etc/queue.conf" }
  directory "data" { to = "/data" }
}
`, f.lab.Registry.Server, f.host(1).Name, f.host(3).Name)})
	f.write("queue.conf.tmpl", "password ${secret(\"API_TOKEN\")}\n", 0o600)
	f.must(0, "apply", "--version", "v1")
	f.besideIt()
	for _, part := range []struct {
		name string
		do   func(f *fixture)
	}{
		{"it is seen in one look", seenApp},
		{"what was stopped on purpose stays so, for a daemon too", stoppedApp},
		{"a restart fails no request", restartedApp},
		{"what runs beside what serves is stopped", staleApp},
		{"the registry lets the hosts in, and Kamal's login goes", registryLogins},
		{"a part is removed, and booted again", removedApp},
		{"a service is removed, and the other has all it had", removedService},
	} {
		if !t.Run(part.name, func(t *testing.T) { part.do(f.within(t)) }) {
			break // each begins with what the one before has left
		}
	}
}

// besideIt deploys a second service to the same hosts.
func (f *fixture) besideIt() {
	f.t.Helper()
	text, err := os.ReadFile(filepath.Join(f.dir, "deploy.hcl"))
	if err != nil {
		f.t.Fatal(err)
	}
	f.write("blog.hcl", strings.NewReplacer(`service = "shop"`, `service = "blog"`, "acme/shop", "acme/blog", "shop-data", "blog-data", "shop-queue", "blog-queue", "app_port = 3000", "app_port = 3000\n  hosts = [\"blog.example.com\"]").Replace(string(text)), 0o600)
	f.must(0, "apply", "-c", "blog.hcl", "--version", "v1")
	f.statuses(200, 200, 200)
}

func seenApp(f *fixture) {
	f.says(f.must(0, "details", "--version", "v1"), "kamal-proxy", "shop-web", "running", "current", "the proxy has 1 route of other apps", "ACCESSORY", "shop-queue")
	f.says(f.must(0, "app", "details"), "shop-web-v1", "shop-workers-v1")
	f.says(f.must(0, "app", "images"), "latest, v1", "shop-web-v1")
	f.says(f.must(0, "app", "version", "--hosts", f.host(1).Name), f.host(1).Name, "v1")
	f.says(f.must(0, "app", "stale"), "Nothing stale runs")
}

func stoppedApp(f *fixture) {
	name := f.host(2).Name
	f.says(f.must(0, "app", "stop", "--hosts", name, "--reason", "new disk"), name+"/web: stopped shop-web-v1")
	f.statuses(200, 404, 200)
	f.wantRunning(f.host(2))
	f.says(f.must(0, "apply", "--version", "v1"), "Nothing to do")
	f.says(f.must(0, "details"), "web was stopped on purpose by", "new disk", "stop ")
	f.rewrite("deploy.hcl", strings.NewReplacer("service = \"shop\"", "service = \"shop\"\nversion = \"v1\"\nreconcile {\n  mode = \"heal\"\n}\n"))
	d := f.drives()
	f.exec(f.host(3), "docker", "kill", "shop-workers-v1") // it heals what nobody has stopped on purpose
	f.eventually("the workers are healed", func() bool { return slices.Equal(f.running(f.host(3)), []string{"shop-workers-v1"}) })
	f.wantRunning(f.host(2))
	f.says(f.must(1, "remove", "-y"), "drives shop", "kamald pause", "nothing was changed")
	f.says(f.must(0, "app", "start"), "Started shop v1")
	f.statuses(200, 200, 200)
	d.end()
	f.emptyTwice("v1")
	f.says(f.must(0, "lock", "acquire", "-m", "holiday"), "lock")
	f.says(f.must(4, "app", "stop"), "holiday")
	f.must(0, "lock", "release")
	f.whole("v1")
}

func restartedApp(f *fixture) {
	before := f.standing()
	load := startLoad(f.t, 30, time.Minute, f.host(1), f.host(2))
	f.says(f.must(0, "app", "restart"), "Restarted shop v1")
	load.end(f.t)
	for i, lines := range f.standing() {
		id, _, _ := strings.Cut(before[i][0], " ")
		for _, line := range lines {
			if strings.HasPrefix(line, id) && strings.HasSuffix(strings.TrimSpace(line), "running") {
				f.t.Errorf("%s: the old container runs still: %s", f.lab.Hosts[i].Name, line)
			}
		}
	}
	f.wantRunning(f.host(1), "shop-web-v1")
	f.emptyTwice("v1")
}

func staleApp(f *fixture) {
	f.must(0, "app", "boot", "--version", "v2")
	f.exec(f.host(3), "docker", "start", "shop-workers-v1")
	f.says(f.must(0, "app", "stale"), "shop-workers-v1", "app stale --stop")
	f.says(f.must(0, "app", "stale", "--stop"), "stopped shop-workers-v1")
	f.wantRunning(f.host(3), "shop-workers-v2")
}

func registryLogins(f *fixture) {
	server := f.lab.Registry.Server
	f.says(f.must(0, "registry", "login"), f.host(1).Name+": the engine is let in at "+server, "No host was logged in")
	if out := f.exec(f.host(1), "sh", "-c", "ls /root/.docker/config.json 2>/dev/null; true"); out != "" {
		f.t.Errorf("a login was left: %s", out)
	}
	f.exec(f.host(1), "sh", "-c", `mkdir -p /root/.docker; printf '{"auths":{"`+server+`":{"auth":"b3RoZXI6dGhpbmc="},"ghcr.io":{"auth":"a2VwdDptZQ=="}},"detachKeys":"ctrl-e,e"}' > /root/.docker/config.json`)
	f.says(f.must(0, "registry", "logout"), "is gone from .docker/config.json")
	left := f.exec(f.host(1), "cat", "/root/.docker/config.json")
	if strings.Contains(left, server) || !strings.Contains(left, "a2VwdDptZQ==") || !strings.Contains(left, "ctrl-e,e") {
		f.t.Errorf("left: %s", left)
	}
	f.exec(f.host(1), "rm", "-r", "/root/.docker")
	f.rewrite(".kamald/secrets", strings.NewReplacer("REGISTRY_PASSWORD=", "REGISTRY_PASSWORD=wrong-"))
	if r := f.must(1, "registry", "login"); strings.Contains(r.all(), "wrong-") {
		f.t.Error("the password is shown")
	}
	f.rewrite(".kamald/secrets", strings.NewReplacer("REGISTRY_PASSWORD=wrong-", "REGISTRY_PASSWORD="))
}

func removedApp(f *fixture) {
	name := f.host(2).Name
	f.says(f.must(1, "app", "remove", "--hosts", name), "--yes")
	f.says(f.must(0, "app", "remove", "-y", "--hosts", name), "removed shop-web-v2", "its data stays: shop-data")
	f.statuses(200, 404, 200)
	if left := f.containers(f.host(2)); len(left) != 0 || f.latest(f.host(2), "latest") != "" {
		f.t.Errorf("left: %v", left)
	}
	f.says(f.must(0, "apply", "--version", "v2"), "Nothing to do")
	f.must(0, "env", "push", "--hosts", name)
	f.says(f.must(0, "app", "boot"), "Booted shop v2")
	f.statuses(200, 200, 200)
	f.emptyTwice("v2")
}

// neighboursThings is all that the second service has on a host: containers, images, files, and what its proxy keeps of it.
func (f *fixture) neighboursThings(h *lab.Host) string {
	return f.exec(h, "sh", "-c", "docker ps -a --no-trunc --filter label=service=blog --format '{{.ID}} {{.Names}} {{.State}} {{.Image}}'; docker images --no-trunc --format '{{.Repository}}:{{.Tag}} {{.ID}}' | grep acme/blog; "+
		"docker ps -a --no-trunc --filter name=blog-queue --format '{{.ID}} {{.Names}} {{.State}} {{.Image}}'; docker images --no-trunc --format '{{.Repository}}:{{.Tag}} {{.ID}}' | grep acme/queue; "+
		"docker volume ls -q | grep blog; cd /root; find . -path '*blog*' -type f -exec sha256sum {} + | sort -k2; docker exec kamal-proxy kamal-proxy list 2>/dev/null | grep blog-web || true")
}

func removedService(f *fixture) {
	f.must(0, "lock", "acquire", "-c", "blog.hcl", "-m", "its own")
	for _, n := range []int{1, 3} {
		f.exec(f.host(n), "sh", "-c", "echo ours > /root/shop-queue/data/dump; echo theirs > /root/blog-queue/data/dump")
	}
	var before [3]string
	for i := range f.lab.Hosts {
		before[i] = f.neighboursThings(&f.lab.Hosts[i])
		if !strings.Contains(before[i], "blog") || !strings.Contains(before[i], "lock-blog") {
			f.t.Fatalf("nothing to compare: %s", before[i])
		}
	}
	f.says(f.must(1, "remove"), "1 accessory goes, too: queue (shop-queue on", "their data stays: shop-queue/data, volume shop-queue.")
	f.says(f.must(0, "remove", "-y"), "removed shop-web-v2", "the proxy stays: other apps need it", "removed shop-queue", "its data stays: /root/shop-queue/data, volume shop-queue")
	for i := range f.lab.Hosts {
		h := &f.lab.Hosts[i]
		if after := f.neighboursThings(h); after != before[i] {
			f.t.Errorf("%s: the other service had\n%s\nand has\n%s", h.Name, before[i], after)
		}
		if left := f.exec(h, "sh", "-c", "docker ps -aq --filter label=service=shop; docker ps -aq --filter name=shop; docker images -q "+f.lab.Registry.Server+"/acme/shop; find /root/.kamal -path '*shop*'"); left != "" {
			f.t.Errorf("%s: left: %s", h.Name, left)
		}
		if volumes := f.exec(h, "docker", "volume", "ls", "-q"); !strings.Contains(volumes, "shop-data") {
			f.t.Errorf("%s: its data is gone: %s", h.Name, volumes)
		}
		if i == 1 {
			continue
		}
		if left := f.exec(h, "sh", "-c", "cd /root/shop-queue; find . -type f -exec cat {} +; docker volume ls -q | grep -c shop-queue"); strings.Join(strings.Fields(left), " ") != "ours 1" {
			f.t.Errorf("%s: of the accessory is left %q", h.Name, left)
		}
	}
	f.statuses(404, 404, 200)
	f.must(0, "remove", "-y", "--with-data") // again: nothing is a failure
	volumes := f.exec(f.host(1), "sh", "-c", "docker volume ls -q; ls /root")
	for name, stays := range map[string]bool{"shop-data": false, "shop-queue": false, "blog-data": true, "blog-queue": true} {
		if strings.Contains(volumes, name) != stays {
			f.t.Errorf("%s: %s", name, volumes)
		}
	}
	f.must(0, "lock", "release", "-c", "blog.hcl")
	f.says(f.must(0, "remove", "-y", "-c", "blog.hcl", "--with-data"), "the proxy was removed")
	if left := f.exec(f.host(1), "sh", "-c", "docker ps -aq; find /root/.kamal -type f"); left != "" {
		f.t.Errorf("left: %s", left)
	}
}
