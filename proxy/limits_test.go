package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// dial opens a connection to the proxy that the test's end closes.
func (f *fixture) dial() (net.Conn, *bufio.Reader) {
	f.t.Helper()
	conn, err := net.Dial("tcp", f.address())
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	return conn, bufio.NewReader(conn)
}

func status(t *testing.T, r *bufio.Reader) int {
	t.Helper()
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatalf("reading the answer: %v", err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

func startLimited(t *testing.T, l Limits) (*fixture, *logLines) {
	t.Helper()
	c := proxyConfig(t)
	log := &logLines{started: make(chan int, 1)}
	c.Limits, c.Log = l, newJSONLog(log)
	return startProxyWith(t, c), log
}

func TestABodyThatStallsIsGivenUpWith408(t *testing.T) {
	for _, buffered := range []bool{false, true} {
		f, log := startLimited(t, Limits{Stall: 50 * time.Millisecond})
		req := deployRequest("app", backend(t, func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }), "app.test")
		req.TargetOptions.BufferRequests = buffered
		f.deploy(req)
		conn, r := f.dial()
		fmt.Fprint(conn, "POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 100\r\n\r\nabc")
		if got := status(t, r); got != http.StatusRequestTimeout {
			t.Errorf("buffered %v: %d, want 408", buffered, got)
		}
		if _, err := r.ReadByte(); err != io.EOF {
			t.Errorf("buffered %v: the connection goes on: %v", buffered, err)
		}
		eventually(t, "the log says so", func() bool { return log.request("outcome") == outcomeClientStalled })
	}
}

func TestASlowUploadLivesAsLongAsItGoesOn(t *testing.T) {
	t.Parallel()
	const stall = easyStall
	f, _ := startLimited(t, Limits{Stall: stall})
	f.deploy(deployRequest("app", backend(t, func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, n)
	}), "app.test"))
	from, to := io.Pipe()
	go func() {
		for range 12 { // longer than the limit in all
			time.Sleep(stall / 10)
			_, _ = to.Write(make([]byte, stallProgress))
		}
		_ = to.Close()
	}()
	if code, body, _ := f.do(f.request(http.MethodPost, "app.test", "/", from)); code != 200 || body != fmt.Sprint(12*stallProgress) {
		t.Errorf("%d %s", code, body)
	}
}

func TestABodyThatTricklesIsGivenUp(t *testing.T) {
	f, _ := startLimited(t, Limits{Stall: 100 * time.Millisecond})
	f.deploy(deployRequest("app", backend(t, func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }), "app.test"))
	conn, r := f.dial()
	fmt.Fprint(conn, "POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 1000000\r\n\r\n")
	go func() {
		for {
			if _, err := io.WriteString(conn, "x"); err != nil {
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
	}()
	if got := status(t, r); got != http.StatusRequestTimeout {
		t.Errorf("%d, want 408", got)
	}
}

// easyStall is a limit that a busy machine keeps by far, for tests in which nobody may be cut.
const easyStall = 3 * time.Second

func TestATargetThatDoesNotReadYetIsNoFaultOfTheClient(t *testing.T) {
	t.Parallel()
	f, _ := startLimited(t, Limits{Stall: easyStall})
	f.deploy(deployRequest("app", backend(t, func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(2 * easyStall)
		n, _ := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, n)
	}), "app.test"))
	size := 8 << 20 // more than all buffers on the way hold
	if code, body, _ := f.do(f.request(http.MethodPost, "app.test", "/", strings.NewReader(strings.Repeat("x", size)))); code != 200 || body != fmt.Sprint(size) {
		t.Errorf("%d %s", code, body)
	}
}

func TestAConversationMayBeSilentOnceTheAnswerHasBegun(t *testing.T) {
	t.Parallel()
	f, _ := startLimited(t, Limits{Stall: easyStall})
	f.deploy(deployRequest("app", backend(t, func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex()
		w.(http.Flusher).Flush()
		body, _ := io.ReadAll(r.Body)
		_, _ = w.Write(body)
	}), "app.test"))
	conn, r := f.dial()
	fmt.Fprint(conn, "POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 5\r\n\r\n")
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * easyStall)
	fmt.Fprint(conn, "hello")
	if body, err := io.ReadAll(resp.Body); string(body) != "hello" {
		t.Errorf("%q, %v", body, err)
	}
}

func TestAClientThatTakesNothingIsCut(t *testing.T) {
	f, log := startLimited(t, Limits{Stall: 50 * time.Millisecond})
	ended := make(chan struct{})
	f.deploy(deployRequest("app", backend(t, func(w http.ResponseWriter, r *http.Request) {
		defer close(ended)
		for {
			if _, err := w.Write(make([]byte, 1<<20)); err != nil {
				return
			}
		}
	}), "app.test"))
	conn, _ := f.dial()
	fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: app.test\r\n\r\n")
	receive(t, "the end of the app's answer", ended)
	eventually(t, "the log says so", func() bool { return log.request("outcome") == outcomeClientStalled })
}

func TestASlowReaderIsNotCut(t *testing.T) {
	t.Parallel()
	f, _ := startLimited(t, Limits{Stall: easyStall})
	size := 24 << 20
	f.deploy(deployRequest("app", backend(t, func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write(make([]byte, size)) }), "app.test"))
	conn, r := f.dial()
	fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: app.test\r\n\r\n")
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 12 { // longer than the limit in all
		if _, err := io.CopyN(io.Discard, resp.Body, int64(size/16)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(easyStall / 8)
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Error(err)
	}
}

