package console

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kamald/kamald/reconcile/loop"
)

// post sends a form, as a page of ours does.
func (f *fixture) post(via Via, path string, form url.Values, change ...func(*http.Request)) *httptest.ResponseRecorder {
	return f.askVia(via, "POST", path, form.Encode(), append([]func(*http.Request){func(r *http.Request) {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}}, change...)...)
}

// loggedIn gives the cookie of a session.
func (f *fixture) loggedIn(via Via, name string) *http.Cookie {
	f.t.Helper()
	w := f.post(via, "/login", url.Values{"token": {" " + shown[name] + "\n"}})
	for _, cookie := range w.Result().Cookies() {
		if strings.HasSuffix(cookie.Name, "kamald") {
			return cookie
		}
	}
	f.t.Fatalf("no session: %d %s", w.Code, w.Body)
	return nil
}

func with(cookie *http.Cookie) func(*http.Request) {
	return func(r *http.Request) { r.AddCookie(cookie) }
}

func TestASessionsCookieIsTheBrowsersAlone(t *testing.T) {
	f := newFixture(t)
	for via, name := range map[Via]string{ViaLoopback: "kamald", ViaHTTPS: "__Host-kamald"} {
		c := f.loggedIn(via, "reader")
		if c.Name != name || !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Secure != (via == ViaHTTPS) || c.Path != "/" || c.Domain != "" || c.MaxAge != int(sessionLife/time.Second) {
			t.Errorf("%+v", c)
		}
		if strings.Contains(c.Value, shown["reader"]) || len(c.Value) < 40 {
			t.Errorf("the session is %q", c.Value)
		}
	}
	first, second := f.loggedIn(ViaLoopback, "reader"), f.loggedIn(ViaLoopback, "reader")
	if first.Value == second.Value {
		t.Error("two sessions are one")
	}
	for key := range f.sessions.open {
		if key == first.Value {
			t.Error("what a browser holds is kept as it is")
		}
	}
}

func TestASessionEnds(t *testing.T) {
	f := newFixture(t)
	now := time.Now()
	f.opts.Now = func() time.Time { return now }
	code := func(c *http.Cookie) int { return f.ask("GET", "/v1/apps", "", with(c)).Code }
	idle, used, left := f.loggedIn(ViaLoopback, "reader"), f.loggedIn(ViaLoopback, "reader"), f.loggedIn(ViaLoopback, "reader")
	if code(left) != 200 {
		t.Error("it does not begin")
	}
	if w := f.post(ViaLoopback, "/logout", nil, with(left)); w.Code != http.StatusSeeOther || code(left) != 401 {
		t.Error("leaving does not end it")
	}
	for range 7 {
		now = now.Add(sessionIdle - time.Minute)
		if now.Sub(f.sessions.open[sessionKey(used.Value)].ends) < 0 && code(used) != 200 {
			t.Fatal("one that is used ends")
		}
	}
	if code(idle) != 401 {
		t.Error("one that is not used lasts")
	}
	if code(used) != 401 {
		t.Error("one that is used lasts for ever")
	}
	third := f.loggedIn(ViaLoopback, "reader")
	f.keys.tokens[0].Name = "renamed"
	if code(third) != 401 {
		t.Error("one whose token is gone lasts")
	}
}

func TestALoginInPlaceOfAnotherEndsIt(t *testing.T) {
	f := newFixture(t)
	first := f.loggedIn(ViaLoopback, "reader")
	if w := f.post(ViaLoopback, "/login", url.Values{"token": {shown["admin"]}}, with(first)); w.Code != http.StatusSeeOther {
		t.Fatal(w.Code)
	}
	if got := f.ask("GET", "/v1/apps", "", with(first)).Code; got != 401 {
		t.Errorf("the session before: %d", got)
	}
}

func TestSessionsAreBounded(t *testing.T) {
	var s sessions
	now := time.Now()
	first := s.begin("a", now)
	for i := range sessionMost {
		s.begin("b", now.Add(time.Duration(i+1)*time.Millisecond))
	}
	if _, _, ok := s.use(first, now); ok || len(s.open) != sessionMost {
		t.Errorf("%d are open, the oldest too: %v", len(s.open), ok)
	}
}

func TestALoginLeadsNowhereElse(t *testing.T) {
	f := newFixture(t)
	for next, want := range map[string]string{
		"/apps/shop?x=1": "/apps/shop?x=1", "": "/", "https://evil.example/": "/", "//evil.example/": "/", "/\\evil.example": "/", "javascript:alert(1)": "/", "/\t/evil.example": "/", "http:evil": "/",
	} {
		w := f.post(ViaLoopback, "/login", url.Values{"token": {shown["reader"]}, "next": {next}})
		if got := w.Header().Get("Location"); got != want {
			t.Errorf("next %q leads to %q", next, got)
		}
		w = f.post(ViaLoopback, "/theme", url.Values{"theme": {"dark"}, "back": {next}})
		if got := w.Header().Get("Location"); got != want {
			t.Errorf("back %q leads to %q", next, got)
		}
	}
}

