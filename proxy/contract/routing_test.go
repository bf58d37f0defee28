package contract

import (
	"net/http"
	"strings"
)

// says deploys an app of its own under a name.
func (p *proxy) serve(service, flags string) {
	p.t.Helper()
	p.deploy(service, p.says(service).address, flags)
}

var routingRows = []behaviour{
	{name: "a host is served by its service", does: "deploy a to a.test and b to b.test", expects: "each host's own answer, whatever port the client names; 404 for any other host",
		run: func(p *proxy) {
			p.serve("a", "--host a.test")
			p.serve("b", "--host b.test")
			p.wants("a.test", "/", 200, "a")
			p.wants("b.test", "/", 200, "b")
			p.wants("b.test:8080", "/", 200, "b")
			p.wants("c.test", "/", 404, "")
		}},
	{name: "without a host every host is served", does: "deploy without --host", expects: "200 for any host, and for an address",
		run: func(p *proxy) {
			p.serve("any", "")
			p.wants("a.test", "/", 200, "any")
			p.wants("127.0.0.1", "/", 200, "any")
		}},
	{name: "a wildcard is one level", does: "deploy --host *.example.test", expects: "a.example.test is served; a.b.example.test and example.test are not",
		run: func(p *proxy) {
			p.serve("wild", "--host *.example.test")
			p.wants("a.example.test", "/", 200, "wild")
			p.wants("a.b.example.test", "/", 404, "")
			p.wants("example.test", "/", 404, "")
		}},
	{name: "the exact host comes before the wildcard, and that before any", does: "deploy all three", expects: "the most exact answers",
		run: func(p *proxy) {
			p.serve("any", "")
			p.serve("wild", "--host *.example.test")
			p.serve("exact", "--host a.example.test")
			p.wants("a.example.test", "/", 200, "exact")
			p.wants("b.example.test", "/", 200, "wild")
			p.wants("example.test", "/", 200, "any")
		}},
	{name: "host names have no case", does: "deploy --host App.Test, ask app.test and APP.TEST", expects: "200",
		kamal: "compares letter by letter: 404",
		run: func(p *proxy) {
			p.serve("app", "--host App.Test")
			want := 200
			if p.differs() {
				want = 404
			}
			p.wants("app.test", "/", want, "")
			p.wants("APP.TEST", "/", want, "")
			p.wants("App.Test", "/", 200, "app")
		}},
	{name: "the root's dot does not matter", does: "deploy --host app.test, ask app.test.", expects: "200",
		kamal: "404",
		run: func(p *proxy) {
			p.serve("app", "--host app.test")
			want := 200
			if p.differs() {
				want = 404
			}
			p.wants("app.test.", "/", want, "")
		}},
	{name: "any is written * as well", does: "deploy --host *", expects: "200 for any host",
		kamal: "takes it for a name: 404",
		run: func(p *proxy) {
			p.serve("any", "--host *")
			want := 200
			if p.differs() {
				want = 404
			}
			p.wants("a.test", "/", want, "")
		}},
	{name: "the longest path prefix wins", does: "deploy to /, /api and /api/v2 of one host", expects: "each path's own service; /apiary is not below /api",
		run: func(p *proxy) {
			p.serve("root", "--host a.test")
			p.serve("api", "--host a.test --path-prefix /api")
			p.serve("v2", "--host a.test --path-prefix /api/v2/")
			for path, want := range map[string]string{"/": "root", "/api": "api", "/api/": "api", "/api/v1": "api", "/api/v2": "v2", "/api/v2/x": "v2", "/apiary": "root"} {
				p.wants("a.test", path, 200, want)
			}
		}},
	{name: "the host decides before the path", does: "deploy a.test/api and any host's /", expects: "a.test/other is 404",
		run: func(p *proxy) {
			p.serve("any", "")
			p.serve("api", "--host a.test --path-prefix /api")
			p.wants("a.test", "/other", 404, "")
			p.wants("b.test", "/other", 200, "any")
		}},
	{name: "several prefixes and hosts", does: "deploy --host a.test,b.test --path-prefix /x,/y", expects: "all four are served, no other",
		run: func(p *proxy) {
			p.serve("app", "--host a.test,b.test --path-prefix /x,/y")
			for _, host := range []string{"a.test", "b.test"} {
				p.wants(host, "/x/1", 200, "app")
				p.wants(host, "/y", 200, "app")
				p.wants(host, "/z", 404, "")
			}
		}},
	{name: "a request without a service is 404 with a page", does: "ask an unknown host", expects: "404, text/html",
		run: func(p *proxy) {
			a := p.wants("nobody.test", "/", 404, "")
			equal(p, "the content type", a.header.Get("Content-Type"), "text/html; charset=utf-8")
		}},
	{name: "another host is redirected to the canonical one", does: "deploy --host a.test,www.a.test --canonical-host a.test", expects: "301 to http://a.test with path and query; the canonical host is served",
		run: func(p *proxy) {
			p.serve("app", "--host a.test,www.a.test --canonical-host a.test")
			a := p.wants("www.a.test", "/x/y?q=1&r=%2F", 301, "")
			equal(p, "the location", a.header.Get("Location"), "http://a.test/x/y?q=1&r=%2F")
			p.wants("a.test", "/x", 200, "app")
		}},
	{name: "a redirected POST stays a POST", does: "POST to a host that is not the canonical one", expects: "308",
		kamal: "301, after which clients ask by GET",
		run: func(p *proxy) {
			p.serve("app", "--host a.test,www.a.test --canonical-host a.test")
			want := 308
			if p.differs() {
				want = 301
			}
			a := p.send(p.request(http.MethodPost, "www.a.test", "/x", strings.NewReader("body")))
			p.check("POST", a, want, "")
			equal(p, "the location", a.header.Get("Location"), "http://a.test/x")
		}},
}

