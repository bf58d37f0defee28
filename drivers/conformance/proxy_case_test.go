package conformance_test

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/kamald/kamald/state"
)

const proxyRef = "kamald/proxy:v1.0.0"

func init() {
	cases(map[string]func(*subject){
		"probes": func(s *subject) {
			try := func(what, address string) {
				result, err := s.prober.HTTP(s.ctx, address, "/up", "")
				s.note(what, result.Status, reach(err), reach(s.prober.TCP(s.ctx, address)))
			}
			s.start("a", s.image("v1", program{}))
			ip := s.address("a", "bridge")
			s.listening(ip + ":3000")
			try("well", ip+":3000")
			try("another port", ip+":3001")
			s.must(s.engine.Stop(s.ctx, s.named("a"), 5*time.Second))
			s.start("sick", s.image("v2", program{sick: true}))
			sick := s.address("sick", "bridge")
			s.listening(sick + ":3000")
			try("sick", sick+":3000")
			s.start("elsewhere", s.image("v3", program{elsewhere: 8080}))
			elsewhere := s.address("elsewhere", "bridge")
			s.listening(elsewhere + ":8080")
			try("where it should listen", elsewhere+":3000")
			try("where it listens", elsewhere+":8080")
			try("no address", "nonsense")
		},
		"a proxy that is not there": func(s *subject) {
			_, err := s.proxy.Routes(s.ctx, s.named("none"))
			s.note("routes", err)
			s.note("deploy", s.proxy.Deploy(s.ctx, s.named("none"), s.route("r", "0123456789ab:3000"), time.Second, 0))
			s.note("remove", s.proxy.Remove(s.ctx, s.named("none"), "r"))
			_, err = s.proxy.Image(s.ctx, "basecamp/kamal-proxy:v0.9.2", s.arch)
			s.note("another's image", err)
		},
		"a proxy that does not run": func(s *subject) {
			s.loadProxy()
			s.create("p", proxyRef)
			_, err := s.proxy.Routes(s.ctx, s.named("p"))
			s.note("routes of one that never ran", err)
			s.note("deploy", s.proxy.Deploy(s.ctx, s.named("p"), s.route("r", "0123456789ab:3000"), time.Second, 0))
			s.note("remove", s.proxy.Remove(s.ctx, s.named("p"), "r"))
			s.start("no-proxy", s.image("v1", program{}))
			s.note("deploy on what is no proxy", s.proxy.Deploy(s.ctx, s.named("no-proxy"), s.route("r", "0123456789ab:3000"), time.Second, 0))
		},
		"routes": func(s *subject) {
			proxy := s.startProxy(false)
			routes := func(what string) {
				list, err := s.proxy.Routes(s.ctx, proxy)
				var names []string
				for _, r := range list {
					names = append(names, fmt.Sprint(r.Name, r.Options.Hosts, r.Options.PathPrefixes))
				}
				s.note(what, names, err)
			}
			routes("at first")
			one := state.ShortID(s.start("one", s.image("v1", program{}), on(s.named("net"))))
			r := s.route("shop-web", one+":3000")
			s.note("deploy", s.proxy.Deploy(s.ctx, proxy, r, 20*time.Second, time.Second))
			routes("one")
			s.note("deploy again", s.proxy.Deploy(s.ctx, proxy, r, 20*time.Second, time.Second))
			s.note("another with the same host", s.proxy.Deploy(s.ctx, proxy, s.route("other", one+":3000"), 20*time.Second, time.Second))
			r.Name, r.Options.Hosts = "other", []string{"other.example.com"}
			s.note("another host", s.proxy.Deploy(s.ctx, proxy, r, 20*time.Second, time.Second))
			r.Name, r.Options.PathPrefixes = "third", []string{"/api", "v2/"}
			s.note("another path", s.proxy.Deploy(s.ctx, proxy, r, 20*time.Second, time.Second))
			routes("three")
			s.note("rename the target", s.engine.Rename(s.ctx, s.named("one"), s.named("renamed")))
			s.note("stop the target", s.engine.Stop(s.ctx, s.named("renamed"), 5*time.Second))
			routes("with the target gone")
			s.note("remove", s.proxy.Remove(s.ctx, proxy, "other"))
			s.note("remove again", s.proxy.Remove(s.ctx, proxy, "other"))
			routes("two")
			s.must(s.engine.Stop(s.ctx, proxy, 10*time.Second))
			routes("with the proxy stopped")
			s.must(s.engine.Start(s.ctx, proxy))
			s.wait(func() bool { return s.proxy.Remove(s.ctx, proxy, "none") == nil }, func() string { return "the proxy does not answer" })
			routes("with the proxy started anew")
		},
		"a target that is not well": func(s *subject) {
			proxy := s.startProxy(false)
			good := state.ShortID(s.start("good", s.image("v1", program{}), on(s.named("net"))))
			s.must(s.proxy.Deploy(s.ctx, proxy, s.route("r", good+":3000"), 20*time.Second, 0))
			try := func(what, target string) {
				err := s.proxy.Deploy(s.ctx, proxy, s.route("r", target), 1500*time.Millisecond, 0)
				list, _ := s.proxy.Routes(s.ctx, proxy)
				s.note(what, err, "the old route stands", len(list) == 1 && list[0].TargetID() == good)
			}
			id := func(name string, p program) string {
				return state.ShortID(s.start(name, s.image(name, p), on(s.named("net"))))
			}
			try("missing", "0123456789ab:3000")
			try("sick", id("sick", program{sick: true})+":3000")
			try("elsewhere", id("elsewhere", program{elsewhere: 8080})+":3000")
			try("exited", id("exited", program{crash: true, code: 1})+":3000")
			try("on another network", state.ShortID(s.start("apart", s.repo()+":v1"))+":3000")
			r := s.route("r", good+":3000")
			r.Options.HealthInterval = 0
			s.note("no interval", s.proxy.Deploy(s.ctx, proxy, r, time.Second, 0))
			s.note("no target", s.proxy.Deploy(s.ctx, proxy, s.route("r"), time.Second, 0))
			s.note("no time", s.proxy.Deploy(s.ctx, proxy, s.route("r", good+":3000"), 0, 0))
			s.note("no name", s.proxy.Deploy(s.ctx, proxy, s.route("", good+":3000"), time.Second, 0))
			slow := id("slow", program{ready: 1500 * time.Millisecond})
			s.note("slow, and long enough", s.proxy.Deploy(s.ctx, proxy, s.route("r", slow+":3000"), 20*time.Second, 0))
		},
		"requests in flight": func(s *subject) {
			proxy := s.startProxy(true)
			slow := program{serves: 3 * time.Second}
			targets := map[string]string{}
			for _, name := range []string{"one", "two", "three", "four"} {
				targets[name] = state.ShortID(s.start(name, s.image(name, slow), on(s.named("net")))) + ":3000"
				s.listening(s.address(name, s.named("net")) + ":3000")
			}
			deploy := func(name string, drain time.Duration) (took time.Duration) {
				began := time.Now()
				s.must(s.proxy.Deploy(s.ctx, proxy, s.route("r", targets[name]), 20*time.Second, drain))
				return time.Since(began)
			}
			status := make(chan int, 1)
			request := func() {
				go func() { status <- s.request(s.ctx, slow) }()
				time.Sleep(500 * time.Millisecond)
			}
			s.note("without a route", s.request(s.ctx, program{}))
			deploy("one", 0)
			request()
			took := deploy("two", 20*time.Second)
			s.note("a switch drains", <-status, took > 500*time.Millisecond && took < 10*time.Second)
			request()
			deploy("three", 0)
			s.note("a switch that does not drain", <-status)
			request()
			s.must(s.engine.Remove(s.ctx, s.named("three")))
			s.note("its container is killed", <-status)
			s.note("the next one", s.request(s.ctx, program{}))
			deploy("four", 0)
			request()
			s.must(s.engine.Remove(s.ctx, proxy))
			s.note("the proxy is killed", <-status)
			s.note("without a proxy", s.request(s.ctx, program{}))
		},
	})
}