func TestARequestHeadThatDoesNotEndIsGivenUp(t *testing.T) {
	f, _ := startLimited(t, Limits{HeaderTimeout: 50 * time.Millisecond})
	for _, begun := range []string{"", "GET / HT", "GET / HTTP/1.1\r\nHost: app.test\r\nX: "} {
		conn, r := f.dial()
		_, _ = io.WriteString(conn, begun)
		if _, err := io.ReadAll(r); err != nil {
			t.Errorf("%q: %v, want the connection's end", begun, err)
		}
	}
}

func TestIdleConnectionsMakeWayForNewOnes(t *testing.T) {
	f := startMetered(t, Limits{Connections: 8})
	f.deploy(deployRequest("app", backend(t, says("fine")), "app.test"))
	for range 50 {
		f.dial()
	}
	f.expect("app.test", "/", 200, "fine")
	if n := f.limiter.count(); n > 8 {
		t.Errorf("%d connections are open, the limit is 8", n)
	}
	if got := f.scrape("kamald_proxy_connections_evicted_total"); strings.HasSuffix(got, " 0\n") || got == "" {
		t.Errorf("evictions: %q", got)
	}
}

func TestConnectionsBeyondTheLimitAreRefusedPolitely(t *testing.T) {
	f, log := startLimited(t, Limits{Connections: 3})
	arrived, finish := make(chan struct{}, 3), make(chan struct{})
	f.deploy(deployRequest("app", backend(t, func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		select {
		case <-finish:
		case <-r.Context().Done():
		}
	}), "app.test"))
	var busy []*bufio.Reader
	for range 3 {
		conn, r := f.dial()
		fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: app.test\r\n\r\n")
		receive(t, "a request", arrived)
		busy = append(busy, r)
	}
	conn, r := f.dial()
	fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: app.test\r\n\r\n")
	if got := status(t, r); got != http.StatusServiceUnavailable {
		t.Errorf("%d, want 503", got)
	}
	if _, err := r.ReadByte(); err != io.EOF {
		t.Errorf("the refused connection goes on: %v", err)
	}
	close(finish)
	for _, r := range busy {
		if got := status(t, r); got != 200 {
			t.Errorf("a request from before got %d", got)
		}
	}
	f.expect("app.test", "/", 200, "")
	eventually(t, "the log says so", func() bool { return log.has("Connections refused: too many are open") })
}

func TestBodiesBeyondTheSharedMemoryGoToDiskAndBeyondThatAreRefused(t *testing.T) {
	f, log := startLimited(t, Limits{BufferMemory: 64 << 10, BufferDisk: 1 << 20})
	arrived, finish := make(chan struct{}, 1), make(chan struct{})
	req := deployRequest("app", backend(t, func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		if r.URL.Path == "/hold" {
			arrived <- struct{}{}
			select {
			case <-finish:
			case <-r.Context().Done():
			}
		}
		fmt.Fprint(w, n)
	}), "app.test")
	req.TargetOptions.BufferRequests, req.TargetOptions.BufferResponses = true, true
	f.deploy(req)
	post := func(path string, size int) (int, string) {
		code, body, _ := f.do(f.request(http.MethodPost, "app.test", path, strings.NewReader(strings.Repeat("x", size))))
		return code, body
	}
	held := make(chan string, 1)
	go func() {
		_, body := post("/hold", 900_000)
		held <- body
	}()
	receive(t, "the held request", arrived)
	if used := f.buffers.memoryUsed.Load(); used > 64<<10 {
		t.Errorf("%d bytes in memory, the limit is %d", used, 64<<10)
	}
	if code, _ := post("/", 400_000); code != http.StatusServiceUnavailable {
		t.Errorf("a body without room got %d, want 503", code)
	}
	if code, body := post("/", 50_000); code != 200 || body != "50000" {
		t.Errorf("a body with room on disk got %d %s", code, body)
	}
	close(finish)
	if body := receive(t, "the held request's answer", held); body != "900000" {
		t.Errorf("the held request got %s", body)
	}
	eventually(t, "all room is given back", func() bool { return f.buffers.memoryUsed.Load() == 0 && f.buffers.diskUsed.Load() == 0 })
	if !log.has("No answer") {
		t.Error("the refused body is not in the log")
	}
	if code, _ := post("/", 2<<20); code != http.StatusRequestEntityTooLarge {
		t.Errorf("a body that never finds room got %d, want 413", code)
	}
}

func TestADiskThatDoesNotWorkIsA503(t *testing.T) {
	f := startProxy(t)
	req := deployRequest("app", backend(t, says("fine")), "app.test")
	req.TargetOptions.BufferRequests, req.TargetOptions.MaxMemoryBufferSize = true, 10
	f.deploy(req)
	t.Setenv("TMPDIR", "/dev/null/none")
	code, _, _ := f.do(f.request(http.MethodPost, "app.test", "/", strings.NewReader("more than ten bytes")))
	if code != http.StatusServiceUnavailable {
		t.Errorf("%d, want 503", code)
	}
	f.expect("app.test", "/", 200, "fine")
}

func TestAClientThatHalfClosesIsNotToldThatAllIsWell(t *testing.T) {
	f, log := startLimited(t, Limits{})
	arrived := make(chan struct{})
	f.deploy(deployRequest("app", backend(t, func(_ http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done()
	}), "app.test"))
	conn, r := f.dial()
	fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: app.test\r\n\r\n")
	receive(t, "the request", arrived)
	_ = conn.(*net.TCPConn).CloseWrite()
	if rest, err := io.ReadAll(r); len(rest) > 0 {
		t.Errorf("the client was told %q, %v", rest, err)
	}
	eventually(t, "the log says so", func() bool {
		return log.request("outcome") == outcomeClientGone && log.request("status") == float64(statusClientGone)
	})
}
