package kamal

import "slices"

// difference is what a destination says over the base, in the overlay's own terms: maps merge, lists and scalars replace, null goes
// back to the default, and `remove` takes a block away. Comments of the base's file stay there.
func difference(base, over *block, file string) *block {
	made := &block{name: over.name, label: over.label, path: over.path}
	for _, f := range over.fields {
		switch {
		case f.note != nil:
			if f.file == file {
				made.fields = append(made.fields, f)
			}
		case f.block != nil:
			made.fields = append(made.fields, blockDifference(base, f, file)...)
		default:
			made.fields = append(made.fields, valueDifference(base.find(f.name, ""), f, file)...)
		}
	}
	for _, f := range base.fields {
		if f.note != nil || over.find(f.name, labelOf(f)) != nil {
			continue
		}
		if f.block == nil {
			made.fields = append(made.fields, &field{name: f.name, value: nothing, path: f.path})
			continue
		}
		made.fields = append(made.fields, removal(f))
	}
	return made
}

func labelOf(f *field) string {
	if f.block == nil {
		return ""
	}
	return f.block.label
}

func removal(f *field) *field {
	gone := &block{name: f.block.name, label: f.block.label, path: f.block.path}
	if f.name == "env" { // its remove is of variables
		return &field{name: f.name, block: difference(f.block, gone, ""), path: f.path}
	}
	gone.set("remove", raw("true"))
	return &field{name: f.name, block: gone, path: f.path}
}

// at is a field as it stands in a destination: with the comments of its own file alone.
func (f *field) at(file string) *field {
	made := *f
	if f.file != file {
		made.comment = comment{}
	}
	if f.value != nil {
		made.value = f.value.at(file)
	}
	if f.block != nil {
		inner := *f.block
		inner.fields = nil
		for _, child := range f.block.fields {
			if child.note == nil || child.file == file {
				inner.fields = append(inner.fields, child.at(file))
			}
		}
		made.block = &inner
	}
	return &made
}

func (v *value) at(file string) *value {
	made := *v
	made.list, made.dict = nil, nil
	for _, e := range v.list {
		made.list = append(made.list, e.at(file))
	}
	for _, e := range v.dict {
		made.dict = append(made.dict, e.at(file))
	}
	return &made
}

func blockDifference(base *block, f *field, file string) []*field {
	old := base.find(f.name, f.block.label)
	if old == nil {
		return []*field{f.at(file)}
	}
	inner := difference(old.block, f.block, file)
	if len(inner.fields) == 0 {
		return nil
	}
	made := *f
	made.block = inner
	if f.file != file {
		made.comment = comment{}
	}
	return []*field{&made}
}

func valueDifference(old, f *field, file string) []*field {
	switch {
	case old == nil:
		return []*field{f.at(file)}
	case old.value.equal(f.value):
		return nil
	case old.value.kind != dictValue || f.value.kind != dictValue || f.name == "hooks_output":
		return []*field{f.at(file)}
	}
	made := *f
	made.value = &value{kind: dictValue}
	if f.file != file {
		made.comment = comment{}
	}
	for _, e := range f.value.dict {
		if before := old.value.entry(e.name); before == nil || !before.value.equal(e.value) {
			made.value.dict = append(made.value.dict, e.at(file))
		}
	}
	for _, e := range old.value.dict {
		if f.value.entry(e.name) == nil {
			made.value.dict = append(made.value.dict, &field{name: e.name, value: nothing, path: e.path})
		}
	}
	return []*field{&made}
}

// destinationBlock is the block of a destination: the difference, with its hosts told so that tags select the right ones.
func destinationBlock(name string, base, over *block, file string) *field {
	made := difference(base, over, file)
	made.name, made.label, made.path = "destination", name, title("destination", name)
	settleHosts(made, base, over, file)
	return &field{name: "destination", block: made, path: made.path}
}

// settleHosts sees to what a destination's own host blocks mean: tags select among those only. So all are there or none, and those
// of the base go only where they would matter.
func settleHosts(made, base, over *block, file string) {
	own := 0
	for _, f := range over.fields {
		if f.block == nil || f.name != "host" {
			continue
		}
		if old := base.find("host", f.block.label); old == nil || len(difference(old.block, f.block, file).fields) > 0 {
			own++
		}
	}
	used := usedHosts(over)
	byTag := selectsByTag(over)
	var kept, hosts []*field
	for _, f := range made.fields {
		if f.block == nil || f.name != "host" {
			kept = append(kept, f)
			continue
		}
		if over.find("host", f.block.label) == nil && (used[quote(f.block.label)] || byTag && own == 0) {
			hosts = append(hosts, f)
		}
	}
	if own > 0 {
		for _, f := range over.fields {
			if f.block != nil && f.name == "host" {
				hosts = append(hosts, f.at(file))
			}
		}
	}
	made.fields = append(hosts, kept...)
	slices.SortStableFunc(made.fields, func(a, b *field) int { return turn(a) - turn(b) })
}

// turns is the order of a file's blocks.
var turns = []string{"registry", "build", "secrets", "ssh", "host", "tag", "env", "proxy", "role", "logging", "rollout", "hook", "accessory",
	"proxy_server", "output", "alias"}

// turn is a field's place in a file: attributes come first, and notes stay among them.
func turn(f *field) int {
	if f.block == nil {
		return -1
	}
	return slices.Index(turns, f.name)
}

// usedHosts are the hosts that roles and accessories list, as written.
func usedHosts(b *block) map[string]bool {
	used := map[string]bool{}
	for _, f := range b.fields {
		if f.block == nil {
			continue
		}
		if hosts := f.block.find("hosts", ""); hosts != nil && hosts.value != nil {
			for _, e := range hosts.value.list {
				used[e.value.source] = true
			}
		}
	}
	return used
}

func selectsByTag(b *block) bool {
	for _, f := range b.fields {
		if f.block != nil && f.name == "accessory" && f.block.find("tags", "") != nil {
			return true
		}
	}
	return false
}
