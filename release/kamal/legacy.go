package kamal

import (
	"regexp"
	"slices"
	"strings"
)

// What Kamal 1 took where nothing was said.
const oldAppPort = "3000"

// isOld tells whether the source is for Kamal 1.
func isOld(p place) bool {
	for _, key := range []string{"traefik", "healthcheck", "stop_wait_time", "env_tags", "run_id", "audit_broadcast_cmd"} {
		if p.at(key).there() {
			return true
		}
	}
	builder := p.at("builder")
	return builder.at("multiarch").there() || builder.at("local").mapping() || builder.at("remote").mapping() ||
		slices.ContainsFunc(p.at("servers").entries(), func(role place) bool { return role.at("traefik").there() })
}

// waitTime is what Kamal 1 called the time for requests in flight.
func (t *translation) waitTime(p place) {
	old := p.at("stop_wait_time")
	if p.at("drain_timeout").there() {
		t.drop(old, "drain_timeout says it")
		return
	}
	if t.number(t.root, "drain_timeout", seconds, old) {
		t.changed(old, "drain_timeout", "Kamal 1's name of it")
	}
}

// oldRoot reports keys of Kamal 1 that have no counterpart.
func (t *translation) oldRoot(p place) {
	t.drop(p.at("run_id"), "Kamal 1's; kamald numbers its releases itself")
	t.drop(p.at("audit_broadcast_cmd"), "Kamal 0.x's; a hook at post-deploy tells others, and `kamald audit` lists what was done")
	if isOld(p) && hasSecrets(p) {
		t.sayOfAll(Todo, "the secrets", "Kamal 1 kept their values in .env; put them into .kamald/secrets, which must not be committed")
	}
}

func hasSecrets(p place) bool {
	if p.at("env").at("secret").there() {
		return true
	}
	return slices.ContainsFunc(slices.Concat(p.at("servers").entries(), p.at("accessories").entries()), func(e place) bool {
		return e.at("env").at("secret").there()
	})
}

// oldProxy makes a proxy of what Kamal 1 said to Traefik and of its health check.
func (t *translation) oldProxy(p place) {
	if !isOld(p) {
		return
	}
	b := t.root.child("proxy", "")
	t.traefik(p.at("traefik"))
	t.routes(p)
	check := p.at("healthcheck")
	if t.open(check) {
		t.number(b, "app_port", plain, check.at("port"))
		made := b.child("healthcheck", "")
		t.comments(b, made, check)
		t.text(made, "path", check.at("path"))
		t.interval(made, "interval", check.at("interval"))
		t.drop(check.at("max_attempts"), "deploy_timeout says how long a new container may take")
		t.drop(check.at("cmd"), "the proxied role is asked over HTTP, as the proxy will ask it")
		for _, key := range []string{"cord", "log_lines", "exposed_port"} {
			t.drop(check.at(key), "Kamal 1's way to check; kamald asks the container by itself and shows its log when it fails")
		}
	}
	asked := p.at("servers").at(t.primary()).at("healthcheck").at("port")
	if b.find("app_port", "") == nil && !p.at("proxy").there() && !asked.there() {
		b.set("app_port", raw(oldAppPort))
		t.sayOfAll(Changed, "app_port = "+oldAppPort, "Kamal 1's default; Kamal 2's and kamald's is 80")
	}
}

// interval is "10s" in Kamal 1.
func (t *translation) interval(b *block, name string, p place) {
	if p.scalar() && !p.open() && strings.HasSuffix(p.text(), "s") {
		t.text(b, name, p)
		return
	}
	t.number(b, name, seconds, p)
}

func (t *translation) traefik(p place) {
	if !t.open(p) {
		return
	}
	why := "it is for Traefik; kamald runs a proxy of its own, which takes certificates from ACME by itself (proxy { ssl = true })"
	t.oldRun = &block{name: "proxy_server", path: "proxy_server"}
	t.number(t.oldRun, "http_port", plain, p.at("host_port"))
	if publish := p.at("publish"); publish.text() == "false" {
		t.boolean(t.oldRun, "publish", publish)
	}
	t.dropRest(p, why)
	t.lines = append(t.lines, Line{File: p.origin().file, Line: p.origin().line, Key: p.path, What: "the proxy", Severity: Todo,
		Why: "both want ports 80 and 443: `kamald proxy switch` changes Traefik for it, with its routes"})
}

var (
	rule      = regexp.MustCompile(`\Atraefik\.http\.routers\.[^.]+\.rule\z`)
	ruleHosts = regexp.MustCompile(`Host\(([^)]*)\)`)
	rulePaths = regexp.MustCompile(`PathPrefix\(([^)]*)\)`)
	tls       = regexp.MustCompile(`\Atraefik\.http\.routers\.[^.]+\.tls(?:\.certresolver)?\z`)
	quotedArg = regexp.MustCompile("[`'\"]([^`'\"]+)[`'\"]")
)

