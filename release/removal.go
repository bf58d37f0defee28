package release

// removed tells whether a destination's block takes the base's away.
func (b *block) removed() bool {
	v := b.get(removal.name)
	return v.set() && b.hasRemoval() && v.boolOr(false)
}

// hasRemoval tells whether `remove` is what it is in most blocks: an env block's is a list of variables.
func (b *block) hasRemoval() bool {
	as, ok := b.spec.attr(removal.name)
	return ok && as.isRemoval()
}

func (a attrSpec) isRemoval() bool { return a.name == removal.name && a.kind == removal.kind }

// checkNoRemove reports remove where there is nothing to remove from.
func (l *loader) checkNoRemove(b *block) {
	for _, child := range b.blocks {
		if v := child.get(removal.name); v.set() && child.hasRemoval() {
			l.errorf(v.rng, "Nothing to remove from", "remove takes away what the base has, within a destination; here, leave %s out.", child.title())
		}
		l.checkNoRemove(child)
	}
}

// checkRemovals reports what a destination takes away and the base does not have, and blocks that say more than that.
func (l *loader) checkRemovals(base, over *block) {
	for _, child := range over.blocks {
		under := base.find(child.spec.name, child.label)
		switch {
		case child.removed() && under == nil:
			l.errorf(child.get(removal.name).rng, "Nothing to remove", "%s is not in the base, so there is nothing to take away.%s",
				child.title(), didYouMean(child.label, base.labels(child.spec.name)))
		case child.removed() && (len(child.attrs) > 1 || len(child.blocks) > 0):
			l.errorf(child.get(removal.name).rng, "Removed and changed", "%s is taken away here, and what else stands in the block would be lost: keep one of the two.", child.title())
		}
		l.checkRemovals(under, child)
	}
}
