package release

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Reference is the vocabulary of a file as data, made from what the decoder itself goes by.
type Reference struct {
	File      string     `json:"file"` // deploy.hcl or kamald.hcl
	Root      BlockDoc   `json:"root"`
	Functions []Function `json:"functions"` // what expressions can call and read
}

// BlockDoc is one block of the vocabulary.
type BlockDoc struct {
	Name     string   `json:"name,omitempty"`
	Path     string   `json:"path,omitempty"`  // names from the root, joined by dots; "" is the file
	Label    string   `json:"label,omitempty"` // what its label is; "": it has none
	Labels   []string `json:"labels,omitempty"`
	Repeats  bool     `json:"repeats,omitempty"` // the same label may stand twice
	Meaning  string   `json:"meaning"`
	As       string   `json:"as,omitempty"`        // it takes just what the block at that path takes
	NotBuilt string   `json:"not_built,omitempty"` // the command that refuses it: this build does not do it

	Attributes []AttributeDoc `json:"attributes"`
	Blocks     []BlockDoc     `json:"blocks"`
}

// AttributeDoc is one attribute. Default and Example are written as the file writes them.
type AttributeDoc struct {
	Name        string   `json:"name"`
	Takes       string   `json:"takes"`
	Required    bool     `json:"required,omitempty"`
	Meaning     string   `json:"meaning"`
	Values      []string `json:"values,omitempty"` // a closed set
	Bounds      string   `json:"bounds,omitempty"`
	Default     string   `json:"default,omitempty"`      // "": nothing
	DefaultRule string   `json:"default_rule,omitempty"` // where it is no value but a rule, in words
	Example     string   `json:"example,omitempty"`
	NotBuilt    string   `json:"not_built,omitempty"`
}

// Function is something that expressions can call or read.
type Function struct {
	Use     string `json:"use"` // as it is written
	Meaning string `json:"meaning"`
}

// ReferenceOf gives the vocabulary of deploy.hcl, or of the bastion's kamald.hcl.
func ReferenceOf(bastion bool) Reference {
	file, spec := "deploy.hcl", deploySpec
	if bastion {
		file, spec = "kamald.hcl", bastionSpec
	}
	r := Reference{File: file, Root: blockDoc(spec, "", bastion), Functions: inExpressions()}
	r.Root.alike(firstPlaces(r.Root))
	return r
}

// Find gives a block or an attribute by its path: role, role.health, role.health.exec. The attribute is nil when the path is a
// block's. The error has the nearest path.
func (r Reference) Find(path string) (BlockDoc, *AttributeDoc, error) {
	at := r.Root
	parts := strings.Split(path, ".")
	for i, name := range parts {
		if next := slices.IndexFunc(at.Blocks, func(b BlockDoc) bool { return b.Name == name }); next >= 0 {
			at = at.Blocks[next]
			continue
		}
		last := i == len(parts)-1
		if a := slices.IndexFunc(at.Attributes, func(a AttributeDoc) bool { return a.Name == name }); a >= 0 && last {
			return at, &at.Attributes[a], nil
		}
		return at, nil, fmt.Errorf("%s has nothing named %q.%s", r.called(at), name, r.meant(at, name))
	}
	return at, nil, nil
}

func (r Reference) called(b BlockDoc) string {
	if b.Path == "" {
		return r.File
	}
	return b.Path
}

// meant names what was probably meant: a name there, else everywhere that the very name stands.
func (r Reference) meant(at BlockDoc, name string) string {
	var elsewhere []string
	r.Root.walk(func(b BlockDoc) {
		if b.Name == name {
			elsewhere = append(elsewhere, b.Path)
		}
		for _, a := range b.Attributes {
			if a.Name == name && b.As == "" && b.Name != "destination" {
				elsewhere = append(elsewhere, strings.TrimPrefix(b.Path+"."+name, "."))
			}
		}
	})
	if len(elsewhere) > 0 {
		return " There is " + strings.Join(elsewhere, ", ") + "."
	}
	var known []string
	for _, a := range at.Attributes {
		known = append(known, a.Name)
	}
	for _, b := range at.Blocks {
		known = append(known, b.Name)
	}
	return didYouMean(name, known)
}

// walk visits a block and all below it.
func (b BlockDoc) walk(visit func(BlockDoc)) {
	visit(b)
	for _, child := range b.Blocks {
		child.walk(visit)
	}
}

func blockDoc(spec *blockSpec, path string, bastion bool) BlockDoc {
	doc := BlockDoc{Name: spec.name, Path: path, Label: spec.label, Labels: spec.known, Repeats: spec.repeats, Meaning: spec.meaning,
		Attributes: []AttributeDoc{}, Blocks: []BlockDoc{}}
	if spec == destinationSpec {
		return doc // it takes what the file takes
	}
	below := func(name string) string { return strings.TrimPrefix(path+"."+name, ".") }
	refused := func(name string) string {
		if bastion {
			return unbuiltBastion[below(name)]
		}
		return unbuilt[below(name)]
	}
	for _, as := range spec.attrs {
		doc.Attributes = append(doc.Attributes, AttributeDoc{Name: as.name, Takes: as.kind.brief(), Required: as.required, Meaning: as.meaning,
			Values: as.enum, Bounds: as.bounds(), Default: as.byDefault, DefaultRule: as.rule, Example: as.example,
			NotBuilt: refused(as.name)})
	}
	for _, child := range spec.blocks {
		one := blockDoc(child, below(child.name), bastion)
		one.NotBuilt = refused(child.name)
		doc.Blocks = append(doc.Blocks, one)
	}
	return doc
}

// bounds are a whole number's or a duration's, "" when it has none.
func (a attrSpec) bounds() string {
	switch {
	case a.kind == kindDuration && a.min > 1:
		return "that is at least " + shortDuration(time.Duration(a.min))
	case a.kind == kindDuration && a.min > 0:
		return "that is more than 0"
	case a.kind != kindInt || a.min == 0 && a.max == 0:
		return ""
	case a.max == 0:
		return fmt.Sprintf("at least %d", a.min)
	}
	return fmt.Sprintf("from %d to %d", a.min, a.max)
}

// firstPlaces finds where a block of some name and content stands first, the outermost first.
func firstPlaces(root BlockDoc) map[string]string {
	first := map[string]string{}
	for level := []BlockDoc{root}; len(level) > 0; {
		var next []BlockDoc
		for _, b := range level {
			if _, there := first[b.shape()]; !there && b.Path != "" {
				first[b.shape()] = b.Path
			}
			next = append(next, b.Blocks...)
		}
		level = next
	}
	return first
}

// shape is a block's name and the names in it.
func (b BlockDoc) shape() string {
	shape := b.Name
	for _, a := range b.Attributes {
		shape += " " + a.Name
	}
	for _, child := range b.Blocks {
		shape += " (" + child.shape() + ")"
	}
	return shape
}

// alike notes of every block that takes what another takes where that one stands.
func (b *BlockDoc) alike(first map[string]string) {
	for i := range b.Blocks {
		child := &b.Blocks[i]
		if place := first[child.shape()]; place != child.Path && child.Name != "destination" && child.Name != "locals" {
			child.As = place
		}
		child.alike(first)
	}
}
