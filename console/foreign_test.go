package console

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// attack is a page of another origin that tries all that a page can, with the browser's cookies, and says how far it came.
const attack = `<!doctype html><title>foreign</title><body>
<iframe name="sink"></iframe><iframe id="frame" src="%[1]s/"></iframe>
<form id="form" method="post" target="sink" action="%[1]s/apps/shop/look"></form>
<form id="pause" method="post" target="sink" action="%[1]s/apps/shop/pause"><input name="reason" value="x"></form>
<form id="json" method="post" target="sink" enctype="text/plain" action="%[1]s/v1/apps/shop/pause"><input name='{"reason":"' value='"}'></form>
<script>
const base = "%[1]s";
const tried = {};
const settle = (name, promise) => { tried[name] = "under way"; promise.then((v) => { tried[name] = v; }, () => { tried[name] = "refused"; }); };
const read = (r) => r.text().then((t) => r.status + " " + r.type + " " + t.slice(0, 40));
settle("GET the API", fetch(base + "/v1/apps", { credentials: "include" }).then(read));
settle("GET a page", fetch(base + "/apps/shop", { credentials: "include", mode: "no-cors" }).then(read));
settle("POST JSON", fetch(base + "/v1/apps/shop/look", { method: "POST", credentials: "include", headers: { "Content-Type": "application/json" }, body: "{}" }).then(read));
settle("POST plain", fetch(base + "/v1/apps/shop/look", { method: "POST", credentials: "include", mode: "no-cors", body: "{}" }).then(read));
settle("POST a form", fetch(base + "/apps/shop/release", { method: "POST", credentials: "include", mode: "no-cors", body: new URLSearchParams({ version: "v9" }) }).then(read));
settle("log out", fetch(base + "/logout", { method: "POST", credentials: "include", mode: "no-cors" }).then(read));
settle("an image", new Promise((ok, no) => { const i = new Image(); i.onload = () => ok("shown"); i.onerror = no; i.src = base + "/apps/shop/look"; }));
settle("a script", new Promise((ok, no) => { const s = document.createElement("script"); s.onload = () => ok("run"); s.onerror = no; s.src = base + "/v1/apps"; document.head.append(s); }));
settle("events", new Promise((ok, no) => { const e = new EventSource(base + "/v1/events", { withCredentials: true }); e.onopen = () => ok("heard"); e.onerror = () => { e.close(); no(); }; }));
settle("a socket", new Promise((ok, no) => { const s = new WebSocket(base.replace("http", "ws") + "/v1/events"); s.onopen = () => ok("heard"); s.onerror = no; }));
settle("a frame", new Promise((ok) => { const f = document.getElementById("frame"); f.onload = () => { let seen = "refused"; try { seen = f.contentWindow.location.href; } catch { seen = "refused"; } ok(seen); }; }));
const sink = document.querySelector("iframe");
(async () => {
  for (const id of ["form", "pause", "json"]) {
    await new Promise((ok) => { sink.onload = ok; document.getElementById(id).submit(); });
    tried[id] = "sent";
  }
  window.sent = true;
})();
window.tried = tried;
window.over = () => window.sent && !Object.values(tried).includes("under way");
</script>`

// TestAPageOfAnotherOriginDoesNothing: on another port of this machine, which a browser counts as the same site and sends cookies
// to, and on another host.
func TestAPageOfAnotherOriginDoesNothing(t *testing.T) {
	f := newFixture(t)
	victim := f.served()
	foreign := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = fmt.Fprintf(w, attack, victim)
	}))
	defer foreign.Close()
	port := foreign.URL[strings.LastIndex(foreign.URL, ":"):]
	b := newTab(t, victim)
	b.login("admin")
	for _, from := range []string{"http://localhost" + port, "http://127.0.0.1" + port, "http://evil.example" + port} {
		b.run(chromedp.Navigate(from))
		b.until(`window.over && window.over()`)
		for name, came := range eval[map[string]string](b, `window.tried`) {
			switch came {
			case "refused", "sent":
			case "0 opaque ": // nothing of the answer can be read
			default:
				t.Errorf("from %s: %s: %s", from, name, came)
			}
		}
	}
	if s := f.model.mustStatus(t, shop); f.model.looks != 0 || len(f.model.tickets) != 0 || len(s.Pauses) != 0 {
		t.Errorf("a page of another origin has done something: looks %d, orders %d, pauses %v", f.model.looks, len(f.model.tickets), s.Pauses)
	}
	b.open("/apps/shop")
	if !b.has("Look now") {
		t.Error("a page of another origin has logged out who was logged in")
	}
	b.click("Look now")
	if f.model.looks != 1 {
		t.Error("our own page cannot do it either: the test shows nothing")
	}
}

// TestANameThatIsPointedHereIsRefused: a page that has its own name pointed at this machine is of one origin with what answers there.
func TestANameThatIsPointedHereIsRefused(t *testing.T) {
	f := newFixture(t)
	victim := f.served()
	b := newTab(t, victim)
	b.login("admin")
	b.run(chromedp.Navigate(strings.Replace(victim, "localhost", "evil.example", 1) + "/"))
	if got := eval[string](b, `document.body.innerText`); !strings.Contains(got, "not asked under that name") {
		t.Errorf("asked as evil.example it answers %q", got)
	}
	if got := eval[int](b, `fetch("/v1/apps").then((r) => r.status)`); got != http.StatusMisdirectedRequest {
		t.Errorf("a page there reads %d", got)
	}
}
