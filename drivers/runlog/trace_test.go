package runlog

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"
)

// received is a span as any receiver of OTLP reads it.
type received struct {
	TraceID, SpanID, ParentSpanID, Name string
	StartTimeUnixNano, EndTimeUnixNano  string
	Kind                                int
	Attributes                          []struct {
		Key   string
		Value struct{ StringValue string }
	}
	Events []struct{ Name string }
	Status struct {
		Code    int
		Message string
	}
}

func (s received) attribute(key string) string {
	for _, a := range s.Attributes {
		if a.Key == key {
			return a.Value.StringValue
		}
	}
	return ""
}

func (s received) times(t *testing.T) (from, to int64) {
	t.Helper()
	from, err := strconv.ParseInt(s.StartTimeUnixNano, 10, 64)
	to, failed := strconv.ParseInt(s.EndTimeUnixNano, 10, 64)
	if err := errors.Join(err, failed); err != nil || from > to {
		t.Errorf("%s: %s to %s: %v", s.Name, s.StartTimeUnixNano, s.EndTimeUnixNano, err)
	}
	return from, to
}

// traced gives what a receiver got of a run, spans by their step, phase or, of the root, "".
func traced(t *testing.T, write func(c *Collector), end Ending) (spans map[string]received, logTrace string) {
	t.Helper()
	spans = map[string]received{}
	requests := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			ResourceSpans []struct {
				Resource   struct{ Attributes []struct{ Key string } }
				ScopeSpans []struct{ Spans []received }
			}
			ResourceLogs []struct {
				ScopeLogs []struct{ LogRecords []struct{ TraceID string } }
			}
		}
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil || r.Method != http.MethodPost {
			t.Error(err)
		}
		if r.URL.Path == "/v1/logs" {
			logTrace = body.ResourceLogs[0].ScopeLogs[0].LogRecords[0].TraceID
			return
		}
		if r.URL.Path != "/v1/traces" || len(body.ResourceSpans) != 1 || len(body.ResourceSpans[0].Resource.Attributes) == 0 {
			t.Errorf("%s: %+v", r.URL.Path, body)
			return
		}
		requests++
		for _, s := range body.ResourceSpans[0].ScopeSpans[0].Spans {
			name := s.attribute("kamald.step")
			if name == "" {
				name = s.attribute("kamald.phase")
			}
			spans[name] = s
		}
	}))
	defer server.Close()
	c := NewCollector(server.URL, run())
	write(c)
	if err := c.End(end); err != nil {
		t.Fatal(err)
	}
	if requests > 1 {
		t.Errorf("a small trace took %d requests", requests)
	}
	return spans, logTrace
}

func second(n float64) time.Time { return began.Add(time.Duration(n * float64(time.Second))) }

