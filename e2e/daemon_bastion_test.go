package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/kamald/kamald/lab"
)

// A bastion elsewhere is asked through SSH: its daemon looks after the engine of its own machine there, and a pipeline here orders a release.
func TestAnOrderThroughSSHToABastion(t *testing.T) {
	f := newFixture(t)
	f.image("v1", nil)
	f.image("v2", nil)
	f.deploy(settings{root: "version = \"v1\""})
	h := f.host(3)
	f.put(h, f.bin, "/usr/local/bin/kamald")
	t.Cleanup(func() { // the test's own context has ended by then
		said, _ := h.Exec(context.Background(), "sh", "-c", "cat /root/bastion/log; pkill -x kamald; rm -rf /usr/local/bin/kamald /root/bastion /run/kamald.sock")
		t.Log(said)
	})
	f.write("bastion.hcl", fmt.Sprintf(`service = "shop"
image   = "acme/shop"
version = "v1"
deploy_timeout = "10s"
registry {
  server   = %q
  username = %q
  password = secret("REGISTRY_PASSWORD")
}
role "web" {
  hosts = ["local"]
  proxied = true
}
proxy { app_port = 3000 }
reconcile { mode = "release" }
`, f.lab.Registry.Server, f.lab.Registry.Username), 0o600)
	f.write("bastion-kamald.hcl", `store { bolt = "/root/bastion/state.db" }
listen { socket = "/run/kamald.sock" }
app "shop" {
  source "file" { path = "/root/bastion/deploy.hcl" }
  secrets { files = ["/root/bastion/secrets"] }
}
`, 0o600)
	f.exec(h, "mkdir", "-p", "/root/bastion")
	f.put(h, f.dir+"/bastion.hcl", "/root/bastion/deploy.hcl")
	f.put(h, f.dir+"/bastion-kamald.hcl", "/root/bastion/kamald.hcl")
	f.put(h, f.dir+"/.kamald/secrets", "/root/bastion/secrets")
	f.exec(h, "sh", "-c", "chmod 600 /root/bastion/secrets; HOME=/root setsid kamald run -f /root/bastion/kamald.hcl >/root/bastion/log 2>&1 </dev/null &")
	f.eventually("the first release there", func() bool {
		out, err := h.Exec(t.Context(), "docker", "ps", "--format", "{{.Names}}")
		if log, _ := h.Exec(t.Context(), "cat", "/root/bastion/log"); strings.Contains(log, "ERR") || strings.Contains(log, `"level":"error"`) {
			t.Fatal(log)
		}
		return err == nil && strings.Contains(out, "shop-web-v1")
	})
	server := "ssh://root@" + h.Address
	r := f.must(0, "release", "v2", "--wait", "--server", server)
	if !strings.Contains(r.stdout, "Released shop v2") {
		t.Error("the report of the bastion's release is not shown")
	}
	f.must(0, "status", "--server", server, "--hosts", "h3")
	if out := f.exec(h, "docker", "ps", "--format", "{{.Names}}"); !strings.Contains(out, "shop-web-v2") {
		t.Errorf("the bastion runs %s", out)
	}
	f.must(1, "release", "v9", "--wait", "--server", server)
}

// put copies a file of this machine to a host.
func (f *fixture) put(h *lab.Host, from, to string) {
	f.t.Helper()
	var said bytes.Buffer
	cmd := exec.CommandContext(f.t.Context(), "docker", "cp", "-q", from, h.Container+":"+to)
	cmd.Stderr = &said
	if err := cmd.Run(); err != nil {
		f.t.Fatalf("docker cp: %v: %s", err, said.String())
	}
}
