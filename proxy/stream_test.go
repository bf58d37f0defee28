package proxy

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// secure deploys an app with a certificate, and returns the address of HTTPS and who trusts it.
func (f *fixture) secure(handle http.HandlerFunc) (address string, roots *x509.CertPool) {
	f.t.Helper()
	req := deployRequest("app", backend(f.t, handle), "app.test")
	req.Options.TLSEnabled = true
	req.Options.TLSCertificatePath, req.Options.TLSPrivateKeyPath, roots = certificateFiles(f.t, "app.test")
	f.deploy(req)
	return fmt.Sprintf("127.0.0.1:%d", f.HTTPSPort()), roots
}

// http2Client speaks HTTP/2 with the proxy for app.test.
func http2Client(t *testing.T, address string, roots *x509.CertPool) *http.Client {
	transport := &http.Transport{
		ForceAttemptHTTP2: true, DisableCompression: true, TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "app.test"},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: redirected{transport, address}, Timeout: patience}
}

// redirected sends requests for any host to one address.
type redirected struct {
	*http.Transport
	address string
}

func (r redirected) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Host, req.URL.Host = "app.test", r.address
	return r.Transport.RoundTrip(req)
}

func TestHTTP2ClientsReachAnHTTP1AppWithBodiesTrailersAndEvents(t *testing.T) {
	f := startProxy(t)
	more := make(chan struct{})
	address, roots := f.secure(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/events" {
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = io.WriteString(w, "data: 1\n\n")
			w.(http.Flusher).Flush()
			<-more
			_, _ = io.WriteString(w, "data: 2\n\n")
			return
		}
		w.Header().Set("Trailer", "X-Sum")
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %d", r.Proto, r.Header.Get("X-Forwarded-Proto"), len(body))
		w.Header().Set("X-Sum", r.Trailer.Get("X-Check"))
	})
	client := http2Client(t, address, roots)
	req, err := http.NewRequest(http.MethodPost, "https://app.test/", io.MultiReader(strings.NewReader(strings.Repeat("x", 1<<20))))
	if err != nil {
		t.Fatal(err)
	}
	req.Trailer = http.Header{"X-Check": {"42"}}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil || resp.ProtoMajor != 2 || string(body) != "HTTP/1.1 https 1048576" || resp.Trailer.Get("X-Sum") != "42" {
		t.Errorf("%s %q %v, trailers %v", resp.Proto, body, err, resp.Trailer)
	}
	resp, err = client.Get("https://app.test/events")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewReader(resp.Body)
	if line, err := lines.ReadString('\n'); line != "data: 1\n" {
		t.Errorf("%q, %v", line, err)
	}
	close(more)
	if rest, err := io.ReadAll(lines); string(rest) != "\ndata: 2\n\n" {
		t.Errorf("%q, %v", rest, err)
	}
}

func TestAnHTTP2StreamThatIsResetEndsTheTargetsRequest(t *testing.T) {
	f := startProxy(t)
	arrived, ended := make(chan struct{}), make(chan struct{})
	address, roots := f.secure(func(_ http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done()
		close(ended)
	})
	client := http2Client(t, address, roots)
	client.Timeout = 0
	done := make(chan struct{})
	go func() {
		defer close(done)
		client.Timeout = 500 * time.Millisecond
		if resp, err := client.Get("https://app.test/"); err == nil {
			_ = resp.Body.Close()
		}
	}()
	receive(t, "the request", arrived)
	receive(t, "the end of the target's request", ended)
	<-done
}

func TestAClientThatTakesNothingOverHTTP2LosesItsStream(t *testing.T) {
	f, log := startLimited(t, Limits{Stall: 100 * time.Millisecond})
	ended := make(chan struct{})
	address, roots := f.secure(func(w http.ResponseWriter, r *http.Request) {
		defer close(ended)
		for {
			if _, err := w.Write(make([]byte, 1<<20)); err != nil {
				return
			}
		}
	})
	resp, err := http2Client(t, address, roots).Get("https://app.test/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() // read by nobody
	receive(t, "the end of the app's answer", ended)
	eventually(t, "the log says so", func() bool { return log.request("outcome") == outcomeClientStalled })
}

// framer opens an HTTP/2 connection that is written frame by frame.
func framer(t *testing.T, address string, roots *x509.CertPool) (*http2.Framer, net.Conn) {
	t.Helper()
	conn, err := tls.Dial("tcp", address, &tls.Config{RootCAs: roots, ServerName: "app.test", NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	fr := http2.NewFramer(conn, conn)
	if err := fr.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	return fr, conn
}

func requestHeaders(extra ...hpack.HeaderField) []byte {
	var b strings.Builder
	enc := hpack.NewEncoder(&b)
	for _, field := range append([]hpack.HeaderField{
		{Name: ":method", Value: "GET"}, {Name: ":scheme", Value: "https"}, {Name: ":authority", Value: "app.test"}, {Name: ":path", Value: "/"},
	}, extra...) {
		_ = enc.WriteField(field)
	}
	return []byte(b.String())
}

func TestAFloodOfResetStreamsReachesTheTargetOnlyInPart(t *testing.T) {
	f := startProxy(t)
	var now, most atomic.Int64
	address, roots := f.secure(func(_ http.ResponseWriter, r *http.Request) {
		n := now.Add(1)
		for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
		}
		select {
		case <-r.Context().Done():
		case <-time.After(50 * time.Millisecond):
		}
		now.Add(-1)
	})
	fr, _ := framer(t, address, roots)
	head := requestHeaders()
	go func() {
		for id := uint32(1); id < 6_000; id += 2 {
			if fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: head, EndStream: true, EndHeaders: true}) != nil ||
				fr.WriteRSTStream(id, http2.ErrCodeCancel) != nil {
				return
			}
		}
		_ = fr.WritePing(false, [8]byte{1})
	}()
	// Told to calm down, or, where the proxy is faster than the flood, at its end.
	for {
		frame, err := fr.ReadFrame()
		if err != nil {
			break
		}
		if ping, ok := frame.(*http2.PingFrame); ok && ping.IsAck() {
			break
		}
		if away, ok := frame.(*http2.GoAwayFrame); ok && away.ErrCode == http2.ErrCodeEnhanceYourCalm {
			break
		}
	}
	if got := most.Load(); got > maxStreams {
		t.Errorf("the target had %d requests at once, the limit is %d", got, maxStreams)
	}
	code, _, _ := f.do(f.request(http.MethodGet, "app.test", "/", nil))
	if code != http.StatusMovedPermanently {
		t.Errorf("others get %d meanwhile", code)
	}
}

