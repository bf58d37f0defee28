package contract

import (
	"net/http"
	"net/url"
	"strings"
)

// probedOnce deploys and returns the health check that the app got.
func (p *proxy) probedOnce(flags string) *http.Request {
	p.t.Helper()
	a := p.says("v1")
	p.deploy("app", a.address, flags)
	probe := a.probe()
	if probe.Method == "" {
		p.t.Fatal("the app was not probed")
	}
	return probe
}

var healthRows = []behaviour{
	{name: "a health check is GET /up", does: "deploy", expects: "GET /up by kamal-proxy, with the target as host",
		run: func(p *proxy) {
			a := p.says("v1")
			p.deploy("app", a.address, "")
			equal(p, "the method", a.probe().Method, http.MethodGet)
			equal(p, "the path", a.probe().URL.Path, "/up")
			equal(p, "the host", a.probe().Host, a.address)
		}},
	{name: "path and host of the health check can be set", does: "deploy --health-check-path /health --health-check-host app.test", expects: "that path, that host",
		run: func(p *proxy) {
			probe := p.probedOnce("--health-check-path /health --health-check-host app.test")
			equal(p, "the path", probe.URL.Path, "/health")
			equal(p, "the host", probe.Host, "app.test")
		}},
	{name: "the port of the health check can be set", does: "deploy --health-check-port of another listener", expects: "that one is asked; requests go to the target",
		run: func(p *proxy) {
			other := p.says("other")
			target := p.says("v1").feels(sick(500))
			p.deploy("app", target.address, "--health-check-port "+other.address[strings.LastIndex(other.address, ":")+1:])
			p.wants("app.test", "/", 200, "v1")
			equal(p, "the target's probes", target.probed.Load(), 0)
		}},
	{name: "a query in the health path is a query", does: "deploy --health-check-path /up?full=1", expects: "path /up, query full=1",
		kamal: "escapes it: path /up?full=1, no query",
		run: func(p *proxy) {
			probe := p.probedOnce("--health-check-path /up?full=1")
			path, query := "/up", "full=1"
			if p.differs() {
				path, query = "/up?full=1", ""
			}
			equal(p, "the path", probe.URL.Path, path)
			equal(p, "the query", probe.URL.RawQuery, query)
		}},
	{name: "every 2xx is healthy", does: "deploy targets that answer 204 and 299", expects: "exit code 0",
		run: func(p *proxy) {
			for _, status := range []int{204, 299} {
				p.deploy("app", p.says("v1").feels(sick(status)).address, "")
			}
		}},
	{name: "404 and a redirect to nowhere are not", does: "deploy targets that answer 404, and 302 to a path with 500", expects: "exit code 1",
		run: func(p *proxy) {
			p.fails("deploy app --deploy-timeout 200ms --target "+p.says("v1").feels(sick(404)).address, "failed to become healthy")
			p.fails("deploy app --deploy-timeout 200ms --target "+p.says("v1").feels(redirecting(500)).address, "failed to become healthy")
		}},
	{name: "redirects are followed", does: "deploy a target that answers 302 to a page with 200", expects: "exit code 0",
		run: func(p *proxy) {
			p.deploy("app", p.says("v1").feels(redirecting(200)).address, "")
		}},
	{name: "a health check that takes too long has failed", does: "deploy --health-check-timeout 100ms a target that hangs there", expects: "exit code 1",
		run: func(p *proxy) {
			hangs := p.says("v1").feels(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
			p.fails("deploy app --deploy-timeout 500ms --health-check-timeout 100ms --target "+hangs.address, "failed to become healthy")
		}},
	{name: "checks go on after the switch", does: "deploy one target with --health-check-interval 50ms", expects: "the app is probed on",
		kamal: "ends them, for there is no other target to go to",
		run: func(p *proxy) {
			a := p.says("v1")
			p.deploy("app", a.address, "--health-check-interval 50ms")
			if p.differs() {
				p.wants("app.test", "/", 200, "v1")
				return
			}
			p.eventually("it was probed again", func() bool { return a.probed.Load() >= 3 })
		}},
	{name: "a replaced target is probed no more", does: "deploy two targets, then others", expects: "the probes of the old ones end",
		run: func(p *proxy) {
			one, two := p.says("1"), p.says("2")
			p.ok("deploy app --health-check-interval 20ms --target " + one.address + " --target " + two.address)
			p.deploy("app", p.says("3").address, "--drain-timeout 1s")
			last := int64(-1)
			p.eventually("the probes end", func() bool {
				now := one.probed.Load() + two.probed.Load()
				ended := now == last
				last = now
				if !ended {
					p.pause()
				}
				return ended
			})
		}},
}

// redirecting answers the health check by way of another page.
func redirecting(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/up" {
			http.Redirect(w, r, (&url.URL{Path: "/login"}).String(), http.StatusFound)
			return
		}
		w.WriteHeader(status)
	}
}
