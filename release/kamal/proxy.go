package kamal

import "strings"

// proxy translates a proxy's keys into a block within parent: the root, a role or an accessory.
func (t *translation) proxy(parent *block, p place) {
	if !t.open(p) {
		return
	}
	b := parent.child("proxy", "")
	t.comments(parent, b, p)
	t.proxyHosts(b, p, parent.label)
	t.number(b, "app_port", plain, p.at("app_port"))
	t.ssl(b, p.at("ssl"))
	t.boolean(b, "ssl_redirect", p.at("ssl_redirect"))
	t.prefixes(b, p)
	t.boolean(b, "strip_path_prefix", p.at("strip_path_prefix"))
	t.boolean(b, "forward_headers", p.at("forward_headers"))
	t.number(b, "response_timeout", seconds, p.at("response_timeout"))
	if check := p.at("healthcheck"); t.open(check) {
		made := b.child("healthcheck", "")
		t.comments(b, made, check)
		t.text(made, "path", check.at("path"))
		t.number(made, "interval", seconds, check.at("interval"))
		t.number(made, "timeout", seconds, check.at("timeout"))
	}
	t.buffering(b, p.at("buffering"))
	if logging := p.at("logging"); t.open(logging) {
		made := b.child("logging", "")
		t.comments(b, made, logging)
		t.list(made, "request_headers", logging.at("request_headers"))
		t.list(made, "response_headers", logging.at("response_headers"))
	}
	if run := p.at("run"); t.open(run) {
		t.runs = append(t.runs, run)
	}
}

// proxyHosts names what the proxy answers to. Without names it would answer to all of them, and have no certificate: what Ruby
// alone can tell is read from the environment.
func (t *translation) proxyHosts(b *block, p place, label string) {
	host, hosts := p.at("host"), p.at("hosts")
	variable := strings.ReplaceAll("KAMAL_"+variable(label)+"_PROXY_HOST", "__", "_")
	if host.there() && !host.null() && hosts.there() && !hosts.null() {
		t.report(hosts, Todo, "host is taken", "Kamal takes one of host and hosts")
		t.routed(b, host, variable)
		return
	}
	for _, given := range []place{host, hosts} {
		switch {
		case given.null() && !t.lost(given):
			t.nothing(given)
		case given.there():
			t.routed(b, given, variable)
		}
	}
}

func (t *translation) routed(b *block, p place, variable string) {
	x := source(p, true)
	lost := t.lost(p)
	if lost {
		x.why = onlyRuby
	}
	if x.why == "" || !lost && !p.open() {
		t.commaList(b, "hosts", p)
		return
	}
	x = t.placeholder(p, variable, x.why)
	b.set("hosts", raw(`split(",", `+x.source+")")).origin = p.origin()
}

func (t *translation) prefixes(b *block, p place) {
	for _, name := range []string{"path_prefix", "path_prefixes"} {
		if given := p.at(name); t.says(given) {
			t.commaList(b, "path_prefixes", given)
		}
	}
}

// ssl is a switch, or a certificate.
func (t *translation) ssl(b *block, p place) {
	if !p.mapping() {
		t.boolean(b, "ssl", p)
		return
	}
	t.opened[p.node] = true
	if len(p.entries()) == 0 {
		t.nothing(p)
		return
	}
	b.set("ssl", raw("true")).origin = p.origin()
	t.pem(b, "certificate", p.at("certificate_pem"), "CERTIFICATE_PEM")
	t.pem(b, "private_key", p.at("private_key_pem"), "PRIVATE_KEY_PEM")
}

// pem is the name of a secret in Kamal; one that is written out belongs into the secrets file.
func (t *translation) pem(b *block, attribute string, p place, name string) {
	switch {
	case !p.scalar():
		t.secret(b, attribute, p, name)
	case !p.open() && secretName.MatchString(p.text()):
		t.put(b, attribute, t.named(p.text()), p)
	default:
		t.put(b, attribute, t.kept(p, name), p)
	}
}

func (t *translation) buffering(b *block, p place) {
	if !t.open(p) {
		return
	}
	made := b.child("buffering", "")
	t.comments(b, made, p)
	t.boolean(made, "requests", p.at("requests"))
	t.boolean(made, "responses", p.at("responses"))
	t.number(made, "memory", sizeBytes, p.at("memory"))
	t.number(made, "max_request_body", sizeBytes, p.at("max_request_body"))
	t.number(made, "max_response_body", sizeBytes, p.at("max_response_body"))
}