func TestHeadersThatAreTooLargeOverHTTP2AreRefused(t *testing.T) {
	f := startProxy(t)
	app := &witness{}
	address, roots := f.secure(app.handle)
	fr, _ := framer(t, address, roots)
	head := requestHeaders(hpack.HeaderField{Name: "x-large", Value: strings.Repeat("x", 14_000), Sensitive: true})
	if err := fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: head, EndStream: true}); err != nil {
		t.Fatal(err)
	}
	go func() { // a flood of continuations
		var b strings.Builder
		enc := hpack.NewEncoder(&b)
		_ = enc.WriteField(hpack.HeaderField{Name: "x-more", Value: strings.Repeat("y", 14_000), Sensitive: true})
		for range 1000 {
			if fr.WriteContinuation(1, false, []byte(b.String())) != nil {
				return
			}
		}
	}()
	for {
		if _, err := fr.ReadFrame(); err != nil {
			break
		}
	}
	if seen := app.all(); len(seen) > 0 {
		t.Errorf("the target saw %v", seen)
	}
}

func TestTheClientIsAskedForItsBodyOnlyWhenTheAppAsks(t *testing.T) {
	f := startProxy(t)
	f.deploy(deployRequest("app", backend(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/refuse" {
			w.WriteHeader(http.StatusExpectationFailed)
			return
		}
		n, _ := io.Copy(io.Discard, r.Body) // net/http says 100 at the first read
		fmt.Fprint(w, n)
	}), "app.test"))
	ask := func(path string) (codes []int, body string) {
		conn, r := f.dial()
		_ = conn.SetDeadline(time.Now().Add(lingerTimeout - time.Second)) // an answer waits for no body that nobody asked for
		fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: app.test\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n", path)
		for {
			resp, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatal(err)
			}
			codes = append(codes, resp.StatusCode)
			if resp.StatusCode != http.StatusContinue {
				text, _ := io.ReadAll(resp.Body)
				return codes, string(text)
			}
			fmt.Fprint(conn, "hello")
		}
	}
	if codes, body := ask("/take"); fmt.Sprint(codes) != "[100 200]" || body != "5" {
		t.Errorf("an app that takes the body: %v %q", codes, body)
	}
	if codes, _ := ask("/refuse"); fmt.Sprint(codes) != "[417]" {
		t.Errorf("an app that refuses: %v, want no 100", codes)
	}
}

func TestEarlyHintsArePassedOn(t *testing.T) {
	f := startProxy(t)
	f.deploy(deployRequest("app", backend(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</a.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		_, _ = io.WriteString(w, "fine")
	}), "app.test"))
	var mu sync.Mutex
	var hints []string
	r := f.request(http.MethodGet, "app.test", "/", nil)
	r = r.WithContext(httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		Got1xxResponse: func(code int, header textproto.MIMEHeader) error {
			mu.Lock()
			defer mu.Unlock()
			hints = append(hints, fmt.Sprint(code, " ", header.Get("Link")))
			return nil
		},
	}))
	code, body, _ := f.do(r)
	mu.Lock()
	defer mu.Unlock()
	if code != 200 || body != "fine" || fmt.Sprint(hints) != "[103 </a.css>; rel=preload]" {
		t.Errorf("%d %q, hints %v", code, body, hints)
	}
}

func TestABadBodyOverHTTP2EndsItsStreamAndNoOther(t *testing.T) {
	f, _ := startLimited(t, Limits{Stall: 200 * time.Millisecond})
	arrived, finish := make(chan struct{}), make(chan struct{})
	address, roots := f.secure(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/other" {
			close(arrived)
			select {
			case <-finish:
			case <-r.Context().Done():
			}
		}
		_, _ = io.Copy(w, r.Body)
	})
	client := http2Client(t, address, roots)
	other := make(chan string, 1)
	go func() {
		resp, err := client.Get("https://app.test/other")
		if err != nil {
			other <- err.Error()
			return
		}
		_ = resp.Body.Close()
		other <- resp.Status
	}()
	receive(t, "the other request", arrived)
	from, to := io.Pipe()
	defer to.Close()
	go func() { _, _ = io.WriteString(to, "a little, and then nothing") }()
	resp, err := client.Post("https://app.test/stalled", "text/plain", from)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusRequestTimeout {
		t.Errorf("the stalled body got %s", resp.Status)
	}
	close(finish)
	if got := receive(t, "the other answer", other); got != "200 OK" {
		t.Errorf("the other request on the connection got %s", got)
	}
}
