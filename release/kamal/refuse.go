package kamal

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kamald/kamald/release"
)

// maxRefusals bounds how often a file is looked at again after something was taken out of it.
const maxRefusals = 100

// settle writes the file, and takes out of it what deploy.hcl refuses, with a note in its place and a line in the report: Kamal
// checks less than kamald does. The error is of what cannot be taken out.
func (i *importer) settle() ([]byte, error) {
	i.shareAccessories()
	i.requireDestination()
	for range maxRefusals {
		root := i.whole()
		errs := refusals(written(root, true), i.opts)
		if len(errs) == 0 {
			text := written(i.whole(), false)
			if left := refusals(text, i.opts); len(left) > 0 {
				return nil, fmt.Errorf("what was made of %s is no valid file: %s. This is kamald's mistake: please report it", i.path, left[0].Detail)
			}
			return text, nil
		}
		progress := false
		for _, d := range errs {
			f := fieldAt(root, d.Line)
			if f != nil && i.refuse(f, d.Detail) {
				progress = true
			}
		}
		if !progress {
			return nil, i.unsettled(root, errs)
		}
	}
	return nil, fmt.Errorf("what was made of %s is no valid file, however much is left out", i.path)
}

func refusals(text []byte, opts *Options) []release.Diagnostic {
	diags := release.Validate("deploy.hcl", release.Options{
		ReadFile: func(path string) ([]byte, error) {
			if filepath.Base(path) == "deploy.hcl" {
				return text, nil
			}
			return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
		},
		ReadDir:       func(string) ([]string, error) { return nil, nil },
		KamaldVersion: opts.KamaldVersion,
	})
	return slices.DeleteFunc(diags.List(), func(d release.Diagnostic) bool { return d.Severity != "error" })
}

// unsettled tells what stands in the way, by the lines of the source.
func (i *importer) unsettled(root *block, errs []release.Diagnostic) error {
	failed := &unsettled{path: i.path}
	for _, d := range errs {
		o := obstacle{origin: origin{file: i.path}, what: d.Detail}
		if f := fieldAt(root, d.Line); f != nil && f.file != "" {
			o.origin = f.origin
		}
		if !slices.Contains(failed.obstacles, o) {
			failed.obstacles = append(failed.obstacles, o)
		}
	}
	return failed
}

// fieldAt is the innermost field that was written on a line.
func fieldAt(root *block, line int) *field {
	var found *field
	each(root, func(f *field) {
		if f.first <= line && line <= f.last && f.note == nil {
			found = f
		}
	})
	return found
}

// refuse takes a field out of every document that has it; false when the file cannot do without.
func (i *importer) refuse(f *field, why string) bool {
	proxied := f.name == "proxy" && strings.HasPrefix(f.path, "role ") // two roles cannot have the same routes
	if f.block != nil && !proxied && !slices.Contains([]string{"accessory", "host", "tag", "file", "directory", "alias"}, f.name) ||
		f.path == "service" || f.path == "image" || f.value == nothing {
		return false
	}
	if holder := i.holderOf(f); holder != nil {
		if holder.name == "role" {
			return false
		}
		f = holder
	}
	why = i.ledger.masked(strings.TrimSuffix(why, "."))
	gone := false
	for _, d := range i.documents {
		gone = takeOut(d.root, f, why) || gone
	}
	if gone {
		i.report = append(i.report, Line{File: f.file, Line: f.line, Key: i.untranslated(f), What: leftOut, Why: "deploy.hcl does not take it: " + why, Severity: Todo})
	}
	return gone
}

// holderOf is the role or the accessory of which a field is the only host; nil when it is none.
func (i *importer) holderOf(f *field) *field {
	for _, d := range i.documents {
		for _, holder := range d.root.fields {
			if holder.block == nil || holder.name != "role" && holder.name != "accessory" {
				continue
			}
			hosts := holder.block.find("hosts", "")
			if hosts != nil && hosts.value != nil && len(hosts.value.list) == 1 && hosts.value.list[0].same(f) {
				return holder
			}
		}
	}
	return nil
}

// same tells whether two fields are one in two documents.
func (f *field) same(other *field) bool {
	return f.path == other.path && f.origin == other.origin && f.note == nil
}

// untranslated takes back that a field was translated, and gives the key of the source that it came from: its own path where that
// is not known.
func (i *importer) untranslated(f *field) string {
	key := f.path
	if f.key != "" {
		key = f.key
	}
	i.report = slices.DeleteFunc(i.report, func(line Line) bool {
		within := line.What == f.path || strings.HasPrefix(line.What, f.path+".")
		if line.Severity != Translated || line.File != f.file || !within {
			return false
		}
		if line.What == f.path {
			key = line.Key
		}
		return line.What == f.path || line.Line >= f.line
	})
	return key
}

// takeOut replaces a field with a note.
func takeOut(b *block, wanted *field, why string) bool {
	same := func(f *field) bool { return f.same(wanted) }
	note := &field{origin: wanted.origin, comment: wanted.comment, note: []string{sentence(wanted.path + " is left out: " + why)}}
	for n, f := range b.fields {
		switch {
		case same(f):
			b.fields[n] = note
			return true
		case f.block != nil:
			if takeOut(f.block, wanted, why) {
				return true
			}
		case f.value != nil && f.value.without(same):
			b.fields = slices.Insert(b.fields, n+1, note)
			if len(f.value.list)+len(f.value.dict) == 0 {
				b.fields = slices.Delete(b.fields, n, n+1)
			}
			return true
		}
	}
	return false
}

// sentence ends a text as one.
func sentence(text string) string {
	if strings.HasSuffix(text, "?") || strings.HasSuffix(text, ".") {
		return text
	}
	return text + "."
}

// without takes entries and elements out of a value; false when there is none.
func (v *value) without(gone func(*field) bool) bool {
	before := len(v.list) + len(v.dict)
	v.list, v.dict = slices.DeleteFunc(v.list, gone), slices.DeleteFunc(v.dict, gone)
	found := len(v.list)+len(v.dict) < before
	for _, e := range slices.Concat(v.list, v.dict) {
		found = e.value.without(gone) || found
	}
	return found
}

// requireDestination says that the base is never deployed by itself, where it could not be: Kamal refuses it then, too.
func (i *importer) requireDestination() {
	base := i.documents[0].root
	if len(i.documents) == 1 || base.find("require_destination", "") != nil {
		return
	}
	errs := refusals(written(i.whole(), true), i.opts)
	if len(errs) == 0 {
		return
	}
	for _, d := range i.documents {
		d.root.insert("require_destination", raw("true"))
	}
	if len(refusals(written(i.whole(), true), i.opts)) < len(errs) {
		i.report = append(i.report, Line{File: i.path, What: "require_destination = true", Severity: Changed,
			Why: "the file is not complete without a destination"})
		return
	}
	for _, d := range i.documents {
		d.root.remove(d.root.find("require_destination", ""))
	}
}

// insert sets an attribute of the root behind those that come first.
func (b *block) insert(name string, v *value) {
	f := b.set(name, v)
	b.remove(f)
	n := 0
	for n < len(b.fields) && slices.Contains([]string{"service", "image", "primary_role", "allow_empty_roles"}, b.fields[n].name) {
		n++
	}
	b.fields = slices.Insert(b.fields, n, f)
}
