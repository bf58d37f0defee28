package release

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// belongs is what to say of a name that is unknown in a block: the name that was meant, or where it goes.
func (l *loader) belongs(name string, block bool, spec *blockSpec) string {
	if near := didYouMean(name, spec.names()); near != "" {
		return near
	}
	if place := l.elsewhere(name, block); place != "" {
		return place
	}
	switch {
	case name == removal.name: // it takes a variable away from a role, or a block from a destination
	case spec.name == "env":
		return fmt.Sprintf(` Variables stand in clear = { %s = "…" }, or by name alone in secret = ["%s"].`, name, name)
	case spec.name == "secrets":
		return " A secret's value stands in .kamald/secrets, as NAME=value."
	}
	return ""
}

// elsewhere says where a name belongs that is not known here; "" when nowhere, or in too many places to be of help.
func (l *loader) elsewhere(name string, block bool) string {
	root := deploySpec
	switch {
	case l.bastion && isTopOf(deploySpec, name, block):
		return " It stands in deploy.hcl."
	case !l.bastion && isTopOf(bastionSpec, name, block):
		return " It stands in kamald.hcl, which `kamald validate --bastion` reads."
	}
	if l.bastion {
		root = bastionSpec
	}
	places := placesOf(name, block, root, "")
	if len(places) == 0 || len(places) > 4 {
		return ""
	}
	return fmt.Sprintf(" %s stands in %s.", name, strings.Join(places, ", "))
}

// isTopOf tells whether a file takes a block, or an attribute, of that name in no block.
func isTopOf(spec *blockSpec, name string, block bool) bool {
	_, attribute := spec.attr(name)
	return attribute && !block || block && spec.block(name) != nil
}

// placesOf are the blocks that take a block of that name, or an attribute; of those of one name the first.
func placesOf(name string, block bool, spec *blockSpec, path string) (places []string) {
	if _, attribute := spec.attr(name); attribute && !block && name != removal.name || block && spec.block(name) != nil {
		places = append(places, cmp.Or(path, "the file itself, in no block"))
	}
	for _, within := range spec.blocks {
		if within.name != "destination" { // it takes what the file takes
			for _, place := range placesOf(name, block, within, strings.TrimPrefix(path+"."+within.name, ".")) {
				if !slices.ContainsFunc(places, func(known string) bool { return lastOf(known) == lastOf(place) }) {
					places = append(places, place)
				}
			}
		}
	}
	return places
}

func lastOf(path string) string { return path[strings.LastIndexByte(path, '.')+1:] }
