package release

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// checkBastion looks at what goes together in a bastion's file.
func (l *loader) checkBastion(root *block) {
	for _, token := range root.children("token") {
		if v := token.get("hash"); v.set() && v.isKnown() && !tokenHash.MatchString(v.text()) {
			l.conceal(v.rng) // it may be the token itself
			l.errorf(v.rng, "Bad token hash", `hash is the SHA-256 of a token, and never the token: "sha256:" and 64 hexadecimal digits. kamald store token makes one.`)
		}
	}
	if etcd := root.child("store").get("etcd"); etcd.set() && root.child("store").get("bolt").set() {
		l.errorf(etcd.rng, "Two stores", "store is one file (bolt) or a cluster (etcd), not both.")
	}
	l.checkLoopback(root.child("listen").get("http"))
	for _, app := range root.children("app") {
		for _, source := range app.children("source") {
			l.need(source, map[string][]string{"git": {"url"}, "file": {"path"}})
			l.useless(source, "file", "url", "branch", "every", "signed")
		}
		for _, notify := range app.children("notify") {
			l.need(notify, map[string][]string{"webhook": {"url"}, "slack": {"url"}, "email": {"to", "smtp"}})
			l.useless(notify, "email", "url", "secret")
			l.useless(notify, "slack", "to", "smtp", "secret")
			l.useless(notify, "webhook", "to", "smtp")
		}
	}
}

// checkLoopback holds plain HTTP to this machine: passwords and tokens would go over the network in clear.
func (l *loader) checkLoopback(v *value) {
	if !v.set() || !v.isKnown() {
		return
	}
	at := strings.LastIndex(v.text(), ":")
	host := v.text()[:max(at, 0)]
	_, err := strconv.ParseUint(v.text()[at+1:], 10, 16)
	ip, none := netip.ParseAddr(strings.Trim(host, "[]"))
	switch {
	case at < 0 || err != nil:
		l.errorf(v.rng, "Bad address", "%s is an address and a port, such as \"127.0.0.1:8080\", not %q.", v.name, v.text())
	case host != "localhost" && (none != nil || !ip.IsLoopback()):
		l.errorf(v.rng, "Not this machine's own", "http answers this machine alone, such as \"127.0.0.1:8080\", and %q is reached from elsewhere: use https.", v.text())
	}
}

// need reports what a block of some label must have.
func (l *loader) need(b *block, wanted map[string][]string) {
	for _, name := range wanted[b.label] {
		if !b.get(name).set() && !slices.Contains(b.meant, name) {
			as, _ := b.spec.attr(name)
			l.errorf(b.rng, "Attribute missing", "%s needs %s: %s.", b.title(), name, as.wanted())
		}
	}
}

// useless reports what means nothing under a label.
func (l *loader) useless(b *block, label string, names ...string) {
	for _, name := range names {
		if v := b.get(name); b.label == label && v.set() {
			l.errorf(v.rng, "Means nothing here", "%s is not for %s.", name, b.title())
		}
	}
}
