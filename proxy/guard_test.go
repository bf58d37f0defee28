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

func TestAPathThatLeadsOutOfItsRouteIsRefused(t *testing.T) {
	f := startProxy(t)
	root, api := &witness{}, &witness{}
	f.deploy(deployRequest("root", backend(t, root.handle), "app.test"))
	req := deployRequest("api", backend(t, api.handle), "app.test")
	req.Options.PathPrefixes = []string{"/api"}
	f.deploy(req)
	for _, c := range []struct{ path, root, api string }{
		{"/api/x", "", "/x"},
		{"/api/../admin", "", ""},
		{"/api/%2e%2e/admin", "", ""},
		{"/x/../api/y", "", ""},
		{"/x/%2E./api/y", "", ""},
		{"/api/a/../b", "", "/a/../b"},
		{"/a/../b", "/a/../b", ""},
		{"/api/.well-known/x", "", "/.well-known/x"},
		{"//api/x", "//api/x", ""},
		{"/api//evil.test/x", "", "//evil.test/x"},
		{"/api%2fx", "/api%2fx", ""},
		{"/api/a%2fb%3f%23", "", "/a%2fb%3f%23"},
		{"/%61pi/x", "", "/x"},
		{"/apix", "/apix", ""},
	} {
		root.forget()
		api.forget()
		codes := f.raw("GET " + c.path + " HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n")
		want := http.StatusOK
		if c.root+c.api == "" {
			want = http.StatusBadRequest
		}
		if fmt.Sprint(codes) != fmt.Sprintf("[%d]", want) {
			t.Errorf("%s: %v, want %d", c.path, codes, want)
		}
		for name, app := range map[string]struct {
			*witness
			want string
		}{"root": {root, c.root}, "api": {api, c.api}} {
			wanted := "[]"
			if app.want != "" {
				wanted = "[GET " + app.want + " app.test ]"
			}
			if got := fmt.Sprint(app.all()); got != wanted {
				t.Errorf("%s: %s saw %s, want %s", c.path, name, got, wanted)
			}
		}
	}
}

// asked sends a request as text and returns the headers that the app got.
func (f *fixture) asked(app *witness, lines ...string) http.Header {
	f.t.Helper()
	app.forget()
	codes := f.raw("GET / HTTP/1.1\r\nHost: app.test\r\n" + strings.Join(append(lines, "Connection: close"), "\r\n") + "\r\n\r\n")
	app.mu.Lock()
	defer app.mu.Unlock()
	if len(app.head) != 1 {
		f.t.Fatalf("%q: answered %v, the app saw %d requests", lines, codes, len(app.head))
	}
	return app.head[0]
}

func TestAClientCannotForgeOrTakeAwayWhatTheProxySays(t *testing.T) {
	f := startProxy(t)
	app := &witness{}
	target := backend(t, app.handle)
	for _, trusted := range []bool{false, true} {
		req := deployRequest("app", target, "app.test")
		req.TargetOptions.ForwardHeaders = trusted
		f.deploy(req)
		got := f.asked(app,
			"X-Forwarded-For: 6.6.6.6", "X-Forwarded-Proto: https", "X-Forwarded-Port: 443", "X-Forwarded-Ssl: on", "X-Real-IP: 6.6.6.6",
			"Forwarded: for=6.6.6.6", "X-Request-Start: t=1", "X-Kamal-Target: mine:80",
			"X_Forwarded_For: 7.7.7.7", "X_Real_IP: 7.7.7.7", "X_Forwarded_Proto: https", "Content_Length: 5", "X_Request_Id: 7", "X_Own: kept")
		want := map[string]string{
			"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "http", "X-Forwarded-Port": "", "X-Forwarded-Ssl": "", "X-Real-Ip": "",
			"Forwarded": "", "X-Kamal-Target": target, "X_forwarded_for": "", "X_real_ip": "", "X_forwarded_proto": "",
			"Content_length": "", "X_request_id": "", "X_own": "kept",
		}
		if trusted {
			for name, value := range map[string]string{
				"X-Forwarded-For": "6.6.6.6, 127.0.0.1", "X-Forwarded-Proto": "https", "X-Forwarded-Port": "443",
				"X-Forwarded-Ssl": "on", "X-Real-Ip": "6.6.6.6", "X-Request-Start": "t=1", "X-Kamal-Target": "mine:80, " + target,
			} {
				want[name] = value
			}
		}
		for name, value := range want {
			if got.Get(name) != value {
				t.Errorf("trusted %v: %s is %q, want %q", trusted, name, got.Get(name), value)
			}
		}
		if start := got.Get("X-Request-Start"); !trusted && (start == "t=1" || !strings.HasPrefix(start, "t=")) {
			t.Errorf("X-Request-Start is %q although it is not to be trusted", start)
		}
		got = f.asked(app, "Connection: X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host, X-Request-Id, X-Kamal-Target, X-Request-Start", "X-Request-Id: mine")
		for _, name := range []string{"X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Request-Id", "X-Kamal-Target", "X-Request-Start"} {
			if got.Get(name) == "" {
				t.Errorf("trusted %v: naming %s in Connection took it away", trusted, name)
			}
		}
	}
}

