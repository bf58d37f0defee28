package release

// ValidateBastion checks kamald.hcl, the file of the bastion (kamald.reference.hcl has the vocabulary). It reads only that
// file: the environment, secrets and other files are unknown to it.
func ValidateBastion(path string, opts Options) Diagnostics {
	l := newLoader(path, opts)
	l.lenient, l.bastion = true, true
	file, ok := l.parse(path)
	if !ok {
		return l.result()
	}
	ctx := l.context(file, "", nil)
	root := l.decode(file.body, bastionSpec, ctx)
	l.checkRequired(root)
	l.checkBastion(root)
	return l.result()
}