// target deploys an app that says which request target it got.
func (p *proxy) target(flags string) {
	p.t.Helper()
	p.deploy("app", p.app(func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte(r.RequestURI)) }).address, flags)
}

// line sends a request with its target as it is and returns the answer's body.
func (p *proxy) line(target string) string {
	p.t.Helper()
	r := p.request(http.MethodGet, "app.test", "/", nil)
	r.URL.Opaque = "//app.test" + target
	a := p.send(r)
	p.check("GET "+target, a, 200, "")
	return a.body
}

var pathRows = []behaviour{
	{name: "the prefix is stripped", does: "deploy --path-prefix /api", expects: "/api/x becomes /x, /api becomes /",
		run: func(p *proxy) {
			p.target("--path-prefix /api")
			for path, want := range map[string]string{"/api/x": "/x", "/api/x/?q=1": "/x/?q=1", "/api": "/", "/api/": "/"} {
				equal(p, path, p.line(path), want)
			}
		}},
	{name: "the prefix can be kept", does: "deploy --path-prefix /api --strip-path-prefix=false", expects: "the whole path",
		run: func(p *proxy) {
			p.target("--path-prefix /api --strip-path-prefix=false")
			equal(p, "/api/x", p.line("/api/x"), "/api/x")
		}},
	{name: "escapes in a path stay as they are", does: "ask /a%2Fb%20c%C3%A9;x=1", expects: "the app sees the same bytes",
		run: func(p *proxy) {
			p.target("")
			for _, path := range []string{"/a%2Fb%20c%C3%A9;x=1", "/%61", "/a+b", "/a%7Eb", "/a:b@c"} {
				equal(p, path, p.line(path), path)
			}
		}},
	{name: "escapes below a stripped prefix stay as they are", does: "deploy --path-prefix /api, ask /api/a%2Fb", expects: "/a%2Fb",
		kamal: "decodes it: /a/b",
		run: func(p *proxy) {
			p.target("--path-prefix /api")
			want := "/a%2Fb"
			if p.differs() {
				want = "/a/b"
			}
			equal(p, "/api/a%2Fb", p.line("/api/a%2Fb"), want)
		}},
	{name: "paths are not tidied", does: "ask //x//y and /a/../b", expects: "the app sees the same",
		run: func(p *proxy) {
			p.target("")
			for _, path := range []string{"//x//y", "/a/../b", "/a/./b", "/x/"} {
				equal(p, path, p.line(path), path)
			}
		}},
	{name: "queries are passed on to the byte", does: "ask ?a=1;b=2&c=%zz&a=%C3", expects: "the app sees the same",
		run: func(p *proxy) {
			p.target("")
			for _, path := range []string{"/?a=1;b=2&c=%zz&a=%C3", "/?", "/?=&&", "/?a=b+c%20d"} {
				equal(p, path, p.line(path), path)
			}
		}},
}
