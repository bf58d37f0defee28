package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kamald/kamald/state"
	"github.com/kamald/kamald/state/bolt"
	"github.com/kamald/kamald/state/etcd"
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
	missing, err := placeOf(write("tls.hcl", "store {\n etcd = [\"https://127.0.0.1:1\"]\n ca = \"nowhere.pem\"\n}\n"))
	if store, opened := missing.open(); err != nil || opened == nil || store != nil || !strings.Contains(opened.Error(), "nowhere.pem") {
		t.Errorf("without its authority: %v, %v %v", err, store, opened)
	}
	if _, err := placeOf(write("bad.hcl", "store { etcd = [\"nowhere\"] }\n")); err == nil {
		t.Error("a bad address was taken")
	}
	if _, err := placeOf(filepath.Join(dir, "missing.hcl")); err == nil {
		t.Error("a file that is not there was taken")
	}
}

func TestAStoreIsMigratedIntoEtcdAndBack(t *testing.T) {
	m := newMigration(t)
	for range 2 { // again is the same
		if err := m.run(m.file, m.hcl); err != nil {
			t.Fatal(err)
		}
	}
	back := filepath.Join(m.dir, "back.db")
	if err := m.run(m.hcl, back); err != nil {
		t.Fatal(err)
	}
	if records, err := m.open(back).Releases(m.app); err != nil || len(records) != 3 {
		t.Errorf("%d records came back, %v", len(records), err)
	}
	m.p.flags.store = m.hcl
	if err := m.p.checkStore(); err != nil || !strings.Contains(m.said.String(), "is whole: 1 app") {
		t.Errorf("check: %v\n%s", err, m.said)
	}
}

func TestAStoreThatIsInUseOrHasSomethingElseIsNotMigrated(t *testing.T) {
	m := newMigration(t)
	lock, err := lockFile(m.file + ".lock")
	if err != nil {
		t.Fatal(err)
	}
	refuses(t, m.run(m.file, m.hcl), "another kamald runs with this store")
	_ = lock.Close()
	refuses(t, m.run(m.hcl, m.hcl), "is both stores")
	refuses(t, m.run(filepath.Join(m.dir, "nowhere.db"), m.hcl), "there is no store at")
	if err := m.run(m.file, m.hcl); err != nil {
		t.Fatal(err)
	}
	if err := m.open(m.file).SaveRelease(state.Record{App: m.app, Number: 1, Reason: "another"}); err != nil {
		t.Fatal(err)
	}
	refuses(t, m.run(m.file, m.hcl), "is not empty", "a release of shop", "next: ")
	m.led()
	refuses(t, m.run(m.hcl, m.file), "bastion-1 (shop)", "next: ")
}

// What is in the file that the cluster was filled from is old by then.
func TestABackupOfAClusterHasWhatCameSinceTheMigrationAlsoWhileABastionLeads(t *testing.T) {
	m := newMigration(t)
	if err := m.run(m.file, m.hcl); err != nil {
		t.Fatal(err)
	}
	leading := m.led()
	if err := leading.SaveRelease(state.Record{App: m.app, Number: 4}); err != nil {
		t.Fatal(err)
	}
	m.p.flags.store = m.hcl
	for from, says := range map[string]string{m.hcl: "stays as it is", "": "that is the store that commands use here"} {
		m.said.Reset()
		backup := filepath.Join(m.dir, "backup-"+filepath.Base(from)+".db")
		if err := m.run(from, backup); err != nil {
			t.Fatal(err)
		}
		if records, err := m.open(backup).Releases(m.app); err != nil || len(records) != 4 {
			t.Errorf("%d records are in the backup, %v", len(records), err)
		}
		for _, part := range []string{says, "etcd at http", "Led meanwhile by bastion-1 (shop)"} {
			if !strings.Contains(m.said.String(), part) {
				t.Errorf("no %q:\n%s", part, m.said)
			}
		}
		refuses(t, m.run(from, backup), "bastion-1 (shop)") // a file that is there is no backup's to write over
	}
	if left, _ := filepath.Glob(filepath.Join(m.dir, "*.part*")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// migration is a store in a file with three releases, and an empty one in etcd.
type migration struct {
	t              *testing.T
	app            state.App
	dir, file, hcl string
	p              *program
	said           *bytes.Buffer
}

func newMigration(t *testing.T) *migration {
	t.Helper()
	m := &migration{t: t, app: state.App{Service: "shop"}, dir: t.TempDir(), said: &bytes.Buffer{}}
	m.p = &program{out: terminal{Writer: m.said}, err: terminal{Writer: m.said}}
	m.file, m.hcl = filepath.Join(m.dir, "state.db"), filepath.Join(m.dir, "kamald.hcl")
	if err := os.WriteFile(m.hcl, fmt.Appendf(nil, "store { etcd = [%q] }\n", etcdtest.Start(t, 1).Members[0].Endpoint), 0o600); err != nil {
		t.Fatal(err)
	}
	for n := range 3 {
		if err := m.open(m.file).SaveRelease(state.Record{App: m.app, Number: n + 1}); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

func (m *migration) run(from, to string) error { return m.p.migrate(from, to) }

func (m *migration) open(path string) *bolt.Store {
	m.t.Helper()
	store, err := bolt.Open(path)
	if err != nil {
		m.t.Fatal(err)
	}
	return store
}

func refuses(t *testing.T, err error, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("no %q: %v", part, err)
		}
	}
}

// led has a bastion lead the app in the cluster, for as long as the test lasts, and gives the store.
func (m *migration) led() *etcd.Store {
	m.t.Helper()
	at, err := placeOf(m.hcl)
	if err != nil {
		m.t.Fatal(err)
	}
	store, err := at.openCluster()
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { _ = store.Close() })
	elector := store.NewElector("bastion-1", time.Minute)
	m.t.Cleanup(func() { _ = elector.Close() })
	if _, err := elector.Campaign(m.t.Context(), m.app); err != nil {
		m.t.Fatal(err)
	}
	return store
}
