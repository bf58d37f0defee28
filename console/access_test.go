package console

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/kamald/kamald/reconcile/loop"
)

// The tokens of the tests, by their names.
var shown = map[string]string{"reader": "read-0123456789", "operator": "operate-0123456789", "admin": "admin-0123456789", "other": "other-0123456789"}

func hashed(token string) string {
	hash := sha256.Sum256([]byte(token))
	return "sha256:" + hex.EncodeToString(hash[:])
}

func tokens() []Token {
	return []Token{
		{Name: "reader", Hash: hashed(shown["reader"]), Role: RoleRead},
		{Name: "operator", Hash: hashed(shown["operator"]), Role: RoleOperate, Apps: []string{"shop"}},
		{Name: "admin", Hash: hashed(shown["admin"]), Role: RoleAdmin},
		{Name: "other", Hash: hashed(shown["other"]), Role: RoleAdmin, Apps: []string{"mailer"}},
	}
}

type fixture struct {
	t     *testing.T
	model *model
	*Server
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	m := newModel(time.Now)
	s, err := New(Options{Daemon: m, History: m, Tokens: tokens(), Owner: Owner{UID: 990, GID: 991}, Version: "1.2.3", Hosts: []string{"kamald.example.com"}, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	return &fixture{t: t, model: m, Server: s}
}

// ask makes a request on the loopback listener and gives the answer.
func (f *fixture) ask(method, path, body string, change ...func(*http.Request)) *httptest.ResponseRecorder {
	return f.askVia(ViaLoopback, method, path, body, change...)
}

func (f *fixture) askVia(via Via, method, path, body string, change ...func(*http.Request)) *httptest.ResponseRecorder {
	f.t.Helper()
	var from io.Reader
	if body != "" {
		from = strings.NewReader(body)
	}
	r := httptest.NewRequestWithContext(f.t.Context(), method, path, from)
	r.Host, r.RemoteAddr = "localhost:8080", "127.0.0.1:40000"
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, with := range change {
		with(r)
	}
	w := httptest.NewRecorder()
	f.Handler(via).ServeHTTP(w, r)
	return w
}

func as(name string) func(*http.Request) {
	return func(r *http.Request) {
		if token, ok := shown[name]; ok {
			r.Header.Set("Authorization", "Bearer "+token)
		} else if name != "" {
			r.Header.Set("Authorization", "Bearer "+name)
		}
	}
}

// fromPeer is a request by the socket.
func fromPeer(uid int, gids ...int) func(*http.Request) {
	return func(r *http.Request) {
		*r = *r.WithContext(context.WithValue(r.Context(), peerKey{}, peer{uid: uid, gids: gids}))
	}
}

// briefly ends a request that would last.
func briefly(r *http.Request) {
	ctx, cancel := context.WithCancel(r.Context())
	cancel()
	*r = *r.WithContext(ctx)
}

// needs says who may what. A route that is not here is a failure: whoever adds one says here who may have it.
var needs = map[string]Role{
	"GET /healthz": RoleNone, "GET /readyz": RoleNone,
	"GET /v1/version": RoleRead, "GET /v1/schema": RoleRead, "GET /v1/events": RoleRead, "GET /v1/apps": RoleRead, "GET /v1/apps/{app}": RoleRead,
	"GET /v1/apps/{app}/history": RoleRead, "GET /v1/apps/{app}/plans": RoleRead, "GET /v1/apps/{app}/events": RoleRead,
	"GET /v1/apps/{app}/drift": RoleRead, "GET /v1/apps/{app}/logs": RoleRead, "GET /v1/tickets/{id}": RoleRead,
	"POST /v1/apps/{app}/release": RoleOperate, "POST /v1/apps/{app}/rollback": RoleOperate, "POST /v1/apps/{app}/pause": RoleOperate,
	"POST /v1/apps/{app}/unpause": RoleOperate, "POST /v1/apps/{app}/resume": RoleOperate, "POST /v1/apps/{app}/look": RoleOperate,
	"POST /v1/apps/{app}/approve": RoleAdmin, "POST /v1/apps/{app}/apply": RoleAdmin,

	"GET /{$}": RoleRead, "GET /login": RoleNone, "POST /login": RoleNone, "POST /logout": RoleNone, "POST /theme": RoleNone, "GET /static/{file}": RoleNone,
	"GET /apps/{app}": RoleRead, "GET /apps/{app}/history": RoleRead, "GET /apps/{app}/audit": RoleRead, "GET /apps/{app}/drift": RoleRead,
	"GET /apps/{app}/logs": RoleRead, "GET /tickets/{id}": RoleRead,
	"GET /apps/{app}/release": RoleOperate, "POST /apps/{app}/release": RoleOperate, "GET /apps/{app}/rollback": RoleOperate, "POST /apps/{app}/rollback": RoleOperate,
	"GET /apps/{app}/pause": RoleOperate, "POST /apps/{app}/pause": RoleOperate, "GET /apps/{app}/unpause": RoleOperate, "POST /apps/{app}/unpause": RoleOperate,
	"GET /apps/{app}/resume": RoleOperate, "POST /apps/{app}/resume": RoleOperate, "GET /apps/{app}/look": RoleOperate, "POST /apps/{app}/look": RoleOperate,
	"GET /apps/{app}/approve": RoleAdmin, "POST /apps/{app}/approve": RoleAdmin,
}

func TestEveryRouteIsForWhomTheTableSaysAndForNobodyElse(t *testing.T) {
	f := newFixture(t)
	ticket, err := f.model.Order(loop.Order{Verb: loop.VerbRelease, App: shop, Version: "v2", By: someone})
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, to := range routes {
		name := to.method + " " + to.pattern
		need, ok := needs[name]
		if !ok || need != to.need {
			t.Errorf("%s needs %s, and here is written %s", name, to.need, need)
		}
		known[name] = true
		path := strings.NewReplacer("{app}", "shop", "{id}", ticket.ID, "{$}", "", "{file}", "app.css").Replace(to.pattern)
		for _, who := range []string{"", "wrong", "reader", "operator", "admin", "other"} {
			f.attempts = newAttempts()
			change := []func(*http.Request){as(who)}
			if to.pattern == "/v1/events" {
				change = append(change, briefly)
			}
			w := f.ask(to.method, path, "{}", change...)
			got := w.Code
			let := got != http.StatusUnauthorized && got != http.StatusForbidden && got != http.StatusNotFound
			if to.need > RoleNone && strings.HasPrefix(w.Header().Get("Location"), "/login") {
				let = false
			}
			if let != mayHave(to, who) {
				t.Errorf("%s as %q: status %d", name, who, got)
			}
		}
	}
	for name := range needs {
		if !known[name] {
			t.Errorf("%s is not in the table", name)
		}
	}
}

// mayHave says it again, in other words than the server's.
func mayHave(to route, who string) bool {
	role := map[string]Role{"reader": RoleRead, "operator": RoleOperate, "admin": RoleAdmin, "other": RoleAdmin}[who]
	ofShop := to.about != aboutNone
	switch {
	case to.need == RoleNone:
		return to.pattern != "/login" || to.method != http.MethodPost // a form without a token logs nobody in
	case role == RoleNone, who == "other" && ofShop:
		return false
	}
	return role >= to.need
}

func TestTheSocketKnowsItsPeers(t *testing.T) {
	f := newFixture(t)
	for _, c := range []struct {
		name      string
		peer      func(*http.Request)
		get, post int
	}{
		{"root", fromPeer(0), 200, 200},
		{"the daemon's user", fromPeer(990, 5), 200, 200},
		{"a member of its group", fromPeer(1000, 1000, 991), 200, 403},
		{"a stranger", fromPeer(1000, 1000), 403, 403},
		{"nobody that the kernel names", func(*http.Request) {}, 401, 401},
		{"a stranger with a token", func(r *http.Request) { fromPeer(1000, 1000)(r); as("admin")(r) }, 403, 403},
	} {
		if got := f.askVia(ViaSocket, "GET", "/v1/apps/shop", "", c.peer).Code; got != c.get {
			t.Errorf("%s reads: %d, want %d", c.name, got, c.get)
		}
		if got := f.askVia(ViaSocket, "POST", "/v1/apps/shop/look", "{}", c.peer).Code; got != c.post {
			t.Errorf("%s has it looked at: %d, want %d", c.name, got, c.post)
		}
	}
	if got := f.askVia(ViaSocket, "GET", "/", "", fromPeer(0)).Code; got != http.StatusNotFound {
		t.Errorf("a browser gets the dashboard without a login by the socket: %d", got)
	}
}

func TestOnlyTheAppsOfATokenAreSeen(t *testing.T) {
	f := newFixture(t)
	got := f.ask("GET", "/v1/apps", "", as("other")).Body.String()
	if !strings.Contains(got, `"mailer"`) || strings.Contains(got, "shop") {
		t.Errorf("a token for mailer sees %s", got)
	}
	missing, others := f.ask("GET", "/v1/apps/nothing", "", as("other")), f.ask("GET", "/v1/apps/shop", "", as("other"))
	if missing.Code != others.Code {
		t.Errorf("whether another's app exists is told: %d and %d", missing.Code, others.Code)
	}
	if got := f.ask("GET", "/v1/apps/shop@eu", "", as("operator")); got.Code != 200 || !strings.Contains(got.Body.String(), `"name":"shop@eu"`) {
		t.Errorf("a token for a service has its destinations: %d %s", got.Code, got.Body)
	}
	if got := f.ask("GET", "/v1/apps/nothing", "", as("admin")); got.Code != 404 || !strings.Contains(got.Body.String(), loop.ErrNoApp.Error()) {
		t.Errorf("no such app: %d %s", got.Code, got.Body)
	}
}

func TestWhatIsAskedUnderAnotherNameIsRefused(t *testing.T) {
	f := newFixture(t)
	for host, want := range map[string]int{
		"localhost:8080": 200, "127.0.0.1:9": 200, "[::1]:8080": 200, "kamald.localhost:8080": 200, "kamald.example.com": 200, "KAMALD.example.com:8080": 200,
		"evil.example": 421, "localhost.evil.example": 421, "10.0.0.8": 421, "": 421, "evil.example:8080": 421,
	} {
		if got := f.ask("GET", "/v1/apps", "", as("admin"), func(r *http.Request) { r.Host = host }).Code; got != want {
			t.Errorf("asked as %q: %d, want %d", host, got, want)
		}
	}
	if got := f.askVia(ViaHTTPS, "GET", "/v1/apps", "", as("admin"), func(r *http.Request) { r.Host = "10.0.0.8:8443" }).Code; got != 200 {
		t.Errorf("asked by HTTPS as its address: %d", got)
	}
}

func TestPagesOfOtherSitesChangeNothing(t *testing.T) {
	f := newFixture(t)
	for name, headers := range map[string]map[string]string{
		"cross-site":   {"Sec-Fetch-Site": "cross-site"},
		"same-site":    {"Sec-Fetch-Site": "same-site"}, // another port of this machine
		"older origin": {"Origin": "http://localhost:9999"},
	} {
		got := f.ask("POST", "/v1/apps/shop/look", "{}", as("admin"), func(r *http.Request) {
			for key, value := range headers {
				r.Header.Set(key, value)
			}
		})
		if got.Code != http.StatusForbidden || f.model.looks != 0 {
			t.Errorf("%s: %d, looked at %d times", name, got.Code, f.model.looks)
		}
	}
	if got := f.ask("POST", "/v1/apps/shop/look", "{}", as("admin"), func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "same-origin") }).Code; got != 200 {
		t.Errorf("our own page: %d", got)
	}
}

