package contract

import (
	"fmt"
	"net/http"
	"os"
	"strings"
)

const groupCookie = "Cookie: kamal-rollout="

// rollout serves old, with new as its rollout.
func (p *proxy) rollout(set string) {
	p.t.Helper()
	p.serve("app", "")
	p.ok("rollout deploy app --target " + p.says("new").address)
	if set != "" {
		p.ok("rollout set app " + set)
	}
}

var rolloutRows = []behaviour{
	{name: "rollout targets alone take no traffic", does: "rollout deploy", expects: "the old target answers, whatever cookie comes",
		run: func(p *proxy) {
			p.rollout("")
			p.wants("app.test", "/", 200, "app")
			p.check("with a cookie", p.getWith("app.test", "/", groupCookie+"x"), 200, "app")
		}},
	{name: "the app chooses who is in by a cookie and a list", does: "rollout set --list alice,bob", expects: "cookie kamal-rollout=alice goes to the new target, carol's and none to the old",
		run: func(p *proxy) {
			p.rollout("--list alice,bob")
			for value, want := range map[string]string{"alice": "new", "bob": "new", "carol": "app"} {
				p.check(value, p.getWith("app.test", "/", groupCookie+value), 200, want)
			}
			p.wants("app.test", "/", 200, "app")
		}},
	{name: "100 percent is every value, 0 percent none", does: "rollout set --percent 100, then 0", expects: "all cookies go to the new target; then none",
		run: func(p *proxy) {
			p.rollout("--percent 100")
			for _, value := range []string{"a", "b", "user1"} {
				p.check(value, p.getWith("app.test", "/", groupCookie+value), 200, "new")
			}
			p.ok("rollout set app --percent 0")
			for _, value := range []string{"a", "b", "user1"} {
				p.check(value, p.getWith("app.test", "/", groupCookie+value), 200, "app")
			}
		}},
	{name: "one value always has one answer", does: "rollout set --percent 50, ask with one cookie 10 times", expects: "one target answers all",
		run: func(p *proxy) {
			p.rollout("--percent 50")
			first := p.getWith("app.test", "/", groupCookie+"somebody").body
			for range 10 {
				equal(p, "the answer", p.getWith("app.test", "/", groupCookie+"somebody").body, first)
			}
		}},
	{name: "a share is that share, of similar values too", does: "rollout set --percent 30, ask as user1 … user200", expects: "40 to 80 of them go to the new target",
		kamal: "splits unevenly: 31 of these",
		run: func(p *proxy) {
			p.rollout("--percent 30")
			in := 0
			for n := 1; n <= 200; n++ {
				if p.getWith("app.test", "/", fmt.Sprintf("%suser%d", groupCookie, n)).body == "new" {
					in++
				}
			}
			if p.differs() {
				equal(p, "those on the new target", in, 31)
			} else if in < 40 || in > 80 {
				p.t.Errorf("%d of 200 go to the new target, want about 60", in)
			}
		}},
	{name: "a share needs nothing of the app", does: "rollout set --percent 50; ask 20 times without a cookie, and again with the cookie of each answer", expects: "both targets answer; the proxy's own cookie keeps each client where it was",
		kamal: "without the app's cookie nobody is ever in",
		run: func(p *proxy) {
			p.rollout("--percent 50")
			got := map[string]int{}
			for range 20 {
				first := p.wants("app.test", "/", 200, "")
				got[first.body]++
				if p.differs() {
					continue
				}
				pair, _, _ := strings.Cut(first.header.Get("Set-Cookie"), ";")
				if !strings.HasPrefix(pair, "kamald-rollout=") {
					p.t.Fatalf("the cookies are %v", first.header["Set-Cookie"])
				}
				equal(p, "the answer with the cookie", p.getWith("app.test", "/", "Cookie: "+pair).body, first.body)
			}
			equal(p, "somebody is in", got["new"] > 0, !p.kamal)
		}},
	{name: "rollout stop brings everybody back", does: "rollout stop", expects: "the old target answers all",
		run: func(p *proxy) {
			p.rollout("--percent 100")
			p.ok("rollout stop app")
			p.check("with a cookie", p.getWith("app.test", "/", groupCookie+"x"), 200, "app")
		}},
	{name: "a rollout that is stopped is forgotten", does: "rollout stop, then rollout set --percent 10", expects: "rollout target not set",
		kamal: "keeps its targets, and goes on",
		run: func(p *proxy) {
			p.rollout("--percent 100")
			p.ok("rollout stop app")
			if p.differs() {
				p.ok("rollout set app --percent 10")
				return
			}
			p.fails("rollout set app --percent 10", "rollout target not set")
		}},
	{name: "a rollout survives a restart", does: "rollout set --list alice, restart the proxy", expects: "alice still goes to the new target",
		run: func(p *proxy) {
			p.rollout("--list alice")
			p.restart(false)
			p.check("alice", p.getWith("app.test", "/", groupCookie+"alice"), 200, "new")
			p.wants("app.test", "/", 200, "app")
		}},
	{name: "a deploy leaves a rollout as it is", does: "deploy the service again while a rollout is on", expects: "those in the rollout stay there, the others get the newest",
		run: func(p *proxy) {
			p.rollout("--list alice")
			p.deploy("app", p.says("newest").address, "")
			p.check("alice", p.getWith("app.test", "/", groupCookie+"alice"), 200, "new")
			p.wants("app.test", "/", 200, "newest")
		}},
	{name: "a rollout that is not healthy changes nothing", does: "rollout deploy a dead target", expects: "exit code 1; the rollout of before goes on",
		run: func(p *proxy) {
			p.rollout("--list alice")
			p.fails("rollout deploy app --deploy-timeout 200ms --target "+p.nobody(), "failed to become healthy")
			p.check("alice", p.getWith("app.test", "/", groupCookie+"alice"), 200, "new")
		}},
	{name: "the state file has the rollout", does: "rollout set --percent 30 --list alice", expects: "rollout_targets, and rollout_controller with percentage and allowlist",
		run: func(p *proxy) {
			p.rollout("--percent 30 --list alice")
			s := p.state()[0]
			equal(p, "rollout targets", len(s.RolloutTargets), 1)
			equal(p, "the percentage", s.RolloutController.Percentage, 30)
			equal(p, "the list", strings.Join(s.RolloutController.Allowlist, " "), "alice")
		}},
}

