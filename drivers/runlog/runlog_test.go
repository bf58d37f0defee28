package runlog

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

var began = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

func run() Run {
	return Run{ID: "r1", Command: "apply", Service: "shop", Destination: "staging", Version: "v2", Performer: "ann@desk", Kamald: "1.2.3", Began: began}
}

func TestAFileHoldsEveryEventAndTheEnd(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log", "kamald")
	f := NewFile(dir, run())
	f.Write(Entry{At: began, Kind: "planned", Message: "steps planned: 2"})
	f.Write(Entry{At: began.Add(time.Second), Kind: "begin", Host: "h1", Message: "start shop-web-v2"})
	f.Write(Entry{At: began.Add(2 * time.Second), Kind: "done", Host: "h1", Message: "start\nshop-web-v2", Took: time.Second})
	name, err := f.End(Ending{At: began.Add(3 * time.Second), Outcome: "succeeded", Release: 7})
	if err != nil || name != filepath.Join(dir, "2026-03-04T05-06-07_staging_apply.log") {
		t.Fatalf("%q, %v", name, err)
	}
	got, err := os.ReadFile(name)
	want := `# kamald 1.2.3: apply of shop/staging v2 by ann@desk, run r1
2026-03-04T05:06:07Z - planned steps planned: 2
2026-03-04T05:06:08Z h1 begin start shop-web-v2
2026-03-04T05:06:09Z h1 done start shop-web-v2 (1.0s)
# Completed in 3.0s: succeeded, release 7
`
	if err != nil || string(got) != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestTwoRunsInOneSecondHaveAFileEach(t *testing.T) {
	dir := t.TempDir()
	names := map[string]bool{}
	for range 3 {
		f := NewFile(dir, run())
		f.Write(Entry{Kind: "lock", Message: "took it"})
		name, err := f.End(Ending{At: began, Err: errors.New("web-1:\n  it is gone")})
		if err != nil {
			t.Fatal(err)
		}
		names[name] = true
		if got, _ := os.ReadFile(name); !strings.HasSuffix(string(got), "# FAILED: web-1: it is gone (0.0s)\n") {
			t.Errorf("%s", got)
		}
	}
	if len(names) != 3 {
		t.Errorf("the files are %v", names)
	}
}

func TestARunWithNothingToDoLeavesNoFile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	f := NewFile(dir, run())
	f.Write(Entry{Kind: "news", Message: "web-1 is held"})
	if name, err := f.End(Ending{At: began, Outcome: "succeeded"}); name != "" || err != nil {
		t.Errorf("%q, %v", name, err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("the directory was made")
	}
	f = NewFile(dir, run())
	f.Write(Entry{Kind: "planned", Message: "0 steps"})
	if name, err := f.End(Ending{At: began, Err: errors.New("a host cannot be reached")}); name == "" || err != nil {
		t.Errorf("a failure is not logged: %v", err)
	}
}

func TestAFileThatCannotBeMadeIsAnErrorAtTheEndOnly(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f := NewFile(dir, run())
	f.Write(Entry{Kind: "begin", Message: "x"})
	f.Write(Entry{Kind: "done", Message: "x"})
	if _, err := f.End(Ending{At: began}); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("%v", err)
	}
}

// collector is one that keeps what it is sent.
type collector struct {
	mu       sync.Mutex
	requests []exportRequest
	status   int
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	var request exportRequest
	if r.URL.Path == "/v1/traces" {
		w.WriteHeader(http.StatusNotFound) // it takes logs only
		return
	}
	if r.URL.Path != "/v1/logs" || r.Header.Get("Content-Type") != "application/json" || json.Unmarshal(body, &request) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	c.requests = append(c.requests, request)
	if c.status != 0 {
		w.WriteHeader(c.status)
		fmt.Fprint(w, "no room\nleft")
	}
}

func (c *collector) records() (all []logRecord) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, request := range c.requests {
		all = append(all, request.ResourceLogs[0].ScopeLogs[0].LogRecords...)
	}
	return all
}

func (r logRecord) attribute(key string) string {
	for _, a := range r.Attributes {
		if a.Key == key {
			return a.Value.StringValue
		}
	}
	return ""
}

func TestACollectorGetsTheRunAndItsEvents(t *testing.T) {
	kept := &collector{}
	server := httptest.NewServer(kept)
	defer server.Close()
	c := NewCollector(server.URL+"/", run())
	var all sync.WaitGroup
	for n := range 250 {
		all.Go(func() {
			c.Write(Entry{At: began, Kind: "done", Host: fmt.Sprintf("h%d", n), Role: "web", Step: "start", Message: "start", Took: 1500 * time.Millisecond})
		})
	}
	all.Wait()
	c.Write(Entry{At: began, Kind: "failed", Host: "h1", Message: "it exits"})
	if err := c.End(Ending{At: began.Add(time.Second), Outcome: "failed", Release: 7, Version: "v2", Err: errors.New("web-1 failed")}); err != nil {
		t.Fatal(err)
	}
	c.Write(Entry{Kind: "late"}) // is dropped
	records := kept.records()
	if len(records) != 253 || len(kept.requests) < 3 {
		t.Fatalf("%d records in %d requests", len(records), len(kept.requests))
	}
	first, failed, last := records[0], records[251], records[252]
	if first.EventName != "kamald.start" || first.TimeUnixNano != "1772600767000000000" || first.SeverityText != "INFO" {
		t.Errorf("the first: %+v", first)
	}
	if failed.SeverityNumber != failure || failed.attribute("server.address") != "h1" || records[1].attribute("kamald.role") != "web" || records[1].attribute("kamald.step") != "start" || records[1].attribute("kamald.seconds") != "1.500" || failed.Body.StringValue != "it exits" {
		t.Errorf("a failed step: %+v", failed)
	}
	if last.EventName != "kamald.failed" || last.attribute("deployment.id") != "7" || last.attribute("deployment.status") != "failed" || last.Body.StringValue != "web-1 failed" {
		t.Errorf("the last: %+v", last)
	}
	about := logRecord{Attributes: kept.requests[0].ResourceLogs[0].Resource.Attributes}
	for key, want := range map[string]string{"service.name": "kamald", "service.namespace": "shop", "deployment.environment.name": "staging", "kamald.run_id": "r1", "kamald.performer": "ann@desk"} {
		if got := about.attribute(key); got != want {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
}

func TestACollectorThatRefusesIsAskedOnceAndNamed(t *testing.T) {
	kept := &collector{status: http.StatusServiceUnavailable}
	server := httptest.NewServer(kept)
	defer server.Close()
	c := NewCollector(server.URL, run())
	for range 350 {
		c.Write(Entry{Kind: "done", Message: "x"})
	}
	err := c.End(Ending{At: began, Outcome: "succeeded"})
	if err == nil || !strings.Contains(err.Error(), server.URL+"/v1/logs") || !strings.Contains(err.Error(), "503 Service Unavailable no room left") {
		t.Errorf("%v", err)
	}
	if len(kept.requests) != 1 {
		t.Errorf("%d requests", len(kept.requests))
	}
}

func TestACollectorThatIsDownIsAnErrorAtTheEndOnly(t *testing.T) {
	server := httptest.NewServer(&collector{})
	server.Close()
	c := NewCollector(server.URL, run())
	c.Write(Entry{Kind: "done"})
	if err := c.End(Ending{At: began}); err == nil || !strings.Contains(err.Error(), "could not be sent") {
		t.Errorf("%v", err)
	}
}
