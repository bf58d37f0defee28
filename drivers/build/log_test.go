package build

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kamald/kamald/release"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func newTestLog(t *testing.T, dir string, live *bytes.Buffer, began time.Time) *Log {
	t.Helper()
	log, err := NewLog(dir, "eu", true, live, began)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	return log
}

func TestALogIsAFileABuild(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	var live bytes.Buffer
	first, second := newTestLog(t, dir, &live, noon), newTestLog(t, dir, &live, noon)
	if filepath.Base(first.Name()) != "2026-01-02T12-00-00_eu_build.log" || filepath.Base(second.Name()) != "2026-01-02T12-00-00_eu-2_build.log" {
		t.Errorf("%s, %s", first.Name(), second.Name())
	}
	info, err := os.Stat(first.Name())
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}

func TestALogWritesLinesLiveAndKeepsTheLast(t *testing.T) {
	var live bytes.Buffer
	log := newTestLog(t, t.TempDir(), &live, noon)
	for _, part := range []string{"one\ntw", "o\r\n", "10%\r20%\rthree\n", "\n", "four"} {
		if n, err := log.Write([]byte(part)); n != len(part) || err != nil {
			t.Fatal(n, err)
		}
	}
	log.Note("in the file")
	if got := live.String(); got != "one\ntwo\nthree\n\nfour\n" {
		t.Errorf("live %q", got)
	}
	if got := readText(t, log.Name()); got != "one\ntwo\nthree\n\nfour\nin the file\n" {
		t.Errorf("the file has %q", got)
	}
	if got := strings.Join(log.Last(), "|"); got != "one|two|three|four" {
		t.Errorf("the last are %q", got)
	}
	for range 100 {
		log.Printf("%s", strings.Repeat("x", 2*lineLimit))
	}
	if last := log.Last(); len(last) != lastLines || len(last[0]) != lineLimit {
		t.Errorf("%d lines of %d", len(last), len(last[0]))
	}
}

func TestALogHidesASecretHoweverItComes(t *testing.T) {
	var live bytes.Buffer
	log := newTestLog(t, t.TempDir(), &live, noon)
	log.Hide(release.NewSecret("hunter2"), release.NewSecret("hunter2-longer"), release.NewSecret("first line\nsecond line\n"), release.NewSecret("ab"), release.NewSecret(""))
	log.Printf("a hunter2 b hunter2-longer c aHVudGVyMg== d")
	log.Printf("key: second line; abba")
	if _, err := log.Write([]byte("hun")); err != nil {
		t.Fatal(err)
	}
	log.Printf("ter2")
	log.Hide(release.NewSecret("-----BEGIN\r\n  c2Vjb25kIGxpbmU=\r\n-----END\r\n"))
	for _, said := range []string{"-----BEGIN\r\n", "  c2Vjb25kIGxpbmU=\r\n", "key: c2Vjb25kIGxpbmU=\n", "-----END\n"} {
		if _, err := log.Write([]byte(said)); err != nil {
			t.Fatal(err)
		}
	}
	const want = "a (secret) b (secret) c (secret) d\nkey: (secret); abba\n(secret)\n(secret)\n  (secret)\nkey: (secret)\n(secret)\n"
	if got := live.String(); got != want {
		t.Errorf("live %q", got)
	}
	if got := readText(t, log.Name()); got != want {
		t.Errorf("the file has %q", got)
	}
}

func TestOldLogsAreDroppedWhereTheyAreKamaldsOwn(t *testing.T) {
	dir := t.TempDir()
	var live bytes.Buffer
	for n := range keptLogs + 5 {
		newTestLog(t, dir, &live, noon.Add(time.Duration(n)*time.Minute))
	}
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(names) != keptLogs || filepath.Base(names[0]) != "2026-01-02T12-05-00_eu_build.log" {
		t.Errorf("%v, %v", names, err)
	}
	if _, err := NewLog(dir, "", false, &live, noon.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if names, _ = filepath.Glob(filepath.Join(dir, "*")); len(names) != keptLogs+1 {
		t.Errorf("in the user's own directory %d are left", len(names))
	}
}

func TestALogThatCannotBeWrittenFailsNoBuild(t *testing.T) {
	var live bytes.Buffer
	log := newTestLog(t, t.TempDir(), &live, noon)
	if err := log.file.Close(); err != nil {
		t.Fatal(err)
	}
	if n, err := log.Write([]byte("goes on\n")); n != 8 || err != nil {
		t.Error(n, err)
	}
	if err := log.Close(); err == nil {
		t.Error("nobody is told")
	}
	if live.String() != "goes on\n" {
		t.Errorf("live %q", live.String())
	}
}
