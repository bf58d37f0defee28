package contract

import (
	"net/http"
	"strings"
)

// hold asks a path that the proxy holds back, and waits until it has certainly come: nothing tells of a held request, so another
// that follows it on the same connection's way is looked for in vain.
func (p *proxy) hold(path string) <-chan answer {
	p.t.Helper()
	got := p.asks(p.request(http.MethodGet, "app.test", path, nil))
	p.pause()
	select {
	case a := <-got:
		p.t.Fatalf("the request was not held: %d %s %v", a.status, a.body, a.err)
	default:
	}
	return got
}

var gateRows = []behaviour{
	{name: "a stopped service answers 503 with the message", does: "stop --message 'back at <noon>'", expects: "503, the message in the page, escaped",
		run: func(p *proxy) {
			p.serve("app", "")
			p.ok("stop app --message", "back at <noon>")
			a := p.wants("app.test", "/", 503, "back at &lt;noon&gt;")
			equal(p, "the content type", a.header.Get("Content-Type"), "text/html; charset=utf-8")
			p.ok("resume app")
			p.wants("app.test", "/", 200, "app")
		}},
	{name: "a stopped service stays stopped over a deploy", does: "stop, deploy, resume", expects: "503 until resume, then the new target",
		run: func(p *proxy) {
			p.serve("app", "")
			p.ok("stop app --message gone")
			p.deploy("app", p.says("new").address, "")
			p.wants("app.test", "/", 503, "gone")
			p.ok("resume app")
			p.wants("app.test", "/", 200, "new")
		}},
	{name: "a stopped service stays stopped over a restart", does: "stop, restart the proxy, resume", expects: "503 with the message until resume",
		run: func(p *proxy) {
			p.serve("app", "")
			p.ok("stop app --message gone")
			p.restart(false)
			p.wants("app.test", "/", 503, "gone")
			p.ok("resume app")
			p.wants("app.test", "/", 200, "app")
		}},
	{name: "a paused service holds its requests", does: "pause, ask, resume", expects: "the request is answered after resume",
		run: func(p *proxy) {
			p.serve("app", "")
			p.ok("pause app")
			got := p.hold("/")
			p.ok("resume app")
			p.check("the held request", receive(p, "the answer", got), 200, "app")
		}},
	{name: "a held request goes to the newest target", does: "pause, ask, deploy, resume", expects: "the new target answers",
		run: func(p *proxy) {
			p.serve("app", "")
			p.ok("pause app")
			got := p.hold("/")
			p.deploy("app", p.says("new").address, "")
			p.ok("resume app")
			p.check("the held request", receive(p, "the answer", got), 200, "new")
		}},
	{name: "nothing is held for longer than max-pause", does: "pause --max-pause 300ms, ask", expects: "504",
		run: func(p *proxy) {
			p.serve("app", "")
			p.ok("pause app --max-pause 300ms")
			p.wants("app.test", "/", 504, "")
		}},
	{name: "a stop ends the wait of held requests", does: "pause, ask, stop --message gone", expects: "503 with the message",
		run: func(p *proxy) {
			p.serve("app", "")
			p.ok("pause app")
			got := p.hold("/")
			p.ok("stop app --message gone")
			p.check("the held request", receive(p, "the answer", got), 503, "gone")
		}},
	{name: "a paused service stays paused over a restart", does: "pause --max-pause 300ms, restart the proxy, ask, resume", expects: "504; after resume the app answers",
		kamal: "504; resume then ends the whole proxy by a panic",
		run: func(p *proxy) {
			p.serve("app", "")
			p.ok("pause app --max-pause 300ms")
			p.restart(false)
			p.wants("app.test", "/", 504, "")
			if p.differs() {
				p.fails("resume app", "unexpected EOF")
				p.eventually("the proxy is gone", func() bool { return p.get("app.test", "/").err != nil })
				return
			}
			p.ok("resume app")
			p.wants("app.test", "/", 200, "app")
		}},
	{name: "a removed service holds nobody", does: "pause --max-pause 1s, ask, remove", expects: "404 at once",
		kamal: "holds them to the end: 504",
		run: func(p *proxy) {
			p.serve("app", "")
			p.ok("pause app --max-pause 2s")
			got := p.hold("/")
			p.ok("remove app")
			want := 404
			if p.differs() {
				want = 504
			}
			p.check("the held request", receive(p, "the answer", got), want, "")
		}},
	{name: "the health path is well while stopped or paused", does: "stop or pause, ask /up by GET and HEAD", expects: "200 from the proxy itself; the app is not asked",
		run: func(p *proxy) {
			a := p.says("app")
			p.deploy("app", a.address, "--health-check-path /health")
			for _, command := range []string{"stop app", "pause app"} {
				p.ok(command)
				p.wants("app.test", "/health", 200, "")
				p.check("HEAD /health", p.send(p.request(http.MethodHead, "app.test", "/health", nil)), 200, "")
			}
			equal(p, "the requests that the app saw", a.asked.Load(), 0)
		}},
	{name: "only a question about health is answered so", does: "stop, POST /up", expects: "503",
		run: func(p *proxy) {
			p.serve("app", "")
			p.ok("stop app")
			p.check("POST /up", p.send(p.request(http.MethodPost, "app.test", "/up", strings.NewReader("x"))), 503, "")
		}},
	{name: "a stop without a message has a page too", does: "stop, ask", expects: "503, text/html",
		run: func(p *proxy) {
			p.serve("app", "")
			p.ok("stop app")
			a := p.wants("app.test", "/", 503, "")
			equal(p, "the content type", a.header.Get("Content-Type"), "text/html; charset=utf-8")
		}},
	{name: "each service has its own gate", does: "stop one of two", expects: "the other is served",
		run: func(p *proxy) {
			p.serve("a", "--host a.test")
			p.serve("b", "--host b.test")
			p.ok("stop a")
			p.wants("a.test", "/", 503, "")
			p.wants("b.test", "/", 200, "b")
		}},
}