var readerRows = []behaviour{
	{name: "GET and HEAD go to readers, everything else to writers", does: "deploy --target W --read-target R", expects: "GET, HEAD from R; POST, PUT, DELETE from W",
		run: func(p *proxy) {
			w, r := p.says("writer"), p.says("reader")
			p.deploy("app", w.address, "--read-target "+r.address)
			p.wants("app.test", "/", 200, "reader")
			p.check("HEAD", p.send(p.request(http.MethodHead, "app.test", "/", nil)), 200, "")
			equal(p, "the reader's requests", r.asked.Load(), 2)
			for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete} {
				p.check(method, p.send(p.request(method, "app.test", "/", nil)), 200, "writer")
			}
		}},
	{name: "who has written reads from the writer for a while", does: "POST, then GET with the cookie of its answer", expects: "a cookie kamal-writer; GET with it goes to the writer",
		run: func(p *proxy) {
			p.readers("--writer-affinity-timeout 1h")
			cookie := p.write().header.Get("Set-Cookie")
			if !strings.HasPrefix(cookie, "kamal-writer=") {
				p.t.Fatalf("the answer to a write sets %q", cookie)
			}
			pair, _, _ := strings.Cut(cookie, ";")
			p.check("with the cookie", p.getWith("app.test", "/", "Cookie: "+pair), 200, "writer")
			p.wants("app.test", "/", 200, "reader")
		}},
	{name: "the affinity ends", does: "deploy --writer-affinity-timeout 10ms, POST, GET with the cookie", expects: "after that time the reader answers",
		run: func(p *proxy) {
			p.readers("--writer-affinity-timeout 10ms")
			pair, _, _ := strings.Cut(p.write().header.Get("Set-Cookie"), ";")
			p.eventually("the reader answers", func() bool { return p.getWith("app.test", "/", "Cookie: "+pair).body == "reader" })
		}},
	{name: "the app can say that nothing was written", does: "answer a POST with X-Writer-Affinity: false", expects: "no cookie, and no such header for the client",
		run: func(p *proxy) {
			w := p.app(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-Writer-Affinity", "false") })
			p.deploy("app", w.address, "--read-target "+p.says("reader").address)
			a := p.write()
			equal(p, "cookies", len(a.header["Set-Cookie"]), 0)
			equal(p, "X-Writer-Affinity", a.header.Get("X-Writer-Affinity"), "")
		}},
	{name: "without readers there is no affinity", does: "deploy without readers, POST", expects: "no cookie",
		run: func(p *proxy) {
			p.serve("app", "")
			equal(p, "cookies", len(p.write().header["Set-Cookie"]), 0)
		}},
	{name: "websockets go to writers", does: "open a websocket; again with --read-target-websockets", expects: "the writer's; then the reader's",
		run: func(p *proxy) {
			w, r := p.app(echo), p.app(echo)
			for _, c := range []struct {
				flag string
				app  *app
			}{{"", w}, {"--read-target-websockets", r}} {
				before := c.app.asked.Load()
				p.deploy("app", w.address, "--read-target "+r.address+" "+c.flag)
				ws := p.websocket("app.test", "/")
				p.echoes(ws)
				_ = ws.CloseNow()
				equal(p, "requests at the wanted side "+c.flag, c.app.asked.Load(), before+1)
			}
		}},
	{name: "readers must be healthy too", does: "deploy a dead reader", expects: "exit code 1",
		run: func(p *proxy) {
			p.fails("deploy app --deploy-timeout 300ms --target "+p.says("w").address+" --read-target "+p.nobody(), "failed to become healthy")
		}},
	{name: "readers survive a restart", does: "restart the proxy", expects: "GET from the reader, POST from the writer",
		run: func(p *proxy) {
			p.readers("")
			p.restart(false)
			p.wants("app.test", "/", 200, "reader")
			p.check("POST", p.write(), 200, "writer")
			equal(p, "readers in the state file", len(p.state()[0].ActiveReaders), 1)
		}},
}

func (p *proxy) readers(flags string) {
	p.t.Helper()
	p.deploy("app", p.says("writer").address, "--read-target "+p.says("reader").address+" "+flags)
}

func (p *proxy) write() answer {
	p.t.Helper()
	return p.send(p.request(http.MethodPost, "app.test", "/", strings.NewReader("x")))
}

// readState is what the state file says now.
func (p *proxy) readState() []byte {
	p.t.Helper()
	data, err := os.ReadFile(p.statePath())
	if err != nil {
		p.t.Fatal(err)
	}
	return data
}
