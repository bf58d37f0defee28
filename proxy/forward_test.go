package proxy

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// headersSeen is an app that answers with the headers it got, Host among them, as JSON.
func headersSeen(w http.ResponseWriter, r *http.Request) {
	r.Header.Set("Host", r.Host)
	_ = json.NewEncoder(w).Encode(r.Header)
}

func (f *fixture) headers(r *http.Request) http.Header {
	f.t.Helper()
	_, body, _ := f.do(r)
	h := http.Header{}
	if err := json.Unmarshal([]byte(body), &h); err != nil {
		f.t.Fatalf("%v in %q", err, body)
	}
	return h
}

func TestForwardedHeadersAreTrustedOnlyWhenAskedFor(t *testing.T) {
	f := startProxy(t)
	for _, c := range []struct {
		trust             bool
		forwarded, scheme string
	}{{true, "9.9.9.9, 127.0.0.1", "https"}, {false, "127.0.0.1", "http"}} {
		req := deployRequest("app", backend(t, headersSeen), "app.test")
		req.TargetOptions.ForwardHeaders = c.trust
		f.deploy(req)
		r := f.request(http.MethodGet, "app.test", "/", nil)
		r.Header.Set("X-Forwarded-For", "9.9.9.9")
		r.Header.Set("X-Forwarded-Proto", "https")
		r.Header.Set("Connection", "X-Secret")
		r.Header.Set("X-Secret", "hop")
		got := f.headers(r)
		for name, want := range map[string]string{
			"X-Forwarded-For": c.forwarded, "X-Forwarded-Proto": c.scheme, "X-Forwarded-Host": "app.test",
			"Host": "app.test", "X-Secret": "", "Accept-Encoding": "",
		} {
			if got.Get(name) != want {
				t.Errorf("forward-headers %v: %s is %q, want %q", c.trust, name, got.Get(name), want)
			}
		}
	}
}

func TestARequestIDIsSetWhenThereIsNoneAndKeptWhenThereIs(t *testing.T) {
	f := startProxy(t)
	f.deploy(deployRequest("app", backend(t, headersSeen), "app.test"))
	a := f.headers(f.request(http.MethodGet, "app.test", "/", nil)).Get("X-Request-Id")
	b := f.headers(f.request(http.MethodGet, "app.test", "/", nil)).Get("X-Request-Id")
	if len(a) != 36 || a == b {
		t.Errorf("request IDs %q and %q", a, b)
	}
	r := f.request(http.MethodGet, "app.test", "/", nil)
	r.Header.Set("X-Request-Id", "mine")
	if got := f.headers(r).Get("X-Request-Id"); got != "mine" {
		t.Errorf("request ID %q, want the client's", got)
	}
}

// upgrading is an app that echoes lines after an upgrade.
func upgrading(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Upgrade") != "echo" {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	_, _ = io.Copy(conn, rw)
}

func (f *fixture) upgrade(host string) (net.Conn, *bufio.Reader) {
	f.t.Helper()
	conn, err := net.Dial("tcp", f.address())
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n", host)
	r := bufio.NewReader(conn)
	resp, err := http.ReadResponse(r, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		f.t.Fatalf("upgrading: %v %v", resp, err)
	}
	return conn, r
}

func echoes(t *testing.T, conn net.Conn, r *bufio.Reader) {
	t.Helper()
	fmt.Fprintln(conn, "hello")
	if line, err := r.ReadString('\n'); err != nil || line != "hello\n" {
		t.Fatalf("the upgraded connection said %q, %v", line, err)
	}
}

func TestAnUpgradedConnectionLivesThroughTheSwitchUntilTheDrainEnds(t *testing.T) {
	f := startProxy(t)
	f.deploy(deployRequest("app", backend(t, upgrading), "app.test"))
	conn, r := f.upgrade("app.test")
	echoes(t, conn, r)

	req := deployRequest("app", backend(t, says("new")), "app.test")
	req.DrainTimeout = 500 * time.Millisecond
	deployed := make(chan error, 1)
	go func() { deployed <- f.router.Deploy(t.Context(), req) }()
	eventually(t, "the switch", func() bool { _, body := f.get("app.test", "/"); return body == "new" })
	echoes(t, conn, r)
	if err := receive(t, "the deploy", deployed); err != nil {
		t.Fatal(err)
	}
	if _, err := r.ReadByte(); err != io.EOF {
		t.Errorf("after the drain the connection says %v, want its end", err)
	}
}

func TestEventsArriveBeforeTheStreamEnds(t *testing.T) {
	f := startProxy(t)
	finish := make(chan struct{})
	req := deployRequest("app", backend(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
		_, _ = io.WriteString(w, "data: 1\n\n")
		w.(http.Flusher).Flush()
		<-finish
	}), "app.test")
	req.TargetOptions.BufferResponses = true
	f.deploy(req)
	defer close(finish)
	resp, err := f.client.Do(f.request(http.MethodGet, "app.test", "/", nil))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if line, err := bufio.NewReader(resp.Body).ReadString('\n'); line != "data: 1\n" {
		t.Errorf("got %q, %v", line, err)
	}
}

func TestTrailersPassInBothDirections(t *testing.T) {
	for _, buffered := range []bool{false, true} {
		f := startProxy(t)
		req := deployRequest("app", backend(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Trailer", "X-Sum")
			_, _ = io.Copy(w, r.Body)
			w.Header().Set("X-Sum", "got "+r.Trailer.Get("X-Check"))
		}), "app.test")
		req.TargetOptions.BufferRequests, req.TargetOptions.BufferResponses = buffered, buffered
		f.deploy(req)
		r := f.request(http.MethodPost, "app.test", "/", io.MultiReader(strings.NewReader("body")))
		r.Trailer = http.Header{"X-Check": {"42"}}
		resp, err := f.client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || string(body) != "body" || resp.Trailer.Get("X-Sum") != "got 42" {
			t.Errorf("buffered %v: %q, %v, trailers %v", buffered, body, err, resp.Trailer)
		}
	}
}