func TestTheClientIPHeaderCountsOnlyWhenItIsAnAddress(t *testing.T) {
	f := startProxy(t)
	app := &witness{}
	req := deployRequest("app", backend(t, app.handle), "app.test")
	req.Options.ClientIPHeader, req.TargetOptions.ForwardHeaders = "CF-Connecting-IP", false
	f.deploy(req)
	for text, want := range map[string]string{
		"8.8.8.8": "8.8.8.8", "2001:db8::1": "2001:db8::1", "[2001:db8::1]:4711": "2001:db8::1", "8.8.8.8:4711": "8.8.8.8",
		"8.8.8.8, 9.9.9.9": "127.0.0.1", "somebody": "127.0.0.1", "": "127.0.0.1",
	} {
		if got := f.asked(app, "CF-Connecting-IP: "+text).Get("X-Forwarded-For"); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}

func TestARequestIDThatCouldForgeALogIsReplaced(t *testing.T) {
	f := startProxy(t)
	app := &witness{}
	f.deploy(deployRequest("app", backend(t, app.handle), "app.test"))
	for id, kept := range map[string]bool{
		"a-1_2.3:4/5+6=@7~": true, strings.Repeat("x", maxRequestID): true, strings.Repeat("x", maxRequestID+1): false,
		`a","status":200`: false, "a b": false, "\x1b[31mred": false, "ä": false, "a\tb": false, "<b>": false,
	} {
		if strings.ContainsRune(id, '\x1b') {
			continue // the server refuses control characters by itself
		}
		if got := f.asked(app, "X-Request-Id: "+id).Get("X-Request-Id"); (got == id) != kept || got == "" {
			t.Errorf("ID %q became %q", id, got)
		}
	}
}

func TestAnUpgradeToHTTP2IsNotPassedOn(t *testing.T) {
	f := startProxy(t)
	app := &witness{}
	f.deploy(deployRequest("app", backend(t, app.handle), "app.test"))
	for _, upgrade := range []string{"h2c", "H2C", "websocket, h2c", "HTTP/2.0", "TLS/1.0"} {
		got := f.asked(app, "Connection: Upgrade, HTTP2-Settings", "Upgrade: "+upgrade, "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA")
		if got.Get("Upgrade") != "" || got.Get("Http2-Settings") != "" {
			t.Errorf("%s: the target was asked for %v", upgrade, got)
		}
	}
	if got := f.asked(app, "Connection: Upgrade", "Upgrade: websocket"); got.Get("Upgrade") != "websocket" {
		t.Errorf("a websocket's wish did not reach the target: %v", got)
	}
}

func TestForbiddenTrailersAreNotPassedOn(t *testing.T) {
	f := startProxy(t)
	got := make(chan http.Header, 1)
	f.deploy(deployRequest("app", backend(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		got <- r.Trailer
	}), "app.test"))
	f.raw("POST / HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum, X-Forwarded-For, Cookie\r\n\r\n" +
		"3\r\nabc\r\n0\r\nX-Sum: 1\r\nX-Forwarded-For: 6.6.6.6\r\nCookie: a=b\r\nAuthorization: x\r\n\r\n")
	trailer := receive(t, "the request", got)
	if len(trailer) != 1 || trailer.Get("X-Sum") != "1" {
		t.Errorf("trailers %v, want X-Sum alone", trailer)
	}
}

func TestAnUpgradeThatTheAppDoesNotKnowIsAnOrdinaryRequest(t *testing.T) {
	f := startProxy(t)
	f.deploy(deployRequest("app", backend(t, says("no")), "app.test"))
	conn, err := net.Dial("tcp", f.address())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	r := bufio.NewReader(conn)
	for range 2 { // the connection goes on
		fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: app.test\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n")
		resp, err := http.ReadResponse(r, nil)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%v, %v", resp, err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
	}
}
