package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// A run is logged to a file of its own and to a collector; one that is down is said, and fails nothing.
func TestARunIsLoggedWhereTheFileSays(t *testing.T) {
	onlyLong(t)
	f := newFixture(t)
	var mu sync.Mutex
	text := ""
	sent := func() string {
		mu.Lock()
		defer mu.Unlock()
		return text
	}
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		text += string(body)
	}))
	defer collector.Close()
	f.deploy(settings{more: fmt.Sprintf("output {\n  file = \"log/kamald\"\n  otel = %q\n}", collector.URL)})
	f.image("v1", nil)
	f.image("v2", map[string]string{"APP_SICK": "true"})
	f.must(0, "apply", "--version", "v1")
	log := f.logFile("apply")
	for _, want := range []string{"apply of shop v1 by ", "done start shop-web-v1 (", "open the barrier", "# Completed in ", ", release 1\n"} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %q:\n%s", want, log)
		}
	}
	for _, want := range []string{`"eventName":"kamald.start"`, `"eventName":"kamald.complete"`, `"server.address","value":{"stringValue":"` + f.host(3).Name, `"deployment.id","value":{"stringValue":"1"}`} {
		if !strings.Contains(sent(), want) {
			t.Errorf("the collector was not sent %s:\n%.2000s", want, sent())
		}
	}
	f.must(0, "apply", "--version", "v1") // nothing to do: no file
	f.logFile("apply")
	collector.Close()
	failed := f.must(1, "apply", "--version", "v2")
	if !strings.Contains(failed.stderr, "the log could not be sent to "+collector.URL) {
		t.Error("it is not said that the collector is down")
	}
	files, err := filepath.Glob(filepath.Join(f.dir, "log/kamald/*.log"))
	if err != nil || len(files) != 2 {
		t.Fatalf("log files: %v, %v", files, err)
	}
	second, err := os.ReadFile(files[1])
	if err != nil || !strings.Contains(string(second), "# FAILED: ") {
		t.Errorf("%v\n%s", err, second)
	}
	f.noCanary("the logs", log+string(second)+sent())
}

// logFile is the content of the only log file.
func (f *fixture) logFile(command string) string {
	f.t.Helper()
	files, err := filepath.Glob(filepath.Join(f.dir, "log/kamald/*_"+command+".log"))
	if err != nil || len(files) != 1 {
		f.t.Fatalf("log files: %v, %v", files, err)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		f.t.Fatal(err)
	}
	return string(text)
}
