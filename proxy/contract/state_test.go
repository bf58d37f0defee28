package contract

import (
	"encoding/json"
	"os"
	"strings"
	"time"
)

// record is a service in the state file.
type record struct {
	Name    string `json:"name"`
	Options struct {
		Hosts                       []string      `json:"hosts"`
		PathPrefixes                []string      `json:"path_prefixes"`
		TLSEnabled                  bool          `json:"tls_enabled"`
		TLSRedirect                 bool          `json:"tls_redirect"`
		TLSCertificatePath          string        `json:"tls_certificate_path"`
		CanonicalHost               string        `json:"canonical_host"`
		ErrorPagePath               string        `json:"error_page_path"`
		ACMECachePath               string        `json:"acme_cache_path"`
		StripPrefix                 bool          `json:"strip_prefix"`
		WriterAffinityTimeout       time.Duration `json:"writer_affinity_timeout"`
		ReadTargetsAcceptWebsockets bool          `json:"read_targets_accept_websockets"`
	} `json:"options"`
	TargetOptions struct {
		HealthCheckConfig struct {
			Path     string        `json:"path"`
			Port     int           `json:"port"`
			Interval time.Duration `json:"interval"`
			Timeout  time.Duration `json:"timeout"`
			Host     string        `json:"host"`
		} `json:"health_check_config"`
		ResponseTimeout     time.Duration `json:"response_timeout"`
		BufferRequests      bool          `json:"buffer_requests"`
		BufferResponses     bool          `json:"buffer_responses"`
		MaxMemoryBufferSize int64         `json:"max_memory_buffer_size"`
		MaxRequestBodySize  int64         `json:"max_request_body_size"`
		MaxResponseBodySize int64         `json:"max_response_body_size"`
		LogRequestHeaders   []string      `json:"log_request_headers"`
		LogResponseHeaders  []string      `json:"log_response_headers"`
		ForwardHeaders      bool          `json:"forward_headers"`
		ScopeCookiePaths    bool          `json:"scope_cookie_paths"`
	} `json:"target_options"`
	ActiveTargets   []string `json:"active_targets"`
	ActiveReaders   []string `json:"active_readers"`
	RolloutTargets  []string `json:"rollout_targets"`
	PauseController struct {
		State       int           `json:"state"`
		StopMessage string        `json:"stop_message"`
		FailAfter   time.Duration `json:"fail_after"`
	} `json:"pause_controller"`
	RolloutController struct {
		Percentage int      `json:"percentage"`
		Allowlist  []string `json:"allowlist"`
	} `json:"rollout_controller"`
}

// state is what the state file says. kamal-proxy writes it in place, so a reader may meet half of it.
func (p *proxy) state() (records []record) {
	p.t.Helper()
	p.eventually("the state file can be read", func() bool {
		records = nil
		return json.Unmarshal(p.readState(), &records) == nil
	})
	return records
}