// reach is what a probe's error says.
func reach(err error) string {
	switch {
	case err == nil:
		return "answers"
	case errors.Is(err, fs.ErrNotExist):
		return "not there"
	case strings.Contains(err.Error(), "refused"):
		return "refused"
	}
	return "no answer"
}

func (s *subject) route(name string, targets ...string) state.Route {
	return state.Route{Name: name, Targets: targets, Options: state.RouteOptions{PathPrefixes: []string{"/"}, ResponseTimeout: 30 * time.Second,
		HealthPath: "/up", HealthInterval: 100 * time.Millisecond, HealthTimeout: 5 * time.Second}}
}

func (s *subject) loadProxy() {
	archive, err := s.proxy.Image(s.ctx, proxyRef, s.arch)
	s.must(err)
	defer func() { _ = archive.Close() }()
	s.must(s.engine.Load(s.ctx, archive))
}

// startProxy gives the name of a proxy on a network of the case.
func (s *subject) startProxy(publish bool) string {
	s.loadProxy()
	s.must(s.engine.CreateNetwork(s.ctx, s.named("net")))
	s.start("proxy", proxyRef, on(s.named("net")), func(spec *state.Spec) {
		if publish {
			spec.Options = map[string][]string{"publish": {"80:80"}}
		}
	})
	proxy := s.named("proxy")
	s.wait(func() bool { return s.proxy.Remove(s.ctx, proxy, "none") == nil }, func() string { return "the proxy does not answer" })
	return proxy
}
