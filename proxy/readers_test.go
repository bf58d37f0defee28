package proxy

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// withReaders is a service whose writer and reader say which they are.
func withReaders(t *testing.T) DeployRequest {
	t.Helper()
	req := deployRequest("app", backend(t, says("writer")), "app.test")
	req.Readers = []string{backend(t, says("reader"))}
	req.Options.WriterAffinityTimeout = time.Hour
	return req
}

func (f *fixture) ask(method, path string, headers ...string) (body string, head http.Header) {
	f.t.Helper()
	r := f.request(method, "app.test", path, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	status, body, head := f.do(r)
	if status != 200 {
		f.t.Fatalf("%s %s: %d %s", method, path, status, body)
	}
	return body, head
}

func (f *fixture) expectAnswer(want, method string, headers ...string) {
	f.t.Helper()
	if got, _ := f.ask(method, "/", headers...); got != want {
		f.t.Errorf("%s with %v was answered by %q, want %q", method, headers, got, want)
	}
}

// cookieOf returns "NAME=VALUE" of a cookie that an answer sets, empty if it does not.
func cookieOf(head http.Header, name string) string {
	for _, c := range (&http.Response{Header: head}).Cookies() {
		if c.Name == name {
			return c.Name + "=" + c.Value
		}
	}
	return ""
}

func TestReadsGoToReadersAndTheRestToWriters(t *testing.T) {
	f := startProxy(t)
	f.deploy(withReaders(t))
	for range 3 {
		f.expectAnswer("reader", http.MethodGet)
		for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions} {
			f.expectAnswer("writer", method)
		}
	}
	if _, head := f.ask(http.MethodGet, "/"); head.Get("Set-Cookie") != "" {
		t.Errorf("a read set %s", head.Get("Set-Cookie"))
	}
	if _, head := f.ask(http.MethodOptions, "/"); head.Get("Set-Cookie") != "" {
		t.Errorf("OPTIONS set %s", head.Get("Set-Cookie"))
	}
}

func TestAClientThatWroteReadsFromTheWriters(t *testing.T) {
	f := startProxy(t)
	f.deploy(withReaders(t))
	_, head := f.ask(http.MethodPost, "/")
	cookie := cookieOf(head, "kamal-writer")
	if len(head["Set-Cookie"]) != 1 || !strings.Contains(head.Get("Set-Cookie"), "HttpOnly") || !strings.Contains(head.Get("Set-Cookie"), "Path=/") {
		t.Errorf("the cookie is %q", head.Get("Set-Cookie"))
	}
	f.expectAnswer("writer", http.MethodGet, "Cookie", cookie)
	f.expectAnswer("reader", http.MethodGet)
	for _, stale := range []time.Time{time.Now().Add(-time.Second), time.Now().Add(48 * time.Hour)} {
		f.expectAnswer("reader", http.MethodGet, "Cookie", "kamal-writer="+strconv.FormatInt(stale.UnixMilli(), 10))
	}
	f.expectAnswer("reader", http.MethodGet, "Cookie", "kamal-writer=soon")
}

func TestAnAppOptsOutOfWriterAffinity(t *testing.T) {
	f := startProxy(t)
	req := withReaders(t)
	req.Targets = []string{backend(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/out" {
			w.Header().Set("X-Writer-Affinity", "false")
		}
		_, _ = w.Write([]byte("writer"))
	})}
	f.deploy(req)
	if _, head := f.ask(http.MethodPost, "/out"); head.Get("Set-Cookie") != "" || head.Get("X-Writer-Affinity") != "" {
		t.Errorf("the answer has %v", head)
	}
	if _, head := f.ask(http.MethodPost, "/in"); cookieOf(head, "kamal-writer") == "" {
		t.Error("a write without the header set no cookie")
	}
	req.Options.WriterAffinityTimeout = 0
	f.deploy(req)
	if _, head := f.ask(http.MethodPost, "/in"); head.Get("Set-Cookie") != "" {
		t.Errorf("without affinity the answer has %v", head)
	}
}

func TestWebsocketsGoToReadersOnlyWhenAllowed(t *testing.T) {
	f := startProxy(t)
	req := withReaders(t)
	f.deploy(req)
	upgrade := []string{"Connection", "keep-alive, Upgrade", "Upgrade", "WebSocket"}
	f.expectAnswer("writer", http.MethodGet, upgrade...)
	req.Options.ReadTargetsAcceptWebsockets = true
	f.deploy(req)
	f.expectAnswer("reader", http.MethodGet, upgrade...)
}

func TestAReaderMustProveItsHealthToo(t *testing.T) {
	f := startProxy(t)
	req := withReaders(t)
	f.deploy(req)
	unwell, _ := sick(t, http.StatusInternalServerError, "replica is behind")
	req.Readers = []string{unwell}
	req.DeployTimeout = 300 * time.Millisecond
	err := f.router.Deploy(t.Context(), req)
	if err == nil || !strings.Contains(err.Error(), unwell) || !strings.Contains(err.Error(), "replica is behind") {
		t.Errorf("the deploy said %v", err)
	}
	f.expectAnswer("reader", http.MethodGet)
}

func TestReadsGoToTheWritersWhenNoReaderAnswers(t *testing.T) {
	f := startProxy(t)
	req := withReaders(t)
	req.Readers = []string{nobody(t), nobody(t)}
	req.Force = true
	req.TargetOptions.HealthCheckConfig.Interval = time.Hour
	f.deploy(req)
	for range 3 {
		f.expectAnswer("writer", http.MethodGet) // refused by both readers, then asked of the writer
	}
	req.TargetOptions.HealthCheckConfig.Interval = 10 * time.Millisecond
	f.deploy(req)
	eventually(t, "the readers are found dead", func() bool {
		i := f.router.List()[0]
		return !i.Targets[1].Healthy && !i.Targets[2].Healthy
	})
	f.expectAnswer("writer", http.MethodGet)
}

func TestAWriteNeverGoesToAReader(t *testing.T) {
	f := startProxy(t)
	req := withReaders(t)
	req.Targets, req.Force = []string{nobody(t)}, true
	f.deploy(req)
	if status, _, _ := f.do(f.request(http.MethodPost, "app.test", "/", nil)); status != http.StatusBadGateway {
		t.Errorf("with no writer a write got %d", status)
	}
	f.expectAnswer("reader", http.MethodGet)
}

func TestReadersSurviveARestart(t *testing.T) {
	f := startProxy(t)
	req := withReaders(t)
	req.Balance = BalanceLeastConnections
	f.deploy(req)
	f = f.restart()
	f.expectAnswer("reader", http.MethodGet)
	f.expectAnswer("writer", http.MethodPost)
	i, err := f.router.Inspect("app")
	if err != nil || i.Balance != BalanceLeastConnections || !i.Targets[1].Reader {
		t.Errorf("inspect says %+v, %v", i, err)
	}
}