var stateRows = []behaviour{
	{name: "the state file has every option's default", does: "deploy --target alone", expects: "the documented defaults under kamal-proxy's names",
		run: func(p *proxy) {
			target := p.says("v1").address
			p.deploy("app", target, "")
			s := p.state()[0]
			o, t := s.Options, s.TargetOptions
			equal(p, "name", s.Name, "app")
			equal(p, "active_targets", strings.Join(s.ActiveTargets, " "), target)
			equal(p, "hosts", strings.Join(o.Hosts, " ")+"|"+itoa(len(o.Hosts)), "|1")
			equal(p, "path_prefixes", strings.Join(o.PathPrefixes, " "), "/")
			equal(p, "tls_enabled", o.TLSEnabled, false)
			equal(p, "tls_redirect", o.TLSRedirect, true)
			equal(p, "strip_prefix", o.StripPrefix, true)
			equal(p, "writer_affinity_timeout", o.WriterAffinityTimeout, time.Second)
			equal(p, "acme_cache_path", strings.HasSuffix(o.ACMECachePath, "/.config/kamal-proxy/certs"), true)
			h := t.HealthCheckConfig
			equal(p, "health check", h.Path+" "+h.Interval.String()+" "+h.Timeout.String()+" "+itoa(h.Port)+h.Host, "/up 1s 5s 0")
			equal(p, "response_timeout", t.ResponseTimeout, 30*time.Second)
			equal(p, "max_memory_buffer_size", t.MaxMemoryBufferSize, mib)
			equal(p, "forward_headers", t.ForwardHeaders, true)
			equal(p, "buffering", t.BufferRequests || t.BufferResponses || t.ScopeCookiePaths, false)
			equal(p, "pause_controller", s.PauseController.State, 0)
		}},
	{name: "the state file has every option", does: "deploy with flags", expects: "each in its field, durations in nanoseconds",
		run: func(p *proxy) {
			p.deploy("app", p.says("v1").address, "--host a.test --path-prefix /x --strip-path-prefix=false --writer-affinity-timeout 3s --target-timeout 7s "+
				"--health-check-path /h --health-check-interval 2s --health-check-timeout 3s --health-check-host h.test --buffer-requests --buffer-responses "+
				"--buffer-memory 2000 --max-request-body 3000 --max-response-body 4000 --forward-headers=false --log-request-header X-A --log-response-header X-B --tls-redirect=false")
			s := p.state()[0]
			o, t, h := s.Options, s.TargetOptions, s.TargetOptions.HealthCheckConfig
			equal(p, "hosts", strings.Join(o.Hosts, " "), "a.test")
			equal(p, "path_prefixes", strings.Join(o.PathPrefixes, " "), "/x")
			equal(p, "strip_prefix", o.StripPrefix, false)
			equal(p, "writer_affinity_timeout", o.WriterAffinityTimeout, 3*time.Second)
			equal(p, "health check", h.Path+" "+h.Interval.String()+" "+h.Timeout.String()+" "+h.Host, "/h 2s 3s h.test")
			equal(p, "response_timeout", t.ResponseTimeout, 7*time.Second)
			equal(p, "buffering", t.BufferRequests && t.BufferResponses, true)
			equal(p, "sizes", itoa(int(t.MaxMemoryBufferSize))+" "+itoa(int(t.MaxRequestBodySize))+" "+itoa(int(t.MaxResponseBodySize)), "2000 3000 4000")
			equal(p, "log headers", strings.Join(t.LogRequestHeaders, " ")+" "+strings.Join(t.LogResponseHeaders, " "), "X-A X-B")
			equal(p, "forward_headers", t.ForwardHeaders, false)
		}},
	{name: "the state file has the gate", does: "stop --message gone; pause --max-pause 7s", expects: "pause_controller with state 2 and the message; state 1 and 7s",
		run: func(p *proxy) {
			p.serve("app", "")
			p.ok("stop app --message gone")
			g := p.state()[0].PauseController
			equal(p, "stopped", itoa(g.State)+g.StopMessage, "2gone")
			p.ok("pause app --max-pause 7s")
			g = p.state()[0].PauseController
			equal(p, "paused", itoa(g.State)+g.FailAfter.String(), "17s")
			p.ok("remove app")
			equal(p, "services after remove", len(p.state()), 0)
		}},
	{name: "a restart serves what was served", does: "restart in good order, and by SIGKILL", expects: "every service, with its options",
		run: func(p *proxy) {
			p.serve("a", "--host a.test")
			p.serve("b", "--host b.test --path-prefix /api")
			for _, kill := range []bool{false, true} {
				p.restart(kill)
				p.wants("a.test", "/", 200, "a")
				p.wants("b.test", "/api", 200, "b")
				p.wants("b.test", "/", 404, "")
			}
		}},
	{name: "a restart does not wait for health", does: "restart while the target is dead", expects: "502, not 404; 200 when it is back",
		run: func(p *proxy) {
			a := p.says("v1")
			p.deploy("app", a.address, "--health-check-interval 100ms")
			a.end()
			p.restart(false)
			p.wants("app.test", "/", 502, "")
			p.appAt(a.address[strings.LastIndex(a.address, ":")+1:], saying("back"))
			p.eventually("it serves", func() bool { return p.get("app.test", "/").status == 200 })
		}},
	{name: "kamal-proxy's state file is taken over", does: "start on a state file of kamal-proxy 0.9.2", expects: "its service is served",
		run: func(p *proxy) {
			a := p.says("v1")
			p.halt(false)
			p.writeState(`[` + theirRecord("shop", "shop.test", a.address) + `]`)
			p.start(nil)
			p.wants("shop.test", "/", 200, "v1")
			p.wants("other.test", "/", 404, "")
		}},
	{name: "a service that cannot be restored takes no other with it", does: "start on a state file where one service's certificate is gone", expects: "the other services are served",
		kamal: "forgets all services: 404 for every app",
		run: func(p *proxy) {
			a := p.says("v1")
			p.halt(false)
			bad := strings.Replace(theirRecord("bad", "bad.test", a.address), `"tls_enabled":false,"tls_certificate_path":"","tls_private_key_path":""`,
				`"tls_enabled":true,"tls_certificate_path":"/gone/c.pem","tls_private_key_path":"/gone/k.pem"`, 1)
			p.writeState(`[` + bad + `,` + theirRecord("shop", "shop.test", a.address) + `]`)
			p.start(nil)
			want := 200
			if p.differs() {
				want = 404
			}
			p.wants("shop.test", "/", want, "")
			if !p.kamal && !strings.Contains(p.ok("list"), "bad") {
				p.t.Error("list does not name the service that could not be restored")
			}
		}},
	{name: "a torn state file loses what is torn and no more", does: "start on a state file that breaks off in its second service", expects: "the first service is served",
		kamal: "forgets all services: 404 for every app",
		run: func(p *proxy) {
			a := p.says("v1")
			p.halt(false)
			second := theirRecord("b", "b.test", a.address)
			p.writeState(`[` + theirRecord("a", "a.test", a.address) + `,` + second[:len(second)/2])
			p.start(nil)
			want := 200
			if p.differs() {
				want = 404
			}
			p.wants("a.test", "/", want, "")
		}},
	{name: "the end waits for requests in flight", does: "SIGTERM while a request runs", expects: "it is answered; exit code 0",
		run: func(p *proxy) {
			a, came, letGo := p.held("done")
			p.deploy("app", a.address, "")
			answered := p.asks(p.request("GET", "app.test", "/", nil))
			receive(p, "the request", came)
			code := make(chan int, 1)
			go func() { code <- p.halt(false) }()
			p.eventually("no new connection is answered", func() bool { return p.refusesNew() })
			letGo()
			p.check("the request in flight", receive(p, "the answer", answered), 200, "done")
			equal(p, "the exit code", receive(p, "the end", code), 0)
		}},
	{name: "only its owner may give commands", does: "look at the control socket", expects: "mode 0600",
		kamal: "0755, of which connecting needs writing",
		run: func(p *proxy) {
			info, err := os.Stat(p.dir + "/run/kamal-proxy.sock")
			if err != nil {
				p.t.Fatal(err)
			}
			want := os.FileMode(0o600)
			if p.differs() {
				want = 0o755
			}
			equal(p, "the mode", info.Mode().Perm(), want)
		}},
}

