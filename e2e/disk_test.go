package e2e

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/kamald/kamald/lab"
)

// mounted lays a small file system in memory over a directory of a host, and takes it off with the test's end.
func (f *fixture) mounted(h *lab.Host, dir, size string, before, after []string) {
	f.t.Helper()
	f.exec(h, "sh", "-c", strings.Join(append(before, "mkdir -p "+dir, "mount -t tmpfs -o size="+size+" lab-small "+dir), " && "))
	f.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute) // the test's own has ended
		defer cancel()
		if _, err := h.Exec(ctx, "sh", "-c", strings.Join(append(after, "umount -l "+dir), " && ")); err != nil {
			f.t.Errorf("%s: %s stays small: %v", h.Name, dir, err)
		}
	})
}

// engineAnswers waits for a host's engine.
const engineAnswers = "until curl -fs --max-time 5 -o /dev/null --unix-socket /run/docker.sock http://docker/_ping; do sleep 0.1; done"

// smallEngine gives a host's engine a small disk of its own, empty. The engine that it had comes back with the test's end.
func (f *fixture) smallEngine(h *lab.Host, size string) {
	f.t.Helper()
	again := "old=$(cat /run/docker.pid) && kill $old && while [ -e /proc/$old ] || [ ! -S /run/docker.sock ] || [ \"$(cat /run/docker.pid 2>/dev/null)\" = $old ]; do sleep 0.1; done && " + engineAnswers
	f.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute) // the test's own has ended
		defer cancel()
		if _, err := h.Exec(ctx, "sh", "-c", again); err != nil {
			f.t.Errorf("%s: its engine does not come back: %v", h.Name, err)
		}
	})
	f.mounted(h, "/var/lib/docker", size, nil, nil)
	f.exec(h, "sh", "-c", again)
}

// fill takes all that is free on the file system of a directory.
func (f *fixture) fill(h *lab.Host, dir string) {
	f.t.Helper()
	f.exec(h, "sh", "-c", "dd if=/dev/zero of="+dir+"/ballast bs=64k 2>/dev/null; dd if=/dev/zero of="+dir+"/ballast2 bs=512 2>/dev/null; true")
}

func (f *fixture) empty(h *lab.Host, dir string) {
	f.t.Helper()
	f.exec(h, "sh", "-c", "rm -f "+dir+"/ballast "+dir+"/ballast2")
}

// A host whose disk is full says so; the old release serves on, nothing is lost, and with room again the next apply goes on.
func TestFullDisks(t *testing.T) {
	onlyLong(t)
	f := newFixture(t)
	h := f.host(2)
	f.smallEngine(h, "96m")
	f.deploy(settings{})
	f.image("v1", nil)
	if _, err := f.lab.BuildApp(t.Context(), lab.AppImage{Repository: "acme/shop", Version: "v2", PadMiB: 16}); err != nil {
		t.Fatal(err)
	}
	if _, err := f.lab.BuildApp(t.Context(), lab.AppImage{Repository: "acme/shop", Version: "huge", PadMiB: 128}); err != nil {
		t.Fatal(err)
	}
	f.must(0, "apply", "--version", "v1")
	// What no server has yet is as large as its registry says.
	f.says(f.must(1, "apply", "--version", "huge"), h.Name+": the image", "has no room: it needs at least 12", "nothing was changed")
	load := startLoad(t, 30, 5*time.Minute, f.host(1), f.host(2))

	f.fill(h, "/var/lib/docker")
	r := f.must(1, "apply", "--version", "v2")
	f.says(r, h.Name+": the image", "has no room", "nothing was changed")
	r = f.must(1, "apply", "--version", "v2", "--ignore", "disk")
	f.says(r, h.Name+": get image", "no space left on device", "every role runs what it ran before")
	f.empty(h, "/var/lib/docker")
	f.stillV1()

	small := settings{}
	f.exec(h, "sh", "-c", "cp -a /root/.kamal /root/.kamal.lab")
	f.mounted(h, "/root/.kamal", "256k", nil, []string{"rm -rf /root/.kamal.lab"})
	f.exec(h, "sh", "-c", "cp -a /root/.kamal.lab/. /root/.kamal/")
	f.deploy(small)
	f.fill(h, "/root/.kamal")
	r = f.must(1, "apply", "--version", "v2")
	f.says(r, h.Name+": ", "no space left on device")
	f.stillV1()
	f.empty(h, "/root/.kamal")

	p := f.begin("apply", "--version", "v2") // and full in the middle: the records cannot be written
	p.hears("create shop-web-", 2)
	f.fill(h, "/root/.kamal")
	full := p.wait()
	load.end(t)
	if full.code != 1 {
		t.Errorf("exit code %d, want 1", full.code)
	}
	f.says(full, h.Name+": ", "no space left on device")
	f.empty(h, "/root/.kamal")
	f.converges("v2")
	f.whole("v2")
}
