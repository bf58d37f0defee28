// Package kamal reads Kamal's configuration, of Kamal 2 and of Kamal 1, and writes the deploy.hcl that says the same, with a
// report of what became of every key. It runs no Ruby and no command and reads no environment.
package kamal

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/kamald/kamald/release/kamal/ruby"
)

// Options are what an import needs from outside. Paths are as Kamal has them, relative to the directory that it is run in.
type Options struct {
	Destinations []string // those to import; nil: every deploy.<destination>.yml beside the file
	ReadFile     func(path string) ([]byte, error)
	ReadDir      func(dir string) ([]string, error) // names
	// Executables lists the names of executable files in a directory, to find hooks; nil when there is none.
	Executables   func(dir string) []string
	KamaldVersion string
}

// Result is what came of an import.
type Result struct {
	Sources []string     // the files that were read
	HCL     []byte       // deploy.hcl; it is valid
	Secrets []SecretLine // lines for .kamald/secrets: what stood in the source and is secret
	Report  Report
}

// Import reads Kamal's deploy.yml and its destinations' files. The error says what stands in the way of a valid file; the result
// has the report all the same. Neither shows a secret's value.
//
// A file beside it that cannot stand as a destination is left out with a line in the report, unless it was asked for by name.
func Import(path string, opts Options) (Result, error) {
	i := newImporter(path, opts)
	result, err := i.result()
	if err == nil || opts.Destinations != nil {
		return result, err
	}
	if standing, ok := i.standing(); ok {
		return standing, nil
	}
	return result, err
}

func newImporter(path string, opts Options) *importer {
	return &importer{path: path, opts: &opts, ledger: &ledger{}}
}

// result is what comes of a run, with nothing in it that must not be shown.
func (i *importer) result() (Result, error) {
	result, err := i.run()
	for n, line := range i.report {
		i.report[n].What, i.report[n].Why, i.report[n].Key = i.ledger.masked(line.What), i.ledger.masked(line.Why), i.ledger.masked(line.Key)
	}
	result.Sources, result.Report = i.files, i.report.sorted(i.files)
	if err != nil {
		err = i.ledger.maskedError(err)
	}
	return result, err
}

// importer is one run of an import.
type importer struct {
	path      string
	opts      *Options
	ledger    *ledger
	files     []string
	names     []string   // of the destinations
	left      []outsider // files beside it that are left out
	documents []*document
	problems  []ruby.Problem
	empty     bool // the file itself says nothing
	report    Report
}

// document is what one tree became.
type document struct {
	*translation
	file string
}

func (i *importer) run() (Result, error) {
	base, err := i.read(i.path)
	if err != nil {
		return Result{}, err
	}
	names, err := i.destinations()
	if err != nil {
		return Result{}, err
	}
	i.names = names
	if i.empty && len(names) == 0 {
		return Result{}, fmt.Errorf("%s says nothing: is it the right file?", i.path)
	}
	i.translate("", i.path, base)
	for _, name := range names {
		file := destinationFile(i.path, name)
		over, err := i.read(file)
		if err != nil {
			return Result{}, err
		}
		i.translate(name, file, ruby.Merge(base, over))
	}
	for _, d := range i.documents {
		d.finish(i.ledger.own())
		i.gather(d)
	}
	i.sayLeft()
	text, err := i.settle()
	if err != nil {
		return Result{}, err
	}
	return Result{HCL: text, Secrets: i.ledger.secrets()}, nil
}

