package contract

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
)

// shows deploys an app that hands the header it got back to the test.
func (p *proxy) shows(flags string) (target string, seen chan *http.Request) {
	p.t.Helper()
	seen = make(chan *http.Request, 10)
	a := p.app(func(_ http.ResponseWriter, r *http.Request) { seen <- r.Clone(r.Context()) })
	p.deploy("app", a.address, flags)
	return a.address, seen
}

// header asks with these fields and returns what the app got.
func (p *proxy) header(seen chan *http.Request, fields ...string) http.Header {
	p.t.Helper()
	p.check("GET", p.getWith("app.test", "/", fields...), 200, "")
	return receive(p, "the app's request", seen).Header
}

var headerRows = []behaviour{
	{name: "the app sees the client's host", does: "ask app.test:8080", expects: "Host: app.test:8080",
		run: func(p *proxy) {
			_, seen := p.shows("")
			p.wants("app.test:8080", "/", 200, "")
			equal(p, "the host", receive(p, "the app's request", seen).Host, "app.test:8080")
		}},
	{name: "X-Forwarded fields tell of the client", does: "ask", expects: "X-Forwarded-For is the client's address, -Proto http, -Host the host",
		run: func(p *proxy) {
			_, seen := p.shows("")
			h := p.header(seen)
			if ip := h.Get("X-Forwarded-For"); ip == "" || strings.Contains(ip, ",") {
				p.t.Errorf("X-Forwarded-For is %q", ip)
			}
			equal(p, "X-Forwarded-Proto", h.Get("X-Forwarded-Proto"), "http")
			equal(p, "X-Forwarded-Host", h.Get("X-Forwarded-Host"), "app.test")
		}},
	{name: "without TLS a proxy in front is believed", does: "ask with X-Forwarded-For: 1.2.3.4, -Proto: https, -Host: outer.test", expects: "the client is added to -For, the others are passed on",
		run: func(p *proxy) {
			_, seen := p.shows("")
			h := p.header(seen, "X-Forwarded-For: 1.2.3.4", "X-Forwarded-Proto: https", "X-Forwarded-Host: outer.test")
			if !strings.HasPrefix(h.Get("X-Forwarded-For"), "1.2.3.4, ") {
				p.t.Errorf("X-Forwarded-For is %q", h.Get("X-Forwarded-For"))
			}
			equal(p, "X-Forwarded-Proto", h.Get("X-Forwarded-Proto"), "https")
			equal(p, "X-Forwarded-Host", h.Get("X-Forwarded-Host"), "outer.test")
		}},
	{name: "a proxy in front need not be believed", does: "deploy --forward-headers=false, ask with forged fields", expects: "they are replaced",
		run: func(p *proxy) {
			_, seen := p.shows("--forward-headers=false")
			h := p.header(seen, "X-Forwarded-For: 1.2.3.4", "X-Forwarded-Proto: https", "X-Forwarded-Host: outer.test")
			if strings.Contains(h.Get("X-Forwarded-For"), "1.2.3.4") {
				p.t.Errorf("X-Forwarded-For is %q", h.Get("X-Forwarded-For"))
			}
			equal(p, "X-Forwarded-Proto", h.Get("X-Forwarded-Proto"), "http")
			equal(p, "X-Forwarded-Host", h.Get("X-Forwarded-Host"), "app.test")
		}},
	{name: "a request has an ID", does: "ask without and with X-Request-ID", expects: "a random UUID; the client's own",
		run: func(p *proxy) {
			_, seen := p.shows("")
			one, two := p.header(seen).Get("X-Request-Id"), p.header(seen).Get("X-Request-Id")
			if !regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(one) || one == two {
				p.t.Errorf("the IDs are %q and %q", one, two)
			}
			equal(p, "the client's ID", p.header(seen, "X-Request-Id: mine-1").Get("X-Request-Id"), "mine-1")
		}},
	{name: "a request has its start", does: "ask without and with X-Request-Start", expects: "t= and milliseconds; the client's own",
		run: func(p *proxy) {
			_, seen := p.shows("")
			if got := p.header(seen).Get("X-Request-Start"); !regexp.MustCompile(`^t=\d{13}$`).MatchString(got) {
				p.t.Errorf("X-Request-Start is %q", got)
			}
			equal(p, "the client's start", p.header(seen, "X-Request-Start: t=5").Get("X-Request-Start"), "t=5")
		}},
	{name: "the app is told its name", does: "ask", expects: "X-Kamal-Target is the target as it was deployed",
		run: func(p *proxy) {
			target, seen := p.shows("")
			equal(p, "X-Kamal-Target", p.header(seen).Get("X-Kamal-Target"), target)
		}},
	{name: "the target that a proxy in front names is kept where it is believed", does: "ask with X-Kamal-Target: outer:80, with and without --forward-headers",
		expects: "outer:80 and the target; the target alone",
		run: func(p *proxy) {
			target, seen := p.shows("--forward-headers")
			equal(p, "believed", p.header(seen, "X-Kamal-Target: outer:80").Get("X-Kamal-Target"), "outer:80, "+target)
			target, seen = p.shows("--forward-headers=false")
			equal(p, "not believed", p.header(seen, "X-Kamal-Target: outer:80").Get("X-Kamal-Target"), target)
		}},
	{name: "fields between client and proxy end there", does: "ask with Connection: X-Hop, X-Hop: 1, Te: x, Proxy-Authorization: x", expects: "the app sees none of them",
		run: func(p *proxy) {
			_, seen := p.shows("")
			h := p.header(seen, "Connection: X-Hop", "X-Hop: 1", "Te: x", "Proxy-Authorization: x", "Keep-Alive: 5")
			for _, name := range []string{"X-Hop", "Te", "Proxy-Authorization", "Keep-Alive"} {
				if v, there := h[name]; there {
					p.t.Errorf("the app sees %s: %v", name, v)
				}
			}
		}},
	{name: "nothing is added to what the client accepts", does: "ask without Accept-Encoding", expects: "the app sees none",
		kamal: "asks for gzip and unpacks it",
		run: func(p *proxy) {
			_, seen := p.shows("")
			want := ""
			if p.differs() {
				want = "gzip"
			}
			equal(p, "Accept-Encoding", p.header(seen).Get("Accept-Encoding"), want)
		}},
	{name: "header fields of both sides are passed on", does: "ask with a repeated field; answer with one", expects: "each side sees both values",
		run: func(p *proxy) {
			a := p.app(func(w http.ResponseWriter, r *http.Request) {
				w.Header()["X-Two"] = []string{"1", "2"}
				w.Header()["Set-Cookie"] = []string{"a=1", "b=2"}
				w.WriteHeader(http.StatusTeapot)
				fmt.Fprint(w, r.Header["X-Two"])
			})
			p.deploy("app", a.address, "")
			got := p.getWith("app.test", "/", "X-Two: 3", "X-Two: 4")
			p.check("GET", got, http.StatusTeapot, "[3 4]")
			equal(p, "X-Two", strings.Join(got.header["X-Two"], " "), "1 2")
			equal(p, "cookies", len(got.header["Set-Cookie"]), 2)
		}},
	{name: "cookies can be kept below the prefix", does: "deploy --path-prefix /api --scope-cookie-paths; set cookies with Path=/, Path=/x and none", expects: "Path=/api, /api/x and /api",
		run: func(p *proxy) {
			a := p.app(func(w http.ResponseWriter, _ *http.Request) {
				w.Header()["Set-Cookie"] = []string{"a=1; Path=/", "b=2; Path=/x; HttpOnly", "c=3"}
			})
			p.deploy("app", a.address, "--path-prefix /api --scope-cookie-paths")
			var paths []string
			for _, text := range p.get("app.test", "/api").header["Set-Cookie"] {
				cookie, err := http.ParseSetCookie(text)
				if err != nil {
					p.t.Fatal(err)
				}
				paths = append(paths, cookie.Name+strings.TrimSuffix(cookie.Path, "/"))
			}
			equal(p, "the paths", strings.Join(paths, " "), "a/api b/api/x c/api")
		}},
	{name: "cookies are left alone otherwise", does: "deploy --path-prefix /api; set a cookie with Path=/", expects: "Path=/",
		run: func(p *proxy) {
			a := p.app(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Set-Cookie", "a=1; Path=/") })
			p.deploy("app", a.address, "--path-prefix /api")
			equal(p, "the cookie", p.get("app.test", "/api").header.Get("Set-Cookie"), "a=1; Path=/")
		}},
}
