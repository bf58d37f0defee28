package conformance_test

import (
	"time"

	"github.com/kamald/kamald/state"
)

func init() {
	cases(map[string]func(*subject){
		"routes that are paused, stopped and resumed": func(s *subject) {
			proxy := s.startProxy(true)
			s.note("stop one that is not there", s.proxy.Stop(s.ctx, proxy, "r", "", 0))
			s.note("pause one that is not there", s.proxy.Pause(s.ctx, proxy, "r", 0, time.Second))
			s.note("resume one that is not there", s.proxy.Resume(s.ctx, proxy, "r"))
			id := state.ShortID(s.start("one", s.image("v1", program{}), on(s.named("net"))))
			route := s.route("r", id+":3000")
			s.must(s.proxy.Deploy(s.ctx, proxy, route, 20*time.Second, 0))
			gate := func(what string) {
				kept, err := s.proxy.Routes(s.ctx, proxy)
				s.must(err)
				listed, err := s.proxy.List(s.ctx, proxy)
				s.must(err)
				s.note(what, kept[0].Stopped, kept[0].Paused, listed[0].State, listed[0].Name, listed[0].Targets[0].Target == id+":3000", listed[0].Targets[0].Health)
			}
			gate("at first")
			s.note("stop", s.proxy.Stop(s.ctx, proxy, "r", "back soon", time.Second))
			gate("stopped")
			s.note("a request", s.request(s.ctx, program{}))
			s.note("stop again", s.proxy.Stop(s.ctx, proxy, "r", "", time.Second))
			s.note("deploy", s.proxy.Deploy(s.ctx, proxy, route, 20*time.Second, 0))
			gate("stopped and deployed again")
			s.must(s.engine.Stop(s.ctx, proxy, 10*time.Second))
			_, err := s.proxy.List(s.ctx, proxy)
			s.note("list with the proxy stopped", err)
			s.note("resume with the proxy stopped", s.proxy.Resume(s.ctx, proxy, "r"))
			s.must(s.engine.Start(s.ctx, proxy))
			s.wait(func() bool { _, err := s.proxy.List(s.ctx, proxy); return err == nil }, func() string { return "the proxy does not answer" })
			gate("after a restart of the proxy")
			s.note("pause", s.proxy.Pause(s.ctx, proxy, "r", 0, time.Minute))
			gate("paused")
			s.note("resume", s.proxy.Resume(s.ctx, proxy, "r"))
			s.note("resume again", s.proxy.Resume(s.ctx, proxy, "r"))
			gate("resumed")
			s.note("a request", s.request(s.ctx, program{}))
			s.note("no end", s.proxy.Pause(s.ctx, proxy, "r", 0, 0))
			s.note("no name", s.proxy.Resume(s.ctx, proxy, ""))
		},
	})
}