func (p *proxy) writeState(text string) {
	p.t.Helper()
	p.file("home/.config/kamal-proxy/kamal-proxy.state", text)
}

// refusesNew tells whether a new connection gets no answer.
func (p *proxy) refusesNew() bool {
	client := p.newClient(nil)
	client.Timeout = 200 * time.Millisecond
	return sendBy(client, p.request("GET", "nobody.test", "/", nil)).err != nil
}

// theirRecord is a service as kamal-proxy 0.9.2 writes it.
func theirRecord(name, host, target string) string {
	return strings.NewReplacer("NAME", name, "HOST", host, "TARGET", target).Replace(
		`{"name":"NAME","options":{"hosts":["HOST"],"path_prefixes":["/"],"tls_enabled":false,"tls_certificate_path":"","tls_private_key_path":"",` +
			`"tls_redirect":true,"canonical_host":"","acme_directory":"","acme_cache_path":"/home/kamal-proxy/.config/kamal-proxy/certs",` +
			`"error_page_path":"","strip_prefix":true,"writer_affinity_timeout":1000000000,"read_targets_accept_websockets":false},` +
			`"target_options":{"health_check_config":{"path":"/up","port":0,"interval":1000000000,"timeout":5000000000,"host":""},` +
			`"response_timeout":30000000000,"buffer_requests":false,"buffer_responses":false,"max_memory_buffer_size":1048576,"max_request_body_size":0,` +
			`"max_response_body_size":0,"log_request_headers":null,"log_response_headers":null,"forward_headers":true,"scope_cookie_paths":false},` +
			`"active_targets":["TARGET"],"active_readers":[],"rollout_targets":null,"rollout_readers":null,` +
			`"pause_controller":{"state":0,"stop_message":"","fail_after":0},"rollout_controller":null}`)
}
