package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kamald/kamald/lab"
)

// cache is an accessory on the third host, with a file that has a secret in it and a directory of its own.
func (f *fixture) cache(version, change string) string {
	return fmt.Sprintf(`accessory "redis" {
  image     = "acme/cache:%s"
  hosts     = [%q]
  port      = "127.0.0.1:16379:3000"
  on_change = %q
  env {
    clear  = { TZ = "UTC" }
    secret = ["API_TOKEN"]
  }
  file "redis.conf.tmpl" {
    to    = "/etc/redis.conf"
    mode  = "0640"
    owner = "999:999"
  }
  directory "data" { to = "/data" }
  registry {
    server   = %q
    username = %q
    password = secret("REGISTRY_PASSWORD")
  }
}
`, version, f.host(3).Name, change, f.lab.Registry.Server, f.lab.Registry.Username)
}

// accessoryOn gives the accessory's container on the third host.
func (f *fixture) accessoryOn() container {
	f.t.Helper()
	list := f.accessories()
	if len(list) != 1 {
		f.t.Fatalf("%d containers of the accessory, want 1: %+v", len(list), list)
	}
	return list[0]
}

func (f *fixture) accessories() []container {
	return f.filtered(f.host(3), "label=service=shop-redis")
}

// A database beside the app: made before it, changed as the file says, stopped on purpose, adopted from Kamal, and gone without its data.
func TestAccessories(t *testing.T) {
	f := newFixture(t)
	f.image("v1", nil)
	for _, version := range []string{"7", "8"} {
		if _, err := f.lab.BuildApp(t.Context(), lab.AppImage{Repository: "acme/cache", Version: version}); err != nil {
			t.Fatal(err)
		}
	}
	f.write("redis.conf.tmpl", "requirepass ${secret(\"API_TOKEN\")}\n", 0o600)
	f.adoptedAccessory()

	f.deploy(settings{more: f.cache("7", "plan")})
	h := f.host(3)
	f.must(0, "apply", "--version", "v1")
	f.emptyTwice("v1")
	first := f.accessoryOn()
	if first.State != "running" || first.Labels["kamald.accessory"] != "shop/redis" {
		t.Errorf("it is %+v", first)
	}
	if conf := f.exec(h, "cat", "/root/shop-redis/etc/redis.conf"); conf != "requirepass "+canary {
		t.Errorf("its file has %q", conf)
	}
	if mode := f.exec(h, "stat", "-c", "%a %u:%g", "/root/shop-redis/etc/redis.conf"); strings.TrimSpace(mode) != "640 999:999" {
		t.Errorf("its file is %s", mode)
	}
	f.exec(h, "sh", "-c", "echo all that there is > /root/shop-redis/data/dump")
	f.permissions(first)

	// Another image is shown, and waits; reboot makes it anew, and is what is held.
	f.deploy(settings{more: f.cache("8", "plan")})
	if said := f.must(0, "plan", "--version", "v1", "--detailed-exitcode").stdout; !strings.Contains(said, "acme/cache:7 → ") || !strings.Contains(said, "kamald accessory reboot redis") {
		t.Errorf("the plan says\n%s", said)
	}
	if f.must(0, "apply", "--version", "v1"); f.accessoryOn().ID != first.ID {
		t.Error("it was made anew though it waits")
	}
	f.must(0, "accessory", "reboot", "redis", "-y", "--version", "v1")
	second := f.accessoryOn()
	if second.ID == first.ID || !strings.HasSuffix(second.Image, "acme/cache:8") {
		t.Errorf("it is %+v", second)
	}
	f.must(0, "drift", "--version", "v1")
	f.stoppedOnPurpose(second)

	// It leaves the file: the container goes, and what it has kept stays.
	f.deploy(settings{})
	if said := f.must(2, "plan", "--version", "v1", "--detailed-exitcode").stdout; !strings.Contains(said, "/root/shop-redis/data") {
		t.Errorf("the plan says\n%s", said)
	}
	f.must(0, "apply", "--version", "v1")
	f.emptyTwice("v1")
	if left := f.accessories(); len(left) != 0 {
		t.Errorf("left: %+v", left)
	}
	if data := f.exec(h, "cat", "/root/shop-redis/data/dump"); data != "all that there is" {
		t.Errorf("its data is %q", data)
	}
	f.noCanaryOnHosts()
}