func TestEveryAnswerForbidsWhatItNeedsNot(t *testing.T) {
	f := newFixture(t)
	for _, path := range []string{"/v1/apps", "/login", "/nothing", "/v1/apps/shop/history"} {
		h := f.ask("GET", path, "", as("admin")).Header()
		for key, want := range map[string]string{"X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store"} {
			if h.Get(key) != want {
				t.Errorf("%s: %s is %q", path, key, h.Get(key))
			}
		}
		if csp := h.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s: %s", path, csp)
		}
	}
}

func TestBodiesAreJSONOfAKnownForm(t *testing.T) {
	f := newFixture(t)
	for _, c := range []struct {
		kind, body string
		want       int
	}{
		{"application/json", `{"reason":"disk"}`, 200},
		{"application/json; charset=utf-8", `{"reason":"disk"}`, 200},
		{"text/plain", `{"reason":"disk"}`, 415},
		{"application/x-www-form-urlencoded", `reason=disk`, 415},
		{"", `{"reason":"disk"}`, 415},
		{"application/json", `{"reason":"disk","hots":"web-1"}`, 400},
		{"application/json", `{"reason":"disk"} {}`, 400},
		{"application/json", ``, 400},
		{"application/json", `{"reason":" "}`, 400},
		{"application/json", `{"reason":"` + strings.Repeat("x", jsonBytes) + `"}`, 413},
	} {
		got := f.ask("POST", "/v1/apps/shop/pause", c.body, as("admin"), func(r *http.Request) { r.Header.Set("Content-Type", c.kind) })
		if got.Code != c.want {
			t.Errorf("%s %.60s: %d, want %d: %s", c.kind, c.body, got.Code, c.want, got.Body)
		}
	}
	for method, want := range map[string]int{"PUT": 405, "DELETE": 405} {
		if got := f.ask(method, "/v1/apps/shop/pause", "", as("admin")); got.Code != want || got.Header().Get("Allow") == "" {
			t.Errorf("%s: %d", method, got.Code)
		}
	}
}

