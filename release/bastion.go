package release

import "slices"

// bastionSpec is the vocabulary of kamald.hcl, the bastion's own file.
var bastionSpec = newBastionSpec()

// ValidateBastion checks kamald.hcl, the file of the bastion (kamald.reference.hcl has the vocabulary). It reads only that
// file: the environment, secrets and other files are unknown to it.
func ValidateBastion(path string, opts Options) Diagnostics {
	l := newLoader(path, opts)
	l.lenient = true
	file, ok := l.parse(path)
	if !ok {
		return l.result()
	}
	ctx := l.context(file, "", nil)
	root := l.decode(file.body, bastionSpec, ctx)
	l.checkRequired(root)
	for _, token := range root.children("token") {
		if v := token.get("hash"); v.set() && v.isKnown() && !tokenHash.MatchString(v.text()) {
			l.errorf(v.rng, "Bad token hash", `%q is not the SHA-256 of a token: "sha256:" and 64 hexadecimal digits. kamald store token makes one.`, v.text())
		}
	}
	return l.result()
}

func newBastionSpec() *blockSpec {
	source := &blockSpec{name: "source", label: "kind", known: []string{"git", "file"}, repeats: true, attrs: slices.Concat(
		of(kindString, "url", "branch", "path"), of(kindDuration, "every"), of(kindBool, "signed"))}
	notify := &blockSpec{name: "notify", label: "kind", known: []string{"webhook", "slack", "email"}, repeats: true, attrs: slices.Concat(
		of(kindStringOrSecret, "url", "smtp"), of(kindSecret, "secret"), of(kindStrings, "to"),
		someOf("on", "drifted", "healed", "released", "failed", "waiting", "held", "not-converging", "unreachable"))}
	return &blockSpec{blocks: []*blockSpec{
		{name: "locals"},
		single("store", nil, of(kindString, "bolt", "ca", "certificate", "key"), of(kindStrings, "etcd")),
		single("listen", nil, of(kindString, "socket", "https", "http", "certificate", "key")),
		{name: "token", label: "name", attrs: slices.Concat(of(kindString, "hash!"), oneOf("role", "read", "operate", "admin"),
			of(kindStrings, "apps"))},
		{name: "app", label: "service", attrs: slices.Concat(of(kindStrings, "destinations"),
			oneOf("mode", "report", "heal", "release"), of(kindDuration, "image_wait")),
			blocks: []*blockSpec{source, notify, single("secrets", nil, of(kindStrings, "files"))}},
		single("metrics", nil, of(kindString, "listen")),
		single("log", nil, oneOf("format", "json", "text"), oneOf("level", "trace", "debug", "info", "warn", "error")),
	}}
}
