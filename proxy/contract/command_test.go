package contract

import (
	"encoding/json"
	"regexp"
	"strings"
)

var deployFlagNames = []string{"target", "read-target", "host", "path-prefix", "strip-path-prefix", "canonical-host", "tls", "tls-staging",
	"tls-certificate-path", "tls-private-key-path", "tls-acme-cache-path", "tls-redirect", "deploy-timeout", "drain-timeout", "force",
	"target-timeout", "writer-affinity-timeout", "health-check-interval", "health-check-timeout", "health-check-path", "health-check-port",
	"health-check-host", "buffer-requests", "buffer-responses", "buffer-memory", "max-request-body", "max-response-body", "error-pages",
	"log-request-header", "log-response-header", "forward-headers", "scope-cookie-paths", "read-target-websockets"}

var commandRows = []behaviour{
	{name: "a command that succeeds prints nothing", does: "deploy, pause, resume, stop, remove", expects: "exit code 0, nothing on stdout and stderr",
		run: func(p *proxy) {
			for _, line := range []string{"deploy app --target " + p.says("v1").address, "pause app", "resume app", "stop app", "resume app", "remove app"} {
				if r := p.try(line); r.code != 0 || r.stdout != "" || r.stderr != "" {
					p.t.Errorf("%s: exit %d, stdout %q, stderr %q", line, r.code, r.stdout, r.stderr)
				}
			}
		}},
	{name: "list has a line for each service, in the order of their names", does: "deploy two services, list", expects: "the columns Service, Host, Path, Target, State, TLS; any host is *; several are joined by commas",
		kamal: "colours each heading and name by escape sequences, into pipes too",
		run: func(p *proxy) {
			one, two := p.says("1").address, p.says("2").address
			p.deploy("shop", one, "--host a.test --host b.test --path-prefix /x")
			p.deploy("any", two, "")
			out := p.ok("list")
			equal(p, "an escape sequence in list", strings.Contains(out, "\x1b"), p.differs())
			lines := strings.Split(regexp.MustCompile(`\x1b\[[0-9;]*m`).ReplaceAllString(out, ""), "\n")
			for i, want := range []string{"Service Host Path Target State TLS", "any * / " + two + " running no", "shop a.test,b.test /x " + one + " running no"} {
				if got := strings.Join(strings.Fields(lines[min(i, len(lines)-1)]), " "); !strings.HasPrefix(got, want) {
					p.t.Errorf("line %d of list is %q, want %q", i+1, got, want)
				}
			}
		}},
	{name: "list shows the state of a service", does: "pause, stop, resume; list after each", expects: "paused, stopped, running",
		run: func(p *proxy) {
			p.deploy("app", p.says("v1").address, "")
			for command, state := range map[string]string{"pause app": "paused", "stop app": "stopped", "resume app": "running"} {
				p.ok(command)
				if out := p.ok("list"); !strings.Contains(out, state) {
					p.t.Errorf("after %s list says %s", command, out)
				}
			}
		}},
	{name: "ls is list and rm is remove", does: "ls, rm", expects: "what list and remove do",
		run: func(p *proxy) {
			p.deploy("app", p.says("v1").address, "")
			equal(p, "ls", p.ok("ls"), p.ok("list"))
			p.ok("rm app")
			p.wants("app.test", "/", 404, "")
		}},
	{name: "list --json is for programs", does: "list --json", expects: "a JSON array with service, hosts, path_prefixes, targets with healthy, state, tls",
		kamal: "knows no JSON: unknown flag",
		run: func(p *proxy) {
			target := p.says("v1").address
			p.deploy("app", target, "--host a.test")
			if p.differs() {
				p.fails("list --json", "unknown flag: --json")
				return
			}
			var infos []struct {
				Service      string
				Hosts        []string
				PathPrefixes []string `json:"path_prefixes"`
				Targets      []struct {
					Target  string
					Healthy bool
				}
				State string
				TLS   bool
			}
			out := p.ok("list --json")
			if err := json.Unmarshal([]byte(out), &infos); err != nil || len(infos) != 1 || len(infos[0].Targets) != 1 {
				p.t.Fatalf("%v: %s", err, out)
			}
			i := infos[0]
			if i.Service != "app" || i.Hosts[0] != "a.test" || i.PathPrefixes[0] != "/" || i.Targets[0].Target != target || !i.Targets[0].Healthy || i.State != "running" || i.TLS {
				p.t.Errorf("list --json says %s", out)
			}
		}},
	{name: "inspect tells all about a service", does: "inspect app", expects: "JSON with its options and targets",
		kamal: "has no such command",
		run: func(p *proxy) {
			target := p.says("v1").address
			p.deploy("app", target, "--host a.test")
			if p.differs() {
				p.fails("inspect app", "unknown command")
				return
			}
			out := p.ok("inspect app")
			if !json.Valid([]byte(out)) || !strings.Contains(out, target) || !strings.Contains(out, "a.test") {
				p.t.Errorf("inspect says %s", out)
			}
			p.fails("inspect nobody", "service not found")
		}},
	{name: "version tells which program it is", does: "version", expects: "exit code 0, one line",
		kamal: "has no such command",
		run: func(p *proxy) {
			if p.differs() {
				p.fails("version", "unknown command")
				return
			}
			if out := p.ok("version"); strings.TrimSpace(out) == "" {
				p.t.Error("version says nothing")
			}
		}},
	{name: "every flag of kamal-proxy's deploy is there", does: "deploy --help", expects: "all 33 flags of kamal-proxy 0.9.2",
		run: func(p *proxy) {
			out := p.ok("deploy --help")
			for _, name := range deployFlagNames {
				if !strings.Contains(out, "--"+name+" ") {
					p.t.Errorf("deploy --help has no --%s", name)
				}
			}
		}},
	{name: "every flag of the other commands is there", does: "COMMAND --help", expects: "the flags of kamal-proxy 0.9.2",
		run: func(p *proxy) {
			for command, flags := range map[string][]string{
				"run":            {"http-port", "https-port", "metrics-port", "debug", "http3"},
				"pause":          {"drain-timeout", "max-pause"},
				"stop":           {"drain-timeout", "message"},
				"rollout deploy": {"target", "read-target", "deploy-timeout", "drain-timeout"},
				"rollout set":    {"percent", "list"},
			} {
				out := p.ok(command + " --help")
				for _, name := range flags {
					if !strings.Contains(out, "--"+name+" ") {
						p.t.Errorf("%s --help has no --%s", command, name)
					}
				}
			}
		}},
	{name: "flags may stand anywhere, with = or a space, and lists may be repeated or joined by commas", does: "deploy --host a.test,b.test app --host=c.test --target=…", expects: "all three hosts are served",
		run: func(p *proxy) {
			p.ok("deploy --host a.test,b.test app --host=c.test --target=" + p.says("v1").address)
			for _, host := range []string{"a.test", "b.test", "c.test"} {
				p.wants(host, "/", 200, "v1")
			}
		}},
	{name: "ports come from the environment, the prefixed name first", does: "run with HTTP_PORT=1, KAMAL_PROXY_HTTP_PORT and HTTPS_PORT", expects: "KAMAL_PROXY_HTTP_PORT is served",
		run: func(p *proxy) {
			p.halt(true)
			p.start(nil, "HTTP_PORT=1", "KAMAL_PROXY_HTTP_PORT="+itoa(p.host.inside(httpPort)), "HTTPS_PORT="+itoa(p.host.inside(httpsPort)))
			p.deploy("app", p.says("v1").address, "")
			p.wants("app.test", "/", 200, "v1")
		}},
	{name: "a command that finds no proxy says so", does: "list while nothing runs", expects: "exit code 1, an error that names the socket",
		run: func(p *proxy) {
			if p.host.appIP() != "127.0.0.1" {
				return // in a container there is nowhere left to give the command
			}
			p.halt(false)
			p.fails("list", "kamal-proxy.sock", "no such file or directory")
		}},
}