func TestWhoTriesTokensIsSlowedDown(t *testing.T) {
	f := newFixture(t)
	now := time.Now()
	f.opts.Now = func() time.Time { return now }
	for i := range attemptBurst {
		if got := f.ask("GET", "/v1/apps", "", as("wrong")).Code; got != 401 {
			t.Fatalf("attempt %d: %d", i, got)
		}
	}
	got := f.ask("GET", "/v1/apps", "", as("admin"))
	if got.Code != 429 || got.Header().Get("Retry-After") == "" {
		t.Errorf("after %d wrong tokens: %d", attemptBurst, got.Code)
	}
	if got := f.ask("GET", "/v1/apps", "", as("admin"), func(r *http.Request) { r.RemoteAddr = "10.0.0.9:1" }).Code; got != 200 {
		t.Errorf("another address: %d", got)
	}
	now = now.Add(attemptPause + time.Second)
	if got := f.ask("GET", "/v1/apps", "", as("admin")).Code; got != 200 {
		t.Errorf("after the pause: %d", got)
	}
	for i := range 2 * attemptAll * attemptBurst { // from everywhere
		f.ask("GET", "/v1/apps", "", as("wrong"), func(r *http.Request) { r.RemoteAddr = fmt.Sprintf("10.1.%d.%d:1", i/250, i%250) })
	}
	if got := f.ask("GET", "/v1/apps", "", as("wrong"), func(r *http.Request) { r.RemoteAddr = "10.9.9.9:1" }).Code; got != 429 {
		t.Errorf("after many from everywhere: %d", got)
	}
}

func TestTokensThatCannotBeOnesAreRefused(t *testing.T) {
	m := newModel(time.Now)
	for _, wrong := range [][]Token{
		{{Name: "a", Hash: "secret", Role: RoleRead}},
		{{Name: "a", Hash: "sha256:abcd", Role: RoleRead}},
		{{Name: "a", Hash: hashed("x")}},
		{{Hash: hashed("x"), Role: RoleRead}},
		{{Name: "a", Hash: hashed("x"), Role: RoleRead}, {Name: "a", Hash: hashed("y"), Role: RoleRead}},
	} {
		if _, err := New(Options{Daemon: m, History: m, Tokens: wrong}); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%v: %v", wrong, err)
		}
	}
	if _, err := RoleOf("none"); err == nil {
		t.Error("none is a role that a token may have")
	}
}
