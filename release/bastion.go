package release

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
			l.conceal(v.rng) // it may be the token itself
			l.errorf(v.rng, "Bad token hash", `hash is the SHA-256 of a token, and never the token: "sha256:" and 64 hexadecimal digits. kamald store token makes one.`)
		}
	}
	return l.result()
}
