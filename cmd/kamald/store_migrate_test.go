package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kamald/kamald/state"
	"github.com/kamald/kamald/state/bolt"
	"github.com/kamald/kamald/state/etcdtest"
)

func TestTheStoreIsWhereABastionsFileSays(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_STATE_HOME", dir)
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for given, want := range map[string]string{
		"": dir + "/kamald/state.db", "x.db": "x.db",
		write("file.hcl", "store { bolt = \"there.db\" }\nlog { level = env(\"NOWHERE\") }\n"): dir + "/there.db",
		write("none.hcl", "log { level = \"info\" }\n"):                                        dir + "/kamald/state.db",
		write("etcd.hcl", "store { etcd = [\"http://127.0.0.1:1\"] }\n"):                       "etcd at http://127.0.0.1:1",
	} {
		at, err := placeOf(given)
		if err != nil || at.String() != want {
			t.Errorf("%q: %s, %v", given, at, err)
		}
		if at.inEtcd() && at.file != dir+"/kamald/state.db" {
			t.Errorf("what is this machine's own lies beside %s", at.file)
		}
	}
	if _, err := placeOf(write("bad.hcl", "store { etcd = [\"nowhere\"] }\n")); err == nil {
		t.Error("a bad address was taken")
	}
	if _, err := placeOf(filepath.Join(dir, "missing.hcl")); err == nil {
		t.Error("a file that is not there was taken")
	}
}

func TestAStoreIsMigratedIntoEtcdAndBack(t *testing.T) {
	cluster := etcdtest.Start(t, 1)
	dir := t.TempDir()
	file, back, hcl := filepath.Join(dir, "state.db"), filepath.Join(dir, "back.db"), filepath.Join(dir, "kamald.hcl")
	if err := os.WriteFile(hcl, fmt.Appendf(nil, "store { etcd = [%q] }\n", cluster.Members[0].Endpoint), 0o600); err != nil {
		t.Fatal(err)
	}
	app := state.App{Service: "shop"}
	store, err := bolt.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	for n := range 3 {
		if err := store.SaveRelease(state.Record{App: app, Number: n + 1}); err != nil {
			t.Fatal(err)
		}
	}
	run := func(args ...string) (string, error) {
		var out bytes.Buffer
		p := &program{out: terminal{Writer: &out}, err: terminal{Writer: &out}}
		p.flags.store = ""
		if len(args) == 2 {
			return out.String(), p.migrate(args[0], args[1])
		}
		p.flags.store = args[0]
		err := p.checkStore()
		return out.String(), err
	}
	lock, err := lockFile(file + ".lock")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := run(file, hcl); err == nil || !strings.Contains(err.Error(), "another kamald runs with this store") {
		t.Errorf("while a daemon has the file: %v", err)
	}
	_ = lock.Close()
	for range 2 { // again is the same
		if _, err := run(file, hcl); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := run(hcl, back); err != nil {
		t.Fatal(err)
	}
	copied, err := bolt.Open(back)
	if err != nil {
		t.Fatal(err)
	}
	if records, err := copied.Releases(app); err != nil || len(records) != 3 {
		t.Errorf("%d records came back, %v", len(records), err)
	}
	if err := store.SaveRelease(state.Record{App: app, Number: 1, Reason: "another"}); err != nil {
		t.Fatal(err)
	}
	if _, err := run(file, hcl); err == nil || !strings.Contains(err.Error(), "is not empty") || !strings.Contains(err.Error(), "next: ") {
		t.Errorf("into a store with something else: %v", err)
	}
	if _, err := run(hcl, hcl); err == nil {
		t.Error("a store was migrated into itself")
	}
	if _, err := run(hcl); err != nil {
		t.Errorf("check: %v", err)
	}
	at, err := placeOf(hcl)
	if err != nil {
		t.Fatal(err)
	}
	leading, err := at.openCluster()
	if err != nil {
		t.Fatal(err)
	}
	defer leading.Close()
	elector := leading.NewElector("bastion-1", time.Minute)
	defer elector.Close()
	if _, err := elector.Campaign(context.Background(), app); err != nil {
		t.Fatal(err)
	}
	if _, err := run(hcl, filepath.Join(dir, "third.db")); err == nil || !strings.Contains(err.Error(), "bastion-1 (shop)") {
		t.Errorf("while somebody leads: %v", err)
	}
}
