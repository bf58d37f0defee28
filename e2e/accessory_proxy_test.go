package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kamald/kamald/lab"
)

const mailName = "mail.example.com"

// beside is an accessory of an image in the lab's registry.
func (f *fixture) beside(name, image string, host int, lines string) string {
	return fmt.Sprintf(`accessory %q {
  image = %q
  hosts = [%q]
%s
  registry {
    server   = %q
    username = %q
    password = secret("REGISTRY_PASSWORD")
  }
}
`, name, image, f.host(host).Name, lines, f.lab.Registry.Server, f.lab.Registry.Username)
}

// served wants a name to be answered with a status by a host.
func (f *fixture) served(h *lab.Host, host string, status int, when string) {
	f.t.Helper()
	if got, said := f.answer(h, host); got != status {
		f.t.Fatalf("%s %s answers %d for %s, want %d: %s", when, h.Name, got, host, status, said)
	}
}

// T-14: an app that is nothing but an accessory behind the proxy. It answers for its name alone, not while it is stopped, and again when its
// route or its container was lost.
func TestAnAccessoryBehindTheProxy(t *testing.T) {
	f := newFixture(t)
	f.image("v1", nil)
	h := f.host(3)
	if _, err := f.lab.BuildApp(t.Context(), lab.AppImage{Repository: "acme/mail", Version: "1"}); err != nil {
		t.Fatal(err)
	}
	f.service("shop", f.beside("mail", "acme/mail:1", 3, `  proxied = true
  proxy {
    hosts    = ["`+mailName+`"]
    app_port = 3000
  }`), 3)
	f.must(0, "apply", "--version", "v1")
	f.served(h, mailName, 200, "after apply")
	f.served(h, "other.example.com", 404, "after apply")
	f.emptyTwice("v1")
	f.says(f.must(0, "proxy", "routes", "--version", "v1"), "shop-mail (accessory mail)", mailName)

	f.must(0, "accessory", "stop", "mail", "--version", "v1", "--reason", "moving")
	f.served(h, mailName, 404, "after stop")
	f.must(0, "apply", "--version", "v1")
	f.served(h, mailName, 404, "after an apply that leaves it")
	f.must(0, "accessory", "start", "mail", "--version", "v1")
	f.served(h, mailName, 200, "after start")
	f.must(0, "accessory", "restart", "mail", "--version", "v1")
	f.served(h, mailName, 200, "after restart")
	f.emptyTwice("v1")

	f.exec(h, "docker", "exec", "kamal-proxy", "kamal-proxy", "remove", "shop-mail")
	f.served(h, mailName, 404, "without its route")
	f.says(f.must(3, "drift", "--version", "v1"), "shop-mail", "the proxy does not know it")
	f.must(0, "apply", "--version", "v1")
	f.served(h, mailName, 200, "when its route is back")
	f.exec(h, "docker", "rm", "-f", "shop-mail")
	f.must(0, "apply", "--version", "v1")
	f.served(h, mailName, 200, "when its container is back")
	f.must(0, "accessory", "reboot", "mail", "-y", "--version", "v1")
	f.served(h, mailName, 200, "after reboot")
	f.emptyTwice("v1")

	f.must(0, "accessory", "remove", "mail", "-y", "--version", "v1")
	f.served(h, mailName, 404, "after remove")
	if said := f.must(0, "proxy", "routes", "--version", "v1").stdout; strings.Contains(said, "shop-mail") {
		t.Errorf("its route is left:\n%s", said)
	}
}

// T-08: the host's proxy is not published; an accessory that is goes before it, and finds it by its name. What stands in front here is a
// plain reverse proxy.
func TestAnotherProxyInFront(t *testing.T) {
	f := newFixture(t)
	h := f.host(1)
	f.image("v1", nil)
	f.image("v2", nil)
	if _, err := f.lab.BuildApp(t.Context(), lab.AppImage{Repository: "acme/front", Version: "1"}); err != nil {
		t.Fatal(err)
	}
	f.service("shop", fmt.Sprintf(`proxy_server { publish = false }
proxy {
  hosts    = [%q, %q]
  app_port = 3000
}
role "web" { hosts = [%q] }
`, shopName, h.Address, h.Name)+f.beside("front", "acme/front:1", 1, `  cmd  = ["app", "front", "http://kamal-proxy"]
  port = "80:3000"`), 1)
	f.must(0, "apply", "--version", "v1")
	if ports := strings.TrimSpace(f.exec(h, "docker", "port", "kamal-proxy")); ports != "" {
		t.Errorf("the proxy publishes %s", ports)
	}
	f.wantVersion(h, shopName, "v1")
	f.served(h, "other.example.com", 404, "through both")
	front := f.filtered(h, "label=service=shop-front")

	load := startLoad(t, 50, 2*time.Minute, h)
	f.must(0, "apply", "--version", "v2")
	load.end(t)
	f.wantVersion(h, shopName, "v2")
	if after := f.filtered(h, "label=service=shop-front"); len(front) != 1 || len(after) != 1 || after[0].ID != front[0].ID {
		t.Errorf("what is in front was %+v and is %+v", front, after)
	}
	f.emptyTwice("v2")
}