// permissions: what somebody changed of a file on the host is drift, and is put right there.
func (f *fixture) permissions(was container) {
	f.t.Helper()
	conf := "/root/shop-redis/etc/redis.conf"
	inode := f.exec(f.host(3), "stat", "-c", "%i", conf)
	f.exec(f.host(3), "sh", "-c", "chmod 666 "+conf+"; chown 0:0 "+conf+"; chmod 700 /root/shop-redis/data")
	f.says(f.must(3, "drift", "--version", "v1"), "file /etc/redis.conf mode", "0666", "0640", "file /etc/redis.conf owner", "999:999")
	f.says(f.must(0, "apply", "--version", "v1"), "set the permissions of the files of shop-redis")
	if is := f.exec(f.host(3), "stat", "-c", "%i %a %u:%g", conf); strings.TrimSpace(is) != strings.TrimSpace(inode)+" 640 999:999" {
		f.t.Errorf("its file was %s and is %s", inode, is)
	}
	if now := f.accessoryOn(); now.ID != was.ID {
		f.t.Error("it was made anew for that")
	}
	f.emptyTwice("v1")
}

// stoppedOnPurpose: neither an apply nor a daemon starts it again, and start does.
func (f *fixture) stoppedOnPurpose(was container) {
	f.t.Helper()
	f.must(0, "accessory", "stop", "redis", "--reason", "a dump", "--version", "v1")
	f.must(0, "apply", "--version", "v1")
	if f.accessoryOn().State != "exited" {
		f.t.Error("it was started again")
	}
	if said := f.must(0, "accessory", "details", "all", "--version", "v1").stdout; !strings.Contains(said, "a dump") {
		f.t.Errorf("details say\n%s", said)
	}
	f.must(0, "accessory", "start", "redis", "--version", "v1")
	if now := f.accessoryOn(); now.State != "running" || now.ID != was.ID {
		f.t.Errorf("it is %+v", now)
	}
	if said := f.must(1, "accessory", "start", "rediss", "--version", "v1").stderr; !strings.Contains(said, "the options are redis and all") {
		f.t.Errorf("of an unknown one it says\n%s", said)
	}
}

// adoptedAccessory: one that Kamal made, by the command that Kamal runs, is taken over without a restart, and removed with its data.
func (f *fixture) adoptedAccessory() {
	f.t.Helper()
	k := newKamal(f)
	h := f.host(3)
	image := f.lab.Registry.Server + "/acme/cache:7"
	k.shell(h, "docker login %s -u %s -p %s", f.lab.Registry.Server, f.lab.Registry.Username, f.lab.Registry.Password.Reveal())
	k.shell(h, "docker network create kamal || true")
	k.shell(h, "rm -rf shop-redis && mkdir -p shop-redis/etc shop-redis/data .kamal/apps/shop/env/accessories") // another test's may lie there
	k.shell(h, `printf 'requirepass %s\n' > shop-redis/etc/redis.conf`, canary)
	k.shell(h, "chmod 0640 shop-redis/etc/redis.conf && chown 999:999 shop-redis/etc/redis.conf") // as its file asks for
	k.shell(h, `printf 'API_TOKEN=%s\n' > .kamal/apps/shop/env/accessories/redis.env`, canary)
	k.shell(h, `docker run --name shop-redis --detach --restart unless-stopped --network kamal --log-opt max-size="10m" --publish 127.0.0.1:16379:3000 `+
		`--env KAMAL_HOST="%s" --env TZ="UTC" --env-file .kamal/apps/shop/env/accessories/redis.env --volume $PWD/shop-redis/etc/redis.conf:/etc/redis.conf `+
		`--volume $PWD/shop-redis/data:/data --label service=shop-redis %s`, h.Name, image)
	before := f.accessoryOn()
	f.deploy(settings{timeout: "10s", more: f.cache("7", "recreate")})
	if said := f.must(0, "plan", "--version", "v1"); strings.Contains(said.stdout, "accessory/redis") {
		f.t.Errorf("the plan has it:\n%s", said.stdout)
	}
	f.must(0, "apply", "--version", "v1")
	if after := f.accessoryOn(); after.ID != before.ID || after.State != "running" {
		f.t.Errorf("it was %+v and is %+v", before, after)
	}
	f.must(0, "accessory", "remove", "redis", "-y", "--with-data", "--version", "v1")
	if left := f.accessories(); len(left) != 0 {
		f.t.Errorf("left: %+v", left)
	}
	if out, err := h.Exec(f.t.Context(), "ls", "/root/shop-redis"); err == nil {
		f.t.Errorf("its data is left: %s", out)
	}
}
