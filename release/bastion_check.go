package release

import (
	"net/netip"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// notInBranch is what git takes in no branch's name.
var notInBranch = regexp.MustCompile(`[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|\.lock(/|\z)|(\A|/)\.|[/.]\z|\A[-/]`)

// checkBastion looks at what goes together in a bastion's file.
func (l *loader) checkBastion(root *block) {
	l.checkTokens(root)
	l.checkStore(root.child("store"))
	l.checkListen(root.child("listen"))
	l.address(root.child("metrics").get("listen"))
	first := map[[2]string]hcl.Range{}
	for _, app := range root.children("app") {
		l.checkDriven(app, first)
		l.checkSources(app)
		for _, notify := range app.children("notify") {
			l.checkNotify(notify)
		}
	}
}

func (l *loader) checkTokens(root *block) {
	named := map[string]string{}
	services := root.labels("app")
	for _, token := range root.children("token") {
		v := token.get("hash")
		switch {
		case !v.set() || !v.isKnown():
		case !tokenHash.MatchString(v.text()):
			l.conceal(v.rng) // it may be the token itself
			l.errorf(v.rng, "Bad token hash", `hash is the SHA-256 of a token, and never the token: "sha256:" and 64 hexadecimal digits. kamald store token makes one.`)
		case named[v.text()] != "":
			l.errorf(v.rng, "One token twice", "%s has the hash of token %q: nobody could tell which of them asks.", token.title(), named[v.text()])
		default:
			named[v.text()] = token.label
		}
		for _, item := range token.get("apps").items() {
			if !slices.Contains(services, item.s) {
				l.errorf(item.rng, "Unknown app", "%s is for %q, and the file has no such app.%s", token.title(), item.s, didYouMean(item.s, services))
			}
		}
	}
}

func (l *loader) checkStore(store *block) {
	etcd := store.get("etcd")
	if etcd.set() && store.get("bolt").set() {
		l.errorf(etcd.rng, "Two stores", "store is one file (bolt) or a cluster (etcd), not both.")
	}
	for _, name := range []string{"ca", "certificate", "key", "username", "password", "name", "lease"} {
		if v := store.get(name); v.set() && !etcd.set() {
			l.errorf(v.rng, "Means nothing here", "%s is for a store in etcd, and none is named.", name)
		}
	}
	for _, pair := range [][2]string{{"certificate", "key"}, {"key", "certificate"}, {"username", "password"}, {"password", "username"}} {
		if v := store.get(pair[0]); v.set() && !store.get(pair[1]).set() {
			l.errorf(v.rng, "Attribute missing", "%s needs %s beside it.", pair[0], pair[1])
		}
	}
	if etcd.set() && etcd.isKnown() && len(etcd.items()) == 0 {
		l.errorf(etcd.rng, "No member", "etcd names at least one member of the cluster, such as \"https://10.0.0.21:2379\".")
	}
	for _, item := range etcd.items() {
		u, err := url.Parse(item.s)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Port() == "" || u.Path != "" || u.User != nil {
			l.conceal(item.rng) // there may be a password in it
			l.errorf(item.rng, "Bad address", "A member of etcd is https:// or http://, a name or address and a port, such as \"https://10.0.0.21:2379\"; a user stands in username and password.")
		} else if u.Scheme == "http" && store.get("ca").set() {
			l.errorf(item.rng, "Bad address", "With ca connections are made by TLS: a member is https://…, not %q.", item.s)
		}
	}
}

func (l *loader) checkListen(listen *block) {
	l.checkLoopback(listen.get("http"))
	https, certificate, key := listen.get("https"), listen.get("certificate"), listen.get("key")
	l.address(https)
	if https.set() && !(certificate.set() && key.set()) {
		l.errorf(https.rng, "Certificate missing", "https needs certificate and key, the files of a certificate and its private key.")
	}
	for _, v := range []*value{certificate, key} {
		if v.set() && !https.set() {
			l.errorf(v.rng, "Means nothing here", "%s is for https, and the file has none.", v.name)
		}
	}
}

// checkDriven holds a service and destination to one app block.
func (l *loader) checkDriven(app *block, first map[[2]string]hcl.Range) {
	if !serviceName.MatchString(app.label) {
		l.errorf(app.rng, "Bad service name", "%q cannot name a service: letters, digits, - and _, the first a letter or digit.%s", app.label, foreignLetter(app.label))
	}
	list := app.get("destinations")
	if !list.isKnown() {
		return
	}
	for i, name := range drivenDestinations(app) {
		rng, what := app.rng, "The destination without a name"
		if items := list.items(); i < len(items) {
			rng = items[i].rng
		}
		if name != "" {
			l.checkName(rng, "destination", name)
			what = "The destination \"" + name + "\""
		}
		key := [2]string{app.label, name}
		if before, twice := first[key]; twice {
			l.errorf(rng, "Driven twice", "%s of %q is driven by the block at line %d already.", what, app.label, before.Start.Line)
			continue
		}
		first[key] = rng
	}
}

func (l *loader) checkSources(app *block) {
	sources := app.children("source")
	if len(sources) == 0 && !slices.Contains(app.meant, "source") {
		l.errorf(app.rng, "Source missing", "%s needs a source: source \"git\" { url = … }, or source \"file\" { path = … }.", app.title())
	}
	for i, source := range sources {
		if i > 0 {
			l.errorf(source.rng, "Two sources", "%s has a source at line %d already: what is wanted comes from one place.", app.title(), sources[0].rng.Start.Line)
		}
		l.need(source, map[string][]string{SourceGit: {"url"}, SourceFile: {"path"}})
		l.useless(source, SourceFile, "url", "branch", "every", "signed")
		if source.label == SourceGit {
			l.checkGit(source)
		}
	}
}

// checkGit refuses what git would take for an option or a command.
func (l *loader) checkGit(source *block) {
	if v := source.get("url"); v.set() && v.isKnown() {
		scheme, _, transport := strings.Cut(v.text(), "::")
		switch {
		case v.text() == "" || strings.HasPrefix(v.text(), "-"):
			l.errorf(v.rng, "Bad repository", "url is a repository's: https://…, ssh://…, git@host:path or a directory.")
		case transport && !strings.ContainsAny(scheme, ":/@["):
			l.errorf(v.rng, "Bad repository", "url runs git's helper %q, which may run any command: it is https://…, ssh://…, git@host:path or a directory.", scheme)
		}
	}
	if v := source.get("branch"); v.set() && v.isKnown() && (v.text() == "" || notInBranch.MatchString(v.text())) {
		l.errorf(v.rng, "Bad branch", "%q cannot name a branch.", v.text())
	}
	v := source.get("path")
	if clean := path.Clean(v.text()); v.set() && v.isKnown() && (path.IsAbs(clean) || clean == "." || clean == ".." || strings.HasPrefix(clean, "../")) {
		l.errorf(v.rng, "Bad path", "path is a file within the repository, such as \"deploy.hcl\", not %q.", v.text())
	}
}

func (l *loader) checkNotify(notify *block) {
	l.need(notify, map[string][]string{NotifyWebhook: {"url"}, NotifySlack: {"url"}, NotifyEmail: {"to", "smtp"}})
	l.useless(notify, NotifyEmail, "url", "secret")
	l.useless(notify, NotifySlack, "to", "smtp", "secret")
	l.useless(notify, NotifyWebhook, "to", "smtp")
	l.checkURL(notify.get("url"), "https", "http")
	l.checkURL(notify.get("smtp"), "smtp", "smtps")
}

// checkURL holds an attribute to some schemes. What stands there may be secret, so it is not quoted.
func (l *loader) checkURL(v *value, schemes ...string) {
	if !v.set() || !v.isKnown() || v.one.secret {
		return
	}
	if u, err := url.Parse(v.text()); err != nil || !slices.Contains(schemes, u.Scheme) || u.Host == "" {
		l.conceal(v.rng)
		l.errorf(v.rng, "Bad address", "%s is a URL that begins with %s:// or %s://, and has a host.", v.name, schemes[0], schemes[1])
	}
}

// address reads an address and a port; false when it is none, which has been reported then, or does not stand there.
func (l *loader) address(v *value) (host string, ok bool) {
	if !v.set() || !v.isKnown() {
		return "", false
	}
	at := strings.LastIndex(v.text(), ":")
	if _, err := strconv.ParseUint(v.text()[at+1:], 10, 16); at < 0 || err != nil {
		l.errorf(v.rng, "Bad address", "%s is an address and a port, such as \"127.0.0.1:8080\", not %q.", v.name, v.text())
		return "", false
	}
	return v.text()[:at], true
}

// checkLoopback holds plain HTTP to this machine: passwords and tokens would go over the network in clear.
func (l *loader) checkLoopback(v *value) {
	host, ok := l.address(v)
	if !ok || host == "localhost" {
		return
	}
	if ip, err := netip.ParseAddr(strings.Trim(host, "[]")); err != nil || !ip.IsLoopback() {
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
