package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// deployYML is the Kamal configuration of what the tests' kamal deploys.
func (f *fixture) deployYML() {
	f.t.Helper()
	f.write("config/deploy.yml", fmt.Sprintf(`service: shop
image: acme/shop

# Two hosts for requests, one for jobs.
servers:
  web:
    hosts:
      - %[1]s
      - %[2]s
    options:
      memory: 512m
      memory-swap: 1g
      cpus: 0.5
      shm-size: 64m
      pids-limit: 200
      cap-add: SYS_NICE
      cap-drop: [MKNOD]
      ulimit: ["nofile=1000:2000"]
      tmpfs: ["/tmp:rw,size=64m", "/run"]
      dns: [10.0.0.53]
      add-host: ["db:10.0.0.9"]
      sysctl: net.core.somaxconn=1024
      security-opt: no-new-privileges
      user: "0:0"
      workdir: /tmp
      init: true
      label: ["tier=front"]
      log-opt: max-file=2
      network-alias: [front]
      hostname: front
      expose: "9000"
      health-cmd: app healthy
      health-interval: 5s
      stop-signal: SIGTERM
      restart: on-failure:3
  workers:
    hosts:
      - %[3]s
    cmd: app worker

registry:
  server: %[4]s
  username: %[5]s
  password:
    - REGISTRY_PASSWORD

env:
  clear:
    LOG_LEVEL: info
    WHO: "it is ${USER}, $5"
  secret:
    - API_TOKEN

labels:
  team: checkout
volumes:
  - data:/data
  - ~/shared:/shared

builder:
  arch: amd64
ssh:
  keys: [ %[6]s ]
  config: false
proxy:
  app_port: 3000
  healthcheck:
    interval: 1
deploy_timeout: 5
drain_timeout: 5
readiness_delay: 1
`, f.host(1).Address, f.host(2).Address, f.host(3).Address, f.lab.Registry.Server, f.lab.Registry.Username, f.lab.KeyFile), 0o600)
	f.write(".kamal/secrets", "REGISTRY_PASSWORD="+f.lab.Registry.Password.Reveal()+"\nAPI_TOKEN="+canary+"\n", 0o600)
}

// What Kamal deployed is taken over without a restart, released from there without a failed request, and can be handed back.
func TestAdoption(t *testing.T) {
	f := newFixture(t)
	for _, version := range []string{"v1", "v2", "v3", "v4"} {
		f.image(version, nil)
	}
	k := newKamal(f)
	k.restart = "on-failure:3"
	k.options = `--memory "512m" --memory-swap "1g" --cpus "0.5" --shm-size "64m" --pids-limit "200" --cap-add "SYS_NICE" --cap-drop "MKNOD" ` +
		`--ulimit "nofile=1000:2000" --tmpfs "/tmp:rw,size=64m" --tmpfs "/run" --dns "10.0.0.53" --add-host "db:10.0.0.9" ` +
		`--sysctl "net.core.somaxconn=1024" --security-opt "no-new-privileges" --user "0:0" --workdir "/tmp" --init --label "tier=front" ` +
		`--log-opt "max-file=2" --network-alias "front" --hostname "front" --expose "9000" --health-cmd "app healthy" --health-interval "5s" --stop-signal "SIGTERM"`
	k.deploy("v1")
	f.adoptedFile()
	plan := f.must(0, "plan", "--version", "v1", "--detailed-exitcode")
	for _, want := range []string{"Nothing to do: shop v1 runs as written.", "Not recorded yet", "`kamald adopt`"} {
		if !strings.Contains(plan.stdout, want) {
			t.Errorf("the plan lacks %q", want)
		}
	}
	f.must(0, "drift", "--version", "v1")
	before := f.serving()
	f.play("from-kamal.md", "What adoption means", 0, "kamald plan", "kamald plan --version v1")
	if after := f.serving(); after != before {
		t.Errorf("adopting has restarted something:\n%s\nbefore\n%s", after, before)
	}
	f.must(0, "resume")
	load := startLoad(t, 50, time.Minute, f.host(1), f.host(2))
	f.must(0, "apply", "--version", "v2")
	load.end(t)
	f.emptyTwice("v2")
	f.wantLatest("v2")

	// Handed back: Kamal finds its names, labels, tag, proxy and lock.
	k.deploy("v3")
	f.wantRunning(f.host(1), "shop-web-v3")
	f.wantRunning(f.host(3), "shop-workers-v3")
	moved := f.must(0, "plan", "--version", "v4")
	if !strings.Contains(moved.stdout, "moved by hand") || !strings.Contains(moved.stdout, "`kamald adopt`") {
		t.Error("the plan does not say that another has released")
	}
	before = f.serving()
	f.must(0, "adopt")
	if after := f.serving(); after != before {
		t.Errorf("adopting has restarted something:\n%s\nbefore\n%s", after, before)
	}
	k.rollback("v2")
	k.rebootProxy()
	f.wantRunning(f.host(2), "shop-web-v2")

	// And kamald after it.
	load = startLoad(t, 50, time.Minute, f.host(1), f.host(2))
	f.must(0, "release", "v4")
	load.end(t)
	f.must(0, "plan", "--version", "v4", "--detailed-exitcode")
	f.wantLatest("v4")
	if long() {
		k.rollback("v3")
		f.wantRunning(f.host(1), "shop-web-v3")
	}
}

// adoptedFile makes deploy.hcl of the Kamal configuration.
func (f *fixture) adoptedFile() {
	f.t.Helper()
	if err := os.RemoveAll(filepath.Join(f.dir, ".kamald")); err != nil {
		f.t.Fatal(err)
	}
	known, err := os.ReadFile(f.lab.KnownHosts)
	if err != nil {
		f.t.Fatal(err)
	}
	f.write(".ssh/known_hosts", string(known), 0o600)
	f.deployYML()
	f.play("from-kamal.md", "", 0, "kamald plan", "kamald plan --version v1")
}

// serving is which containers run on each host, by their IDs.
func (f *fixture) serving() string {
	f.t.Helper()
	text := ""
	for i := range f.lab.Hosts {
		text += f.lab.Hosts[i].Name + ": " + f.exec(&f.lab.Hosts[i], "docker", "ps", "--no-trunc", "--format", "{{.ID}} {{.Names}}") + "\n"
	}
	return text
}