func TestARunIsATraceOfItsPhasesAndSteps(t *testing.T) {
	phases := map[string]string{"create/h1/web": "create", "create/h2/web": "create", "start/h1/web": "primary", "prove/h1/web": "primary"}
	spans, logTrace := traced(t, func(c *Collector) {
		c.Write(Entry{At: second(0.5), Kind: "lock", Message: "took it"})
		for _, host := range []string{"h1", "h2"} {
			c.Write(Entry{At: second(1), Kind: "begin", Host: host, Role: "web", Step: "create/" + host + "/web", Message: "create"})
			c.Write(Entry{At: second(2), Kind: "done", Host: host, Role: "web", Step: "create/" + host + "/web", Message: "create", Took: time.Second})
		}
		c.Write(Entry{At: second(2), Kind: "begin", Host: "h1", Role: "web", Step: "start/h1/web"})
		c.Write(Entry{At: second(3), Kind: "failed", Host: "h1", Role: "web", Step: "start/h1/web", Message: "h1:\n  it exits", Took: time.Second})
		c.Write(Entry{At: second(3), Kind: "begin", Host: "h1", Role: "web", Step: "prove/h1/web"}) // and never ends
		c.Write(Entry{At: second(4), Kind: "undone", Host: "h1", Message: "removed shop-web-v2"})
	}, Ending{At: second(5), Outcome: "failed", Release: 7, Version: "v2", Kind: "release", Phases: phases, Err: errors.New("h1: it exits")})
	root := spans[""]
	if len(spans) != 7 || root.ParentSpanID != "" || root.Name != "kamald release" || root.Kind != 1 || root.Status.Code != 2 || root.Status.Message != "h1: it exits" {
		t.Fatalf("%d spans, the root is %+v", len(spans), root)
	}
	for key, want := range map[string]string{"kamald.kind": "release", "kamald.app": "shop", "kamald.destination": "staging", "kamald.deploy_version": "v2", "kamald.outcome": "failed", "deployment.id": "7"} {
		if got := root.attribute(key); got != want {
			t.Errorf("%s of the root is %q, want %q", key, got, want)
		}
	}
	if from, to := root.times(t); from != began.UnixNano() || to != second(5).UnixNano() || len(root.Events) != 1 || root.Events[0].Name != "undone" {
		t.Errorf("the root: %+v", root)
	}
	seen := map[string]bool{}
	for name, s := range spans {
		trace, err := hex.DecodeString(s.TraceID)
		own, failed := hex.DecodeString(s.SpanID)
		if errors.Join(err, failed) != nil || len(trace) != 16 || len(own) != 8 || s.TraceID != root.TraceID || seen[s.SpanID] {
			t.Errorf("%s: trace %s, span %s", name, s.TraceID, s.SpanID)
		}
		seen[s.SpanID] = true
		above := root
		if phase, is := phases[name]; is {
			above = spans[phase]
			if s.attribute("kamald.phase") != phase || s.attribute("kamald.role") != "web" || !strings.HasPrefix(name, s.Name+"/") {
				t.Errorf("%s: %+v", name, s)
			}
		}
		from, to := s.times(t)
		first, last := above.times(t)
		if name != "" && s.ParentSpanID != above.SpanID || from < first || to > last {
			t.Errorf("%s is beneath %s, want %s (%s), and lasts from %d to %d within %d to %d", name, s.ParentSpanID, above.SpanID, above.Name, from, to, first, last)
		}
	}
	for name, code := range map[string]int{"create": 1, "primary": 2, "create/h2/web": 1, "start/h1/web": 2, "prove/h1/web": 2} {
		if spans[name].Status.Code != code {
			t.Errorf("the status of %s is %+v", name, spans[name].Status)
		}
	}
	if from, to := spans["create"].times(t); from != second(1).UnixNano() || to != second(2).UnixNano() {
		t.Errorf("the phase lasts from %d to %d", from, to)
	}
	if logTrace != root.TraceID {
		t.Errorf("the logs are of trace %q", logTrace)
	}
	if spans["start/h1/web"].Status.Message != "h1: it exits" || spans["start/h1/web"].attribute("server.address") != "h1" {
		t.Errorf("%+v", spans["start/h1/web"])
	}
}

func TestARunWithNothingToDoIsNoTrace(t *testing.T) {
	if spans, _ := traced(t, func(c *Collector) { c.Write(Entry{At: began, Kind: "planned"}) }, Ending{At: second(1), Outcome: "succeeded"}); len(spans) != 0 {
		t.Errorf("%+v", spans)
	}
	if spans, _ := traced(t, func(*Collector) {}, Ending{At: second(1), Err: errors.New("nobody is there")}); len(spans) != 1 {
		t.Errorf("of a failure there are %d spans", len(spans))
	}
}

func TestStepsThatTheirClockPutsBesideTheRunAreWithinIt(t *testing.T) {
	spans, _ := traced(t, func(c *Collector) {
		c.Write(Entry{At: second(1), Kind: "done", Step: "tag/h1", Took: time.Hour})
		c.Write(Entry{At: second(9), Kind: "done", Step: "record/h1"})
	}, Ending{At: second(5), Outcome: "succeeded", Phases: map[string]string{"tag/h1": "finish", "record/h1": "finish"}})
	first, last := spans[""].times(t)
	for name, s := range spans {
		if from, to := s.times(t); from < first || to > last {
			t.Errorf("%s lasts from %d to %d", name, from, to)
		}
	}
}

func TestALargeTraceComesInParts(t *testing.T) {
	n := 0
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var body traceRequest
		if r.URL.Path == "/v1/traces" && json.NewDecoder(r.Body).Decode(&body) == nil {
			n += len(body.ResourceSpans[0].ScopeSpans[0].Spans)
		}
	}))
	defer server.Close()
	c := NewCollector(server.URL, run())
	for i := range 2500 {
		c.Write(Entry{At: second(1), Kind: "done", Step: fmt.Sprintf("start/h%d", i)})
	}
	if err := c.End(Ending{At: second(2)}); err != nil || n != 2501 {
		t.Errorf("%d spans came: %v", n, err)
	}
}
