package release

import (
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// The defaults of kamald.hcl.
const (
	defaultTokenRole = RoleRead
	defaultImageWait = 30 * time.Minute
	defaultPath      = "deploy.hcl"
	defaultEvery     = time.Minute
	defaultLease     = 15 * time.Second
	leastLease       = 2 * time.Second // etcd takes none below
	defaultLogFormat = "json"
	defaultLogLevel  = "info"
)

// compileBastion makes a value of the file.
func (l *loader) compileBastion(root *block) Bastion {
	listen, log := root.child("listen"), root.child("log")
	b := Bastion{
		Store: l.compileStore(root.child("store")),
		Listen: Listen{Socket: l.beside(listen.get("socket")), HTTPS: listen.get("https").text(), HTTP: listen.get("http").text(),
			Certificate: l.beside(listen.get("certificate")), Key: l.beside(listen.get("key"))},
		Metrics: MetricsListen{Listen: root.child("metrics").get("listen").text()},
		Log:     Log{Format: log.get("format").textOr(defaultLogFormat), Level: log.get("level").textOr(defaultLogLevel)},
	}
	for _, token := range root.children("token") {
		b.Tokens = append(b.Tokens, Token{Name: token.label, Hash: token.get("hash").text(), Role: token.get("role").textOr(defaultTokenRole),
			Apps: token.get("apps").strings()})
	}
	for _, app := range root.children("app") {
		b.Apps = append(b.Apps, l.compileDriven(app))
	}
	return b
}

func (l *loader) compileStore(store *block) Store {
	s := Store{Bolt: l.beside(store.get("bolt")), Etcd: store.get("etcd").strings(), CA: l.beside(store.get("ca")),
		Certificate: l.beside(store.get("certificate")), Key: l.beside(store.get("key")), Username: store.get("username").text(), Password: store.get("password").text()}
	for _, item := range store.child("secrets").get("files").items() {
		s.SecretFiles = append(s.SecretFiles, l.besideFile(item.s))
	}
	if len(s.Etcd) > 0 {
		s.Name, s.Lease = store.get("name").text(), store.get("lease").durationOr(defaultLease)
	}
	return s
}

func (l *loader) compileDriven(app *block) DrivenApp {
	d := DrivenApp{Service: app.label, Destinations: drivenDestinations(app), Mode: app.get("mode").text(),
		ImageWait: app.get("image_wait").durationOr(defaultImageWait)}
	for _, source := range app.children("source") {
		d.Source = l.compileSource(source)
	}
	for _, item := range app.child("secrets").get("files").items() {
		d.SecretFiles = append(d.SecretFiles, l.besideFile(item.s))
	}
	for _, notify := range app.children("notify") {
		d.Notify = append(d.Notify, compileNotify(notify))
	}
	return d
}

// drivenDestinations are the destinations of an app block; without a list it is the one without a name.
func drivenDestinations(app *block) []string {
	if names := app.get("destinations").strings(); len(names) > 0 {
		return names
	}
	return []string{""}
}

func (l *loader) compileSource(source *block) Source {
	if source.label == SourceFile {
		return Source{Kind: SourceFile, Path: l.beside(source.get("path"))}
	}
	s := Source{Kind: SourceGit, URL: source.get("url").text(), Branch: source.get("branch").text(), Path: source.get("path").textOr(defaultPath),
		Every: source.get("every").durationOr(defaultEvery), Signed: source.get("signed").boolOr(false)}
	if strings.HasPrefix(s.URL, "./") || strings.HasPrefix(s.URL, "../") {
		s.URL = l.besideFile(s.URL)
	}
	return s
}

func compileNotify(notify *block) Notify {
	n := Notify{Kind: notify.label, Secret: notify.get("secret").text(), To: notify.get("to").strings(), On: notify.get("on").strings()}
	n.URL, n.URLSecret = textOrSecret(notify.get("url"))
	n.SMTP, n.SMTPSecret = textOrSecret(notify.get("smtp"))
	if len(n.On) == 0 {
		n.On = slices.Clone(transitions)
	}
	return n
}

// textOrSecret is what an attribute says, or the name of the secret that does.
func textOrSecret(v *value) (text, secret string) {
	if v.set() && v.one.secret {
		return "", v.text()
	}
	return v.text(), ""
}

// beside is a path of the file, relative to its directory.
func (l *loader) beside(v *value) string {
	if v.text() == "" {
		return ""
	}
	return l.besideFile(v.text())
}

func (l *loader) besideFile(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(filepath.Dir(l.path), path)
}

// refuseUnbuiltBastion reports what the file uses and this build does not do.
func (l *loader) refuseUnbuiltBastion(b *block, path string) {
	for _, as := range b.spec.attrs {
		if v := b.get(as.name); unbuiltBastion[path+as.name] != "" && !v.zero() {
			l.errorf(v.rng, "Not built yet", "This build of kamald does not do %s yet, and does not leave it out silently: take it out, or use a build that does it.", path+as.name)
		}
	}
	for _, child := range b.blocks {
		l.refuseUnbuiltBastion(child, path+child.spec.name+".")
	}
}
