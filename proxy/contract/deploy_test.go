package contract

import (
	"net/http"
	"strings"
)

var deployRows = []behaviour{
	{name: "a deploy serves when it returns", does: "deploy, then ask", expects: "200 from the target",
		run: func(p *proxy) {
			p.deploy("app", p.says("v1").address, "")
			p.wants("app.test", "/", 200, "v1")
		}},
	{name: "a deploy waits until the target is healthy", does: "deploy a target that is sick at first", expects: "the old one serves until then; the command returns after",
		run: func(p *proxy) {
			p.deploy("app", p.says("old").address, "")
			next := p.says("new").feels(sick(503))
			deploy := p.begin("deploy app --health-check-interval 50ms --target " + next.address)
			p.eventually("it was probed three times", func() bool { return next.probed.Load() >= 3 })
			p.wants("app.test", "/", 200, "old")
			equal(p, "the command's end before the target is healthy", deploy.done(), false)
			next.feels(nil)
			equal(p, "the exit code", deploy.wait().code, 0)
			p.wants("app.test", "/", 200, "new")
		}},
	{name: "a failed deploy changes nothing", does: "deploy a target that stays sick", expects: "exit code 1, target failed to become healthy within configured timeout (300ms); the old one serves",
		run: func(p *proxy) {
			p.deploy("app", p.says("old").address, "")
			p.fails("deploy app --deploy-timeout 300ms --target "+p.says("new").feels(sick(500)).address,
				"target failed to become healthy within configured timeout (300ms)")
			p.wants("app.test", "/", 200, "old")
		}},
	{name: "a failed first deploy leaves no service", does: "deploy a dead target under a new name", expects: "404, and nothing in list",
		run: func(p *proxy) {
			p.fails("deploy app --deploy-timeout 200ms --target " + p.nobody())
			p.wants("app.test", "/", 404, "")
			if out := p.ok("list"); strings.Contains(out, "app") {
				p.t.Errorf("list says %s", out)
			}
		}},
	{name: "the message names the cause", does: "deploy a target that answers 500, and one that nobody listens at", expects: "the message has the last probe's result: status 500; connection refused",
		kamal: "says only that it did not become healthy; the cause is in the proxy's log",
		run: func(p *proxy) {
			bad := p.fails("deploy app --deploy-timeout 300ms --target "+p.says("x").feels(sick(500)).address, "failed to become healthy")
			gone := p.fails("deploy app --deploy-timeout 300ms --target "+p.nobody(), "failed to become healthy")
			named := !p.differs()
			equal(p, "status 500 in the message", strings.Contains(bad.stderr, "500:") || strings.Contains(bad.stderr, "status 500"), named)
			equal(p, "connection refused in the message", strings.Contains(gone.stderr, "connection refused"), named)
		}},
	{name: "a target that listens later is waited for", does: "deploy an address, then start the app there", expects: "exit code 0",
		run: func(p *proxy) {
			address := p.nobody()
			deploy := p.begin("deploy app --health-check-interval 100ms --target " + address)
			p.appAt(address[strings.LastIndex(address, ":")+1:], saying("late"))
			equal(p, "the exit code", deploy.wait().code, 0)
			p.wants("app.test", "/", 200, "late")
		}},
	{name: "--force asks nothing", does: "deploy --force a dead target", expects: "exit code 0 at once; it is asked, so 502",
		kamal: "does not ask it before a check of it was well: 503",
		run: func(p *proxy) {
			p.deploy("app", p.nobody(), "--force")
			want := 502
			if p.differs() {
				want = 503
			}
			p.wants("app.test", "/", want, "")
		}},
	{name: "every target must be healthy", does: "deploy one well and one sick target", expects: "exit code 1",
		run: func(p *proxy) {
			p.fails("deploy app --deploy-timeout 300ms --target "+p.says("well").address+" --target "+p.says("sick").feels(sick(500)).address, "failed to become healthy")
		}},
	{name: "several targets take turns", does: "deploy two targets, ask 10 times", expects: "5 answers from each",
		run: func(p *proxy) {
			p.ok("deploy app --target " + p.says("1").address + "," + p.says("2").address)
			got := map[string]int{}
			for range 10 {
				got[p.get("app.test", "/").body]++
			}
			if got["1"] != 5 || got["2"] != 5 {
				p.t.Errorf("answers: %v", got)
			}
		}},
	{name: "options are replaced as a whole", does: "deploy --host a.test --path-prefix /api, then deploy without them", expects: "what was not repeated is at its default",
		run: func(p *proxy) {
			target := p.says("v1").address
			p.deploy("app", target, "--host a.test --path-prefix /api")
			p.wants("a.test", "/", 404, "")
			p.deploy("app", target, "")
			p.wants("a.test", "/", 200, "v1")
			p.wants("b.test", "/", 200, "v1")
		}},
	{name: "the same target may be deployed again", does: "deploy the serving target", expects: "exit code 0; it serves",
		run: func(p *proxy) {
			target := p.says("v1").address
			p.deploy("app", target, "")
			p.deploy("app", target, "--drain-timeout 1s")
			p.wants("app.test", "/", 200, "v1")
		}},
	{name: "a host and path belong to one service", does: "deploy another service to the same host", expects: "host settings conflict with another service, and its name",
		kamal: "does not say which",
		run: func(p *proxy) {
			target := p.says("v1").address
			p.deploy("first", target, "--host a.test,b.test")
			r := p.fails("deploy second --host b.test,c.test --target "+target, "host settings conflict with another service")
			equal(p, "the owner's name in the message", strings.Contains(r.stderr, "first"), !p.differs())
			p.deploy("second", target, "--host b.test --path-prefix /api")
			p.deploy("third", target, "")
		}},
	{name: "a service that moves away frees its host", does: "deploy a to x.test, then a to y.test, then b to x.test", expects: "both are served",
		run: func(p *proxy) {
			a, b := p.says("a").address, p.says("b").address
			p.deploy("a", a, "--host x.test")
			p.deploy("a", a, "--host y.test")
			p.wants("x.test", "/", 404, "")
			p.deploy("b", b, "--host x.test")
			p.wants("x.test", "/", 200, "b")
			p.wants("y.test", "/", 200, "a")
		}},
	{name: "remove forgets a service", does: "remove app", expects: "404; its name is free",
		run: func(p *proxy) {
			target := p.says("v1").address
			p.deploy("app", target, "--host a.test")
			p.ok("remove app")
			p.wants("a.test", "/", 404, "")
			p.deploy("other", target, "--host a.test")
			p.wants("a.test", "/", 200, "v1")
		}},
	{name: "a killed client takes its deploy with it", does: "SIGKILL deploy while the target is sick, then let it be well", expects: "the old one goes on serving",
		kamal: "goes on by itself, and switches when the target is well",
		run: func(p *proxy) {
			p.deploy("app", p.says("old").address, "")
			next := p.says("new").feels(sick(503))
			deploy := p.begin("deploy app --health-check-interval 50ms --target " + next.address)
			p.eventually("it was probed", func() bool { return next.probed.Load() >= 1 })
			deploy.kill()
			if p.differs() {
				next.feels(nil)
				p.eventually("it has switched", func() bool { return p.get("app.test", "/").body == "new" })
				return
			}
			// The proxy says in its log when it has given up; from then on nothing can switch.
			p.eventually("the deploy is given up", func() bool { return strings.Contains(p.host.log(), "Deploy failed") })
			next.feels(nil)
			p.wants("app.test", "/", 200, "old")
		}},
	{name: "of two deploys of a service the one asked for last wins", does: "begin deploy A (sick), deploy B (well), then let A be well", expects: "A fails and says why; B serves",
		kamal: "the last one to become healthy wins: A serves in the end",
		run: func(p *proxy) {
			a := p.says("A").feels(sick(503))
			first := p.begin("deploy app --health-check-interval 50ms --target " + a.address)
			p.eventually("A was probed", func() bool { return a.probed.Load() >= 1 })
			p.deploy("app", p.says("B").address, "")
			p.wants("app.test", "/", 200, "B")
			a.feels(nil)
			r := first.wait()
			if p.differs() {
				equal(p, "the exit code of A", r.code, 0)
				p.wants("app.test", "/", 200, "A")
				return
			}
			p.failed("deploy A", r, "newer deploy")
			p.wants("app.test", "/", 200, "B")
		}},
}

// manners is a client that looks for lost requests while something is done.
func (p *proxy) manners(clients int, during func()) {
	p.t.Helper()
	stop, failed := make(chan struct{}), make(chan string, clients)
	for range clients {
		go func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					failed <- ""
					return
				default:
				}
				r := p.request(http.MethodPost, "app.test", "/", strings.NewReader("body"))
				r.Close = n%3 == 0
				if a := p.send(r); a.err != nil || a.status != 200 {
					failed <- a.body + " " + itoa(a.status) + " " + text(a.err)
					return
				}
			}
		}()
	}
	during()
	close(stop)
	for range clients {
		if why := receive(p, "a client's end", failed); why != "" {
			p.t.Errorf("a request was lost: %s", why)
		}
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
