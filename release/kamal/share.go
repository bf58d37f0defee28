package kamal

import "slices"

// shareAccessories says so where the base and destinations, or two destinations, name the same container on the same host: Kamal's
// accessories have no destination in their names, and Kamal does not mind.
func (i *importer) shareAccessories() {
	for n, d := range i.documents {
		for _, other := range i.documents[:n] {
			for _, f := range d.root.fields {
				if f.block == nil || f.name != "accessory" {
					continue
				}
				theirs := other.root.find("accessory", f.block.label)
				if theirs == nil || !sameContainer(f.block, theirs.block) || !meet(d.root.hostsOf(f.block), other.root.hostsOf(theirs.block)) {
					continue
				}
				i.share(f, theirs)
			}
		}
	}
	for _, d := range i.documents {
		d.root.order()
	}
}

func (i *importer) share(fields ...*field) {
	for _, f := range fields {
		if f.block.find("shared", "") == nil {
			f.block.set("shared", raw("true"))
		}
	}
	line := Line{File: fields[1].file, Line: fields[1].line, Key: "accessories." + fields[1].block.label, What: "shared = true", Severity: Changed,
		Why: "with and without a destination, or in two of them, it is the same container on the same host; give each destination hosts of its own if that is not meant"}
	if !slices.Contains(i.report, line) {
		i.report = append(i.report, line)
	}
}

func sameContainer(a, b *block) bool {
	mine, theirs := a.find("service", ""), b.find("service", "")
	if mine == nil || theirs == nil {
		return mine == theirs
	}
	return mine.value.equal(theirs.value)
}

// hostsOf are an accessory's hosts, as written: its own, those of its roles, or those that bear its tags.
func (b *block) hostsOf(accessory *block) []string {
	hosts := accessory.texts("hosts")
	for _, f := range b.fields {
		switch {
		case f.block == nil:
		case f.name == "role" && slices.Contains(accessory.texts("roles"), quote(f.block.label)):
			hosts = append(hosts, f.block.texts("hosts")...)
		case f.name == "host" && meet(accessory.texts("tags"), f.block.texts("tags")):
			hosts = append(hosts, quote(f.block.label))
		}
	}
	return hosts
}

// texts are a list's elements, as written; a list that is computed is one of them.
func (b *block) texts(name string) []string {
	f := b.find(name, "")
	if f == nil || f.value == nil {
		return nil
	}
	if f.value.kind != listValue {
		return []string{f.value.source}
	}
	var all []string
	for _, e := range f.value.list {
		all = append(all, e.value.source)
	}
	return all
}

func meet(a, b []string) bool {
	return slices.ContainsFunc(a, func(s string) bool { return slices.Contains(b, s) })
}
