package contract

import (
	"net/http"
	"strings"

	"github.com/coder/websocket"
)

var switchRows = []behaviour{
	{name: "no request is lost over switches", does: "switch 10 times under load of kept and new connections", expects: "every request is answered 200",
		run: func(p *proxy) {
			one, two := p.says("1").address, p.says("2").address
			p.deploy("app", one, "")
			p.manners(4, func() {
				for n := range 10 {
					p.deploy("app", []string{two, one}[n%2], "")
				}
			})
		}},
	{name: "a request in flight is finished by the old target", does: "switch while a request runs", expects: "new requests go to the new target at once; the old answer arrives; deploy returns after it",
		run: func(p *proxy) {
			old, came, letGo := p.held("old")
			p.deploy("app", old.address, "")
			answered := p.asks(p.request(http.MethodGet, "app.test", "/", nil))
			receive(p, "the request", came)
			deploy := p.begin("deploy app --target " + p.says("new").address)
			p.eventually("it has switched", func() bool {
				a := make(chan answer, 1)
				go func() { a <- p.get("app.test", "/") }()
				select {
				case got := <-a:
					return got.body == "new"
				case <-came: // it went to the old one, where it will be let go
					return false
				}
			})
			equal(p, "the command's end while a request runs", deploy.done(), false)
			letGo()
			p.check("the request in flight", receive(p, "the answer", answered), 200, "old")
			equal(p, "the exit code", deploy.wait().code, 0)
		}},
	{name: "what outlasts the drain is cut with 504", does: "switch with --drain-timeout 200ms while a request hangs", expects: "504 for it; deploy returns 0",
		run: func(p *proxy) {
			old, came, _ := p.held("old")
			p.deploy("app", old.address, "")
			answered := p.asks(p.request(http.MethodGet, "app.test", "/", nil))
			receive(p, "the request", came)
			p.deploy("app", p.says("new").address, "--drain-timeout 200ms")
			p.check("the request in flight", receive(p, "the answer", answered), 504, "")
		}},
	{name: "a websocket lives until the drain's end", does: "switch with a long drain while a websocket is open", expects: "it goes on echoing after the switch",
		kamal: "is cut at the switch",
		run: func(p *proxy) {
			p.deploy("app", p.app(echo).address, "")
			ws := p.websocket("app.test", "/")
			defer ws.CloseNow()
			p.echoes(ws)
			deploy := p.begin("deploy app --drain-timeout 60s --target " + p.says("new").address)
			p.eventually("it has switched", func() bool { return p.get("app.test", "/").body == "new" })
			if p.differs() {
				_, _, err := ws.Read(p.t.Context())
				equal(p, "the websocket's end", err != nil, true)
				return
			}
			p.echoes(ws)
			_ = ws.Close(websocket.StatusNormalClosure, "")
			equal(p, "the exit code", deploy.wait().code, 0)
		}},
	{name: "a websocket is told before it is cut", does: "switch with --drain-timeout 300ms while a websocket is open", expects: "a close frame with code 1001, going away",
		kamal: "is cut without a word",
		run: func(p *proxy) {
			p.deploy("app", p.app(echo).address, "")
			ws := p.websocket("app.test", "/")
			defer ws.CloseNow()
			p.echoes(ws)
			p.deploy("app", p.says("new").address, "--drain-timeout 300ms")
			_, _, err := ws.Read(p.t.Context())
			want := websocket.StatusGoingAway
			if p.differs() {
				want = -1
			}
			equal(p, "the close code", websocket.CloseStatus(err), want)
		}},
	{name: "stop drains too", does: "stop --drain-timeout 200ms while a request hangs", expects: "503 for new ones at once; 504 for that one; then the command returns",
		run: func(p *proxy) {
			old, came, _ := p.held("old")
			p.deploy("app", old.address, "")
			answered := p.asks(p.request(http.MethodGet, "app.test", "/", nil))
			receive(p, "the request", came)
			p.ok("stop app --drain-timeout 200ms")
			p.check("the request in flight", receive(p, "the answer", answered), 504, "")
			p.wants("app.test", "/", 503, "")
		}},
	{name: "a single target that dies answers 502, and list says so", does: "end the app after its deploy", expects: "502; list names it unhealthy",
		kamal: "answers 502, and list goes on saying running",
		run: func(p *proxy) {
			a := p.says("v1")
			p.deploy("app", a.address, "--health-check-interval 100ms")
			a.end()
			p.eventually("502 is answered", func() bool { return p.get("app.test", "/").status == 502 })
			if p.differs() {
				equal(p, "unhealthy in list", strings.Contains(p.ok("list"), "unhealthy"), false)
				return
			}
			p.eventually("list says it", func() bool { return strings.Contains(p.ok("list"), "unhealthy") })
		}},
	{name: "a dead one of several targets is gone after the next check", does: "end one of two apps", expects: "after a while every request is answered 200",
		run: func(p *proxy) {
			one, two := p.says("1"), p.says("2")
			p.ok("deploy app --health-check-interval 100ms --target " + one.address + " --target " + two.address)
			one.end()
			p.eventually("ten requests in a row are answered", func() bool {
				for range 10 {
					if p.get("app.test", "/").status != 200 {
						return false
					}
				}
				return true
			})
		}},
	{name: "a request that could not be connected goes to another target", does: "end one of two apps, and ask before any check", expects: "every request is answered 200",
		kamal: "answers 502 until the next check",
		run: func(p *proxy) {
			one, two := p.says("1"), p.says("2")
			p.ok("deploy app --health-check-interval 1h --target " + one.address + " --target " + two.address)
			one.end()
			lost := 0
			for range 20 {
				if p.get("app.test", "/").status != 200 {
					lost++
				}
			}
			equal(p, "some requests lost", lost > 0, p.differs())
		}},
	{name: "a target that comes back is asked again", does: "end one of two apps and start it again", expects: "both answer",
		run: func(p *proxy) {
			one, two := p.says("1"), p.says("2")
			p.ok("deploy app --health-check-interval 100ms --target " + one.address + " --target " + two.address)
			one.end()
			p.eventually("it is left out", func() bool {
				first, second := p.get("app.test", "/").body, p.get("app.test", "/").body
				return first == "2" && second == "2"
			})
			p.appAt(one.address[strings.LastIndex(one.address, ":")+1:], saying("again"))
			p.eventually("it is asked again", func() bool { return p.get("app.test", "/").body == "again" })
		}},
}

// echo is an app that answers each message of a websocket with the same.
func echo(w http.ResponseWriter, r *http.Request) {
	ws, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer ws.CloseNow()
	for {
		kind, data, err := ws.Read(r.Context())
		if err != nil || ws.Write(r.Context(), kind, data) != nil {
			return
		}
	}
}

func (p *proxy) websocket(host, path string, fields ...string) *websocket.Conn {
	p.t.Helper()
	head := withFields(p.request(http.MethodGet, host, path, nil), fields...).Header
	client := p.newClient(nil)
	client.Timeout = 0
	ws, _, err := websocket.Dial(p.t.Context(), "ws://"+host+path, &websocket.DialOptions{HTTPClient: client, HTTPHeader: head})
	if err != nil {
		p.t.Fatalf("websocket: %v", err)
	}
	return ws
}

func (p *proxy) echoes(ws *websocket.Conn) {
	p.t.Helper()
	if err := ws.Write(p.t.Context(), websocket.MessageText, []byte("hello")); err != nil {
		p.t.Fatalf("websocket: %v", err)
	}
	if _, got, err := ws.Read(p.t.Context()); err != nil || string(got) != "hello" {
		p.t.Fatalf("websocket: %q, %v", got, err)
	}
}
