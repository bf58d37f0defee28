//go:build linux

package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kamald/kamald/state/etcdtest"
)

func TestTheDaemonKeepsItsStoreInEtcdAndSaysWhenThatIsAway(t *testing.T) {
	cluster := etcdtest.Start(t, 1)
	b := newBastionMachine(t)
	b.write("kamald.hcl", fmt.Sprintf(`
store { etcd = [%q] }
app "shop" {
  source "file" { path = "deploy.hcl" }
}
`, cluster.Members[0].Endpoint))
	state := b.path("state")
	d := b.begin(nil, "XDG_STATE_HOME="+state)
	if line := d.logs("kamald runs"); !strings.Contains(line, "etcd at "+cluster.Members[0].Endpoint) {
		t.Errorf("it says %s", line)
	}
	if status, err := asks(filepath.Join(state, "kamald/state.db.sock")); status != http.StatusOK {
		t.Errorf("the socket answers with %d %v\n%s", status, err, d.log())
	}
	if _, err := os.Stat(filepath.Join(state, "kamald/state.db")); err == nil {
		t.Error("there is a store in a file, too")
	}
	kept, err := placeOf(b.path("kamald.hcl"))
	if err != nil {
		t.Fatal(err)
	}
	store, err := kept.openCluster()
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	for end := time.Now().Add(unheard); ; time.Sleep(20 * time.Millisecond) {
		apps, err := store.Apps()
		if err == nil && len(apps) == 1 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("it keeps %v %v\n%s", apps, err, d.log())
		}
	}
	d.signal(syscall.SIGTERM)
	if code := d.ends(); code != 0 {
		t.Errorf("it ended with %d:\n%s", code, d.log())
	}
	cluster.Members[0].Stop()
	d = b.begin(nil, "XDG_STATE_HOME="+state)
	if code := d.ends(); code == 0 || !strings.Contains(d.log(), "no member with a leader answered") || !strings.Contains(d.log(), "next: ") {
		t.Errorf("without the cluster it ended with %d:\n%s", code, d.log())
	}
}