// routes reads hosts and path prefixes from labels that told Traefik its routes.
func (t *translation) routes(p place) {
	t.route(t.root, p.at("labels"))
	for _, role := range p.at("servers").entries() {
		if !t.routedAlone(role) {
			t.route(t.root, role.at("labels"))
		}
	}
}

// routedAlone tells whether a role has routes of its own: one that is not the primary role, and was behind Traefik all the same.
func (t *translation) routedAlone(role place) bool {
	primary := t.root.find("primary_role", "")
	return primary != nil && primary.value.source != quote(role.name()) && role.at("traefik").text() == "true"
}

func (t *translation) route(parent *block, labels place) {
	for _, e := range labels.entries() {
		if !strings.HasPrefix(e.name(), "traefik.") {
			continue
		}
		b := parent.child("proxy", "")
		text := e.text()
		left := rulePaths.ReplaceAllString(ruleHosts.ReplaceAllString(text, ""), "")
		switch {
		case rule.MatchString(e.name()) && !e.open() && strings.Trim(left, " &|()") == "" && !strings.Contains(text, "||"):
			t.ruled(b, "hosts", e, ruleHosts)
			t.ruled(b, "path_prefixes", e, rulePaths)
			t.report(e, Changed, b.path, "the proxy takes hosts and path prefixes")
		case tls.MatchString(e.name()) && text != "false":
			t.report(e, Todo, leftOut, "for certificates from ACME write proxy { ssl = true }, where the role runs on one host; on several, certificate and private_key")
		default:
			t.drop(e, "it is for Traefik, and the proxy has no such setting")
		}
	}
}

// oldLabels are an accessory's labels, of which Kamal 1's Traefik read its routes.
func (t *translation) oldLabels(p place) {
	for _, e := range p.entries() {
		if isOld(t.source) && strings.HasPrefix(e.name(), "traefik.") {
			t.report(e, Todo, leftOut, "it is for Traefik; for an accessory that is to be reached from outside write proxied = true and proxy { hosts = […] }")
		}
	}
}

// ruled adds what a rule names.
func (t *translation) ruled(b *block, attribute string, p place, pattern *regexp.Regexp) {
	list := &value{kind: listValue}
	if f := b.find(attribute, ""); f != nil && f.value.kind == listValue {
		list.list = f.value.list
	}
	for _, match := range pattern.FindAllStringSubmatch(p.text(), -1) {
		for _, arg := range quotedArg.FindAllStringSubmatch(match[1], -1) {
			same := func(e *field) bool { return e.value.source == quote(arg[1]) }
			if !slices.ContainsFunc(list.list, same) {
				list.list = append(list.list, &field{origin: p.origin(), value: raw(quote(arg[1]))})
			}
		}
	}
	if len(list.list) > 0 {
		b.set(attribute, list).origin = p.origin()
	}
}

// primary is the primary role's name; "" where only Ruby could tell it.
func (t *translation) primary() string {
	f := t.root.find("primary_role", "")
	for _, name := range t.roleNames(t.source) {
		if f != nil && f.value.source == quote(name) {
			return name
		}
	}
	return ""
}

// oldPrimaryHealth is the health check of the primary role, which the proxy asks now.
func (t *translation) oldPrimaryHealth(b *block, p place) {
	proxy := b.child("proxy", "")
	t.number(proxy, "app_port", plain, p.at("port"))
	made := proxy.child("healthcheck", "")
	t.comments(proxy, made, p)
	t.text(made, "path", p.at("path"))
	t.interval(made, "interval", p.at("interval"))
	t.dropRest(p, "the primary role is proxied, and the proxy asks it over HTTP; deploy_timeout says how long it may take")
}

// oldHealth is a role's own health check in Kamal 1: Docker ran its command in the container.
func (t *translation) oldHealth(b *block, p place, role string) {
	if !t.open(p) {
		return
	}
	if role == t.primary() {
		t.oldPrimaryHealth(b, p)
		return
	}
	made := b.child("health", "")
	t.comments(b, made, p)
	if t.text(made, "exec", p.at("cmd")) {
		t.changed(p.at("cmd"), "health.exec", "Kamal 1 let Docker run it in the container, and kamald does the same")
	}
	t.interval(made, "interval", p.at("interval"))
	if made.find("exec", "") == nil {
		b.remove(b.find("health", ""))
	}
	t.dropRest(p, "deploy_timeout and health say how a role is proven")
}
