package release

import (
	"maps"
	"slices"
	"strings"
)

// overlay lays one block over another of the same kind and returns a third: maps merge, lists and scalars replace, labelled
// blocks merge by label, others field by field; null returns to the default, and `remove = true` takes a block away (of those
// that may stand several times, all with the label). Neither argument is changed; either may be nil.
func overlay(base, over *block) *block {
	if base == nil || over == nil {
		if base == nil {
			base = over
		}
		return base.copy()
	}
	merged := base.copy()
	for name, v := range over.attrs {
		merged.attrs[name] = overlayValue(base.attrs[name], v)
	}
	if merged.spec.name == "env" {
		overlayEnv(merged, over)
	}
	for _, c := range over.blocks {
		i := slices.IndexFunc(merged.blocks, func(m *block) bool {
			return m.spec.name == c.spec.name && m.label == c.label && !c.spec.repeats
		})
		switch {
		case c.removed():
			merged.blocks = slices.DeleteFunc(merged.blocks, func(m *block) bool { return m.spec.name == c.spec.name && m.label == c.label })
		case i >= 0:
			merged.blocks[i] = overlay(merged.blocks[i], c)
		default:
			merged.blocks = append(merged.blocks, c.copy())
		}
	}
	return merged
}

func overlayValue(base, over *value) *value {
	if over.null || !base.set() || base.dict == nil || over.dict == nil {
		return over
	}
	merged := *over
	merged.dict = maps.Clone(base.dict)
	merged.unknown = base.unknown || over.unknown
	maps.Copy(merged.dict, over.dict)
	return &merged
}

// overlayEnv lets a variable change sides: one that the overlay gives in clear is secret no more, and the other way round.
func overlayEnv(merged, over *block) {
	clear, secret := merged.get("clear"), merged.get("secret")
	if secret.set() && !over.get("secret").set() {
		kept := *secret
		kept.list = slices.DeleteFunc(slices.Clone(secret.list), func(t text) bool {
			name, _, _ := strings.Cut(t.s, ":")
			return over.get("clear").set() && over.get("clear").dict[name] != nil
		})
		merged.attrs["secret"] = &kept
	}
	if clear.set() && over.get("secret").set() {
		kept := *clear
		kept.dict = maps.Clone(clear.dict)
		for _, t := range over.get("secret").items() {
			name, _, _ := strings.Cut(t.s, ":")
			if over.get("clear") == nil || over.get("clear").dict[name] == nil {
				delete(kept.dict, name)
			}
		}
		merged.attrs["clear"] = &kept
	}
}

// copy is deep in blocks and shares values, which nobody changes.
func (b *block) copy() *block {
	if b == nil {
		return nil
	}
	c := *b
	c.attrs = maps.Clone(b.attrs)
	c.blocks = nil
	for _, child := range b.blocks {
		c.blocks = append(c.blocks, child.copy())
	}
	return &c
}