func TestWrongLoginsAreSlowedDownAndShowNoToken(t *testing.T) {
	f := newFixture(t)
	for range attemptBurst {
		if w := f.post(ViaLoopback, "/login", url.Values{"token": {"hunter2"}}); w.Code != 401 || strings.Contains(w.Body.String(), "hunter2") || len(w.Result().Cookies()) != 0 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	}
	if w := f.post(ViaLoopback, "/login", url.Values{"token": {shown["admin"]}}); w.Code != 429 || len(w.Result().Cookies()) != 0 {
		t.Errorf("after them: %d", w.Code)
	}
}

// TestARequestThatAnotherPageMakesHasNoSession, but for following a link.
func TestARequestThatAnotherPageMakesHasNoSession(t *testing.T) {
	f := newFixture(t)
	c := f.loggedIn(ViaLoopback, "admin")
	for _, try := range []struct {
		site, mode, dest string
		want             int
	}{
		{"same-origin", "cors", "empty", 200}, {"none", "navigate", "document", 200}, {"", "", "", 200}, {"cross-site", "navigate", "document", 200},
		{"same-site", "no-cors", "image", 401}, {"same-site", "cors", "empty", 401}, {"cross-site", "navigate", "iframe", 401}, {"same-site", "websocket", "websocket", 401},
	} {
		got := f.ask("GET", "/v1/apps", "", with(c), func(r *http.Request) {
			r.Header.Set("Sec-Fetch-Site", try.site)
			r.Header.Set("Sec-Fetch-Mode", try.mode)
			r.Header.Set("Sec-Fetch-Dest", try.dest)
		}).Code
		if got != try.want {
			t.Errorf("%+v: %d", try, got)
		}
	}
}

// TestAStreamOutlivesTheLimitsOfRequests, and ends when the server is shut down: nobody waits an hour for that.
func TestAStreamOutlivesTheLimitsOfRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		server := f.HTTP(ViaLoopback)
		pipe := newPipe()
		go func() { _ = server.Serve(pipe) }()
		client := &http.Client{Transport: &http.Transport{DialContext: pipe.dial, DisableKeepAlives: true}}
		r, _ := http.NewRequestWithContext(t.Context(), "GET", "http://localhost/v1/events", nil)
		as("admin")(r)
		w, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		lines := make(chan string, 100)
		go func() { // as fast as they come: whoever does not read is cut off
			for scanner := bufio.NewScanner(w.Body); scanner.Scan(); {
				lines <- scanner.Text()
			}
			close(lines)
		}()
		time.Sleep(3 * time.Minute)
		f.model.change(shop, func(s *loop.Status) { s.Mode = "heal" })
		synctest.Wait()
		heard := ""
		for len(lines) > 0 {
			heard += <-lines
		}
		if !strings.Contains(heard, `"mode":"heal"`) {
			t.Errorf("after three minutes it is not told what happens: %s", heard)
		}
		began := time.Now()
		if err := server.Shutdown(t.Context()); err != nil || time.Since(began) > 5*time.Second {
			t.Errorf("the shutdown took %v: %v", time.Since(began), err)
		}
		_ = w.Body.Close()
		_ = server.Close()
		synctest.Wait()
	})
}

// pipe is a listener in memory.
type pipe struct {
	conns chan net.Conn
	once  chan struct{}
}

func newPipe() *pipe { return &pipe{conns: make(chan net.Conn), once: make(chan struct{})} }

func (p *pipe) dial(context.Context, string, string) (net.Conn, error) {
	here, there := net.Pipe()
	p.conns <- there
	return here, nil
}

func (p *pipe) Accept() (net.Conn, error) {
	select {
	case conn := <-p.conns:
		return conn, nil
	case <-p.once:
		return nil, net.ErrClosed
	}
}

func (p *pipe) Close() error {
	select {
	case <-p.once:
	default:
		close(p.once)
	}
	return nil
}

func (p *pipe) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

// TestTheKernelSaysWhoIsAtTheOtherEnd: this process, with all its groups.
func TestTheKernelSaysWhoIsAtTheOtherEnd(t *testing.T) {
	path := t.TempDir() + "/s"
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Skipf("NOT RUN: the path is too long for a socket: %v", err)
	}
	defer listener.Close()
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	accepted, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer accepted.Close()
	got, err := peerOn(accepted)
	if err != nil || got.uid != os.Getuid() || !slices.Contains(got.gids, os.Getgid()) {
		t.Errorf("%+v: %v", got, err)
	}
	groups, err := os.Getgroups()
	if err != nil {
		t.Fatal(err)
	}
	for _, group := range groups {
		if !slices.Contains(got.gids, group) {
			t.Errorf("group %d is not known of %v", group, got.gids)
		}
	}
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if _, err := peerOn(a); err == nil {
		t.Error("something is at the other end of a pipe")
	}
}