var refusalRows = []behaviour{
	{name: "an unknown command and an unknown flag are refused by name", does: "frobnicate; deploy --frobnicate", expects: "exit code 1; unknown command \"frobnicate\"; unknown flag: --frobnicate",
		run: func(p *proxy) {
			p.fails("frobnicate", `unknown command "frobnicate"`)
			p.fails("deploy app --target web:80 --frobnicate", "unknown flag: --frobnicate")
		}},
	{name: "a missing target or name is refused", does: "deploy app; deploy --target web:80", expects: "required flag(s) \"target\" not set; accepts 1 arg(s), received 0",
		run: func(p *proxy) {
			p.fails("deploy app", `required flag(s) "target" not set`)
			p.fails("deploy --target web:80", "accepts 1 arg(s), received 0")
			p.fails("stop", "accepts 1 arg(s), received 0")
			p.fails("rollout deploy app", `required flag(s) "target" not set`)
		}},
	{name: "a service that was never deployed is not found", does: "remove, pause, stop, resume, rollout … of an unknown name", expects: "exit code 1, service not found",
		run: func(p *proxy) {
			for _, line := range []string{"remove x", "pause x", "stop x", "resume x", "rollout set x --percent 10", "rollout stop x",
				"rollout deploy x --target " + p.says("v1").address} {
				p.fails(line, "service not found")
			}
		}},
	{name: "a size limit needs its buffering", does: "deploy --max-request-body 5; --max-response-body 5", expects: "…can only be set when request (response) buffering is enabled",
		run: func(p *proxy) {
			p.fails("deploy app --target web:80 --max-request-body 5", "max-request-body can only be set when request buffering is enabled")
			p.fails("deploy app --target web:80 --max-response-body 5", "max-response-body can only be set when response buffering is enabled")
		}},
	{name: "certificate and key belong together", does: "deploy --tls-certificate-path alone", expects: "exit code 1, both flags named",
		run: func(p *proxy) {
			p.fails("deploy app --target web:80 --host a.test --tls --tls-certificate-path /c", "tls-certificate-path", "tls-private-key-path")
		}},
	{name: "HTTPS needs a host", does: "deploy --tls without --host", expects: "host must be set when using TLS",
		kamal: "deploys it, and has no certificate for anybody",
		run: func(p *proxy) {
			line := "deploy app --tls --target " + p.says("v1").address
			if p.differs() {
				p.ok(line)
				return
			}
			p.fails(line, "host must be set when using TLS")
		}},
	{name: "an interval of zero is refused", does: "deploy --health-check-interval 0s", expects: "exit code 1 and the flag named; the proxy goes on",
		kamal: "panics: the whole proxy dies, and every app with it",
		run: func(p *proxy) {
			r := p.fails("deploy app --health-check-interval 0s --target " + p.says("v1").address)
			if p.differs() {
				p.eventually("the proxy is gone", func() bool { return p.get("app.test", "/").err != nil })
				return
			}
			if !strings.Contains(r.stderr, "health-check-interval") {
				p.t.Errorf("the message is %q", r.stderr)
			}
			p.wants("app.test", "/", 404, "")
		}},
	{name: "a target is a name with a port", does: "deploy --target http://web; --target a b", expects: "exit code 1, the target named",
		run: func(p *proxy) {
			p.fails("deploy app --target http://web:80", "http://web:80")
			p.fails("deploy app --target web:80/path", "web:80/path")
		}},
	{name: "targets may have short names and IPv6 addresses", does: "deploy --target x:80 --deploy-timeout 200ms; --target [::1]:9", expects: "they are tried, and are not healthy",
		kamal: "refuses both: invalid host pattern",
		run: func(p *proxy) {
			want := "target failed to become healthy"
			if p.differs() {
				want = "invalid host pattern"
			}
			p.fails("deploy app --deploy-timeout 200ms --target x:80", want)
			p.fails("deploy app --deploy-timeout 200ms --target [::1]:9", want)
		}},
	{name: "the canonical host is one of the hosts", does: "deploy --host a.test --canonical-host b.test", expects: "exit code 1, canonical-host and the name",
		run: func(p *proxy) {
			p.fails("deploy app --host a.test --canonical-host b.test --target "+p.says("v1").address, "canonical-host", "b.test")
		}},
	{name: "a host is a name", does: "deploy --host a.test:80", expects: "exit code 1, the host named",
		kamal: "deploys it, and never routes anything there",
		run: func(p *proxy) {
			line := "deploy app --host a.test:80 --target " + p.says("v1").address
			if p.differs() {
				p.ok(line)
				p.wants("a.test:80", "/", 404, "")
				return
			}
			p.fails(line, "a.test:80")
		}},
	{name: "a share is between 0 and 100", does: "rollout set --percent 300", expects: "exit code 1, percent named",
		kamal: "takes any number",
		run: func(p *proxy) {
			p.deploy("app", p.says("old").address, "")
			p.ok("rollout deploy app --target " + p.says("new").address)
			if p.differs() {
				p.ok("rollout set app --percent 300")
				return
			}
			p.fails("rollout set app --percent 300", "percent")
			p.fails("rollout set app --percent -1", "percent")
		}},
	{name: "a rollout needs a share or a list", does: "rollout set app", expects: "exit code 1, percent and list named",
		run: func(p *proxy) {
			p.deploy("app", p.says("v1").address, "")
			p.fails("rollout set app", "percent", "list")
		}},
	{name: "a rollout needs targets", does: "rollout set before rollout deploy", expects: "rollout target not set",
		run: func(p *proxy) {
			p.deploy("app", p.says("v1").address, "")
			p.fails("rollout set app --percent 10", "rollout target not set")
		}},
}