func TestAnAppMayAnswerWhileItStillReads(t *testing.T) {
	f := startProxy(t)
	f.deploy(deployRequest("app", backend(t, func(w http.ResponseWriter, r *http.Request) {
		if err := http.NewResponseController(w).EnableFullDuplex(); err != nil {
			panic(err)
		}
		lines := bufio.NewReader(r.Body)
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				return
			}
			_, _ = io.WriteString(w, "got "+line)
			w.(http.Flusher).Flush()
		}
	}), "app.test"))
	from, to := io.Pipe()
	type answer struct {
		resp *http.Response
		err  error
	}
	answers := make(chan answer, 1)
	go func() {
		resp, err := f.client.Do(f.request(http.MethodPost, "app.test", "/", from))
		answers <- answer{resp, err}
	}()
	_, _ = io.WriteString(to, "one\n")
	a := receive(t, "the answer's head", answers)
	if a.err != nil {
		t.Fatal(a.err)
	}
	defer a.resp.Body.Close()
	lines := bufio.NewReader(a.resp.Body)
	for _, want := range []string{"got one\n", "got two\n"} {
		if got, err := lines.ReadString('\n'); got != want {
			t.Fatalf("%q, %v, want %q", got, err, want)
		}
		if want == "got one\n" {
			_, _ = io.WriteString(to, "two\n")
		}
	}
	_ = to.Close()
}

func TestAnEarlyRefusalOfABodyLeavesTheConnectionUsable(t *testing.T) {
	f := startProxy(t)
	f.deploy(deployRequest("app", backend(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusUnauthorized)
	}), "app.test"))
	conn, err := net.Dial("tcp", f.address())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	r := bufio.NewReader(conn)
	body := strings.Repeat("x", 100_000)
	for i := range 20 {
		fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		resp, err := http.ReadResponse(r, nil)
		if err != nil || resp.StatusCode != http.StatusUnauthorized {
			t.Fatalf("request %d: %v, %v", i, resp, err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
	}
}

func TestAClientThatDisconnectsEndsTheTargetsRequest(t *testing.T) {
	f := startProxy(t)
	arrived, ended := make(chan struct{}), make(chan struct{})
	f.deploy(deployRequest("app", backend(t, func(_ http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done()
		close(ended)
	}), "app.test"))
	conn, err := net.Dial("tcp", f.address())
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: app.test\r\n\r\n")
	receive(t, "the request", arrived)
	_ = conn.Close()
	receive(t, "the end of the target's request", ended)
}

func TestATargetThatDoesNotAnswerInTimeGets504(t *testing.T) {
	f := startProxy(t)
	req := deployRequest("app", backend(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }), "app.test")
	req.TargetOptions.ResponseTimeout = 20 * time.Millisecond
	f.deploy(req)
	f.expect("app.test", "/", http.StatusGatewayTimeout, "in time")
}

func TestAPanicIsA502AndTheProxyGoesOn(t *testing.T) {
	f := startProxy(t)
	f.deploy(deployRequest("app", backend(t, says("fine")), "app.test"))
	app := f.router.services["app"]
	pool := app.dep.pool
	app.dep.pool = nil
	f.expect("app.test", "/", http.StatusBadGateway, "failed to handle")
	app.dep.pool = pool
	f.expect("app.test", "/", 200, "fine")
}

func TestBufferedBodiesPassWholeAndTooLargeOnesAreRefused(t *testing.T) {
	f := startProxy(t)
	req := deployRequest("app", backend(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Length", fmt.Sprint(r.ContentLength))
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(err)
		}
		_, _ = w.Write(body)
		if r.URL.Path == "/more" {
			_, _ = io.WriteString(w, strings.Repeat("m", 3000))
		}
	}), "app.test")
	o := &req.TargetOptions
	o.BufferRequests, o.BufferResponses, o.MaxMemoryBufferSize = true, true, 1000
	o.MaxRequestBodySize, o.MaxResponseBodySize = 4000, 5000
	f.deploy(req)
	for _, size := range []int{0, 1, 999, 1000, 1001, 4000} {
		text := strings.Repeat("x", size)
		// A reader of unknown length makes a chunked request, which reaches the target with a length.
		status, body, head := f.do(f.request(http.MethodPost, "app.test", "/", io.MultiReader(strings.NewReader(text))))
		if status != 200 || body != text || (size > 0 && head.Get("X-Length") != fmt.Sprint(size)) {
			t.Errorf("%d bytes: %d, %d bytes back, length %s", size, status, len(body), head.Get("X-Length"))
		}
	}
	tooLarge := strings.Repeat("x", 4001)
	for name, body := range map[string]io.Reader{"announced": strings.NewReader(tooLarge), "chunked": io.MultiReader(strings.NewReader(tooLarge))} {
		if status, _, _ := f.do(f.request(http.MethodPost, "app.test", "/", body)); status != http.StatusRequestEntityTooLarge {
			t.Errorf("a too large %s body got %d", name, status)
		}
	}
	if status, _, _ := f.do(f.request(http.MethodPost, "app.test", "/more", strings.NewReader(tooLarge[:4000]))); status != http.StatusInternalServerError {
		t.Errorf("a too large answer got %d", status)
	}
}