// read reads one file as a mapping.
func (i *importer) read(file string) (*ruby.Node, error) {
	source, err := i.opts.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no %s", file)
	}
	if err != nil {
		return nil, fmt.Errorf("%s cannot be read: %w", file, err)
	}
	i.files = append(i.files, file)
	tree, problems, err := ruby.Read(file, source)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be read as Kamal reads it: %w", file, err)
	}
	i.problems = append(i.problems, problems...)
	for _, p := range problems {
		what := "`" + p.What + "`"
		if p.Last != 0 {
			what += fmt.Sprintf(" to line %d", p.Last)
		}
		i.report = append(i.report, Line{File: p.File, Line: p.Line, What: what, Why: p.Why, Severity: Todo})
	}
	if tree == nil || tree.Kind == ruby.Null {
		i.empty = file == i.path
		tree = &ruby.Node{Kind: ruby.Mapping, File: file, Line: 1}
	}
	if tree.Kind != ruby.Mapping {
		return nil, fmt.Errorf("%s is no configuration of Kamal's: it is %s, and not keys with values", file, kindName(tree))
	}
	return tree, nil
}

var destinationName = regexp.MustCompile(`\A[A-Za-z0-9][A-Za-z0-9_-]*\z`)

// destinations are the names of those to import.
func (i *importer) destinations() ([]string, error) {
	if i.opts.Destinations != nil {
		for _, name := range i.opts.Destinations {
			if !destinationName.MatchString(name) {
				return nil, fmt.Errorf("%q cannot name a destination: letters, digits, - and _", name)
			}
		}
		return unique(i.opts.Destinations), nil
	}
	names, err := i.opts.ReadDir(filepath.Dir(i.path))
	if err != nil {
		return nil, fmt.Errorf("%s cannot be listed for destinations: %w", filepath.Dir(i.path), err)
	}
	stem := strings.TrimSuffix(filepath.Base(i.path), filepath.Ext(i.path)) + "."
	var found []string
	for _, file := range names {
		name, fits := strings.CutPrefix(strings.TrimSuffix(file, destinationExt), stem)
		switch {
		case !fits || !strings.HasSuffix(file, destinationExt) || file == stem+strings.TrimPrefix(destinationExt, "."):
		case destinationName.MatchString(name):
			found = append(found, name)
		default:
			i.left = append(i.left, outsider{file: destinationFile(i.path, name),
				why: fmt.Sprintf("%q cannot name a destination: letters, digits, - and _", name)})
		}
	}
	slices.Sort(found)
	return found, nil
}

func unique(names []string) []string {
	var once []string
	for _, name := range names {
		if !slices.Contains(once, name) {
			once = append(once, name)
		}
	}
	return once
}

// destinationExt is what a destination's file ends in, whatever the file beside it ends in.
const destinationExt = ".yml"

func destinationFile(path, name string) string {
	return strings.TrimSuffix(path, filepath.Ext(path)) + "." + name + destinationExt
}

func (i *importer) translate(name, file string, tree *ruby.Node) {
	t := newTranslation(i.opts, i.ledger, name, tree)
	t.problems = i.problems
	t.translate()
	i.documents = append(i.documents, &document{t, file})
}

// gather takes the lines of a document. A destination's are those of its own file, for the rest is the base's.
func (i *importer) gather(d *document) {
	for _, line := range d.lines {
		if d.destination != "" && line.File != d.file || slices.Contains(i.report, line) {
			continue
		}
		i.report = append(i.report, line)
	}
}

// whole is the file: the base, and a block for each destination.
func (i *importer) whole() *block {
	base := i.documents[0].root
	root := &block{fields: slices.Clone(base.fields)}
	for _, d := range i.documents[1:] {
		root.fields = append(root.fields, destinationBlock(d.destination, base, d.root, d.file))
	}
	header := &field{note: []string{"Made from " + Enumeration(i.files) + " by `kamald import`."}}
	root.fields = append([]*field{header}, root.fields...)
	for _, o := range i.left {
		root.fields = append(root.fields, &field{note: []string{o.file + " is left out: " + sentence(o.why)}})
	}
	return root
}

// Enumeration is names in a sentence.
func Enumeration(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " and " + names[last]
}

// exists tells whether a file can be read.
func (o *Options) exists(path string) bool {
	_, err := o.ReadFile(path)
	return err == nil
}

func (o *Options) executables(dir string) []string {
	if o.Executables == nil {
		return nil
	}
	names := o.Executables(dir)
	slices.Sort(names)
	return names
}
