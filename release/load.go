package release

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// Options are what reading a file needs from outside. Every function that is nil reads the real thing, but for Git.
type Options struct {
	Destination   string // "" is the file without a destination laid over it
	Version       string // wins over the file's
	KamaldVersion string // held against minimum_version when it is a semantic version

	// Commands are the names of kamald's own commands, which aliases stand for and cannot have; empty: nobody asks.
	Commands []string

	Env      func(name string) (string, bool)
	ReadFile func(path string) ([]byte, error)
	ReadDir  func(dir string) ([]string, error) // names, to find deploy.<destination>.hcl
	// Git gives the state of the repository that holds the file. It is called once, and only when something reads it; when it
	// is nil, Version stays empty where the file says git.sha.
	Git func() (Git, error)
	// Uncommitted names what lies in the directory that an image is built from and is in no commit, "" when nothing does. It is
	// asked when the version is the commit's, and the version is then COMMIT_uncommitted_NAME. nil adds nothing.
	Uncommitted func(Build) (string, error)
}

// Git is the state of a repository.
type Git struct{ SHA, ShortSHA, Branch string }

// Load reads deploy.hcl (the vocabulary is in testdata/deploy.reference.hcl) and resolves the release of one destination,
// with every default filled in. Every destination is checked, whichever is chosen, and all problems come at once; the release
// is meaningful only when the diagnostics have no errors.
func Load(path string, opts Options) (Release, Diagnostics) {
	l := newLoader(path, opts)
	var release Release
	if chosen := l.load(); chosen != nil {
		release = chosen.rel
	}
	return release, l.result()
}

// Validate checks deploy.hcl and the destinations beside it without looking at anything else: git, secrets, the environment
// and what file() reads are unknown to it, and that is no error. Of opts it uses ReadFile, ReadDir and KamaldVersion.
func Validate(path string, opts Options) Diagnostics {
	opts.Destination, opts.Version, opts.Git = "", "", nil
	l := newLoader(path, opts)
	l.lenient = true
	l.load()
	return l.result()
}

func (o Options) withDefaults() Options {
	if o.Env == nil {
		o.Env = os.LookupEnv
	}
	if o.ReadFile == nil {
		o.ReadFile = os.ReadFile
	}
	if o.ReadDir == nil {
		o.ReadDir = ReadDir
	}
	return o
}

// ReadDir gives the names in a directory of this machine.
func ReadDir(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names, err
}

// view is the file as one destination sees it; the one without a name is the base by itself.
type view struct {
	name string
	over *source // nil for the base
	root *block  // base and overlay together
	own  *block  // the overlay alone
	ctx  *hcl.EvalContext
}

// load compiles every view; it gives the chosen destination's, nil when there is none.
func (l *loader) load() *compiler {
	base, ok := l.parse(l.path)
	if !ok {
		return nil
	}
	views := append([]*view{{}}, l.destinations(base)...)
	chosen := slices.IndexFunc(views, func(v *view) bool { return v.name == l.opts.Destination })
	if chosen < 0 {
		l.unknownDestination(views[1:])
	}
	sources := []*source{base}
	for _, v := range views[1:] {
		sources = append(sources, v.over)
	}
	own := []*source{base}
	if chosen > 0 {
		own = append(own, views[chosen].over)
	}
	l.askGit(sources, own)
	for _, v := range views {
		l.look(v)
		ctx := l.context(base, v.name, v.over)
		v.ctx = ctx
		v.root = l.decode(base.body, deploySpec, ctx)
		v.root.rng = base.rng
		l.checkNoRemove(v.root)
		if v.over != nil {
			v.own = l.decode(v.over.body, destinationSpec, ctx)
			l.checkRemovals(v.root, v.own)
			v.root = overlay(v.root, v.own)
		}
	}
	var compiled *compiler
	for i, v := range views {
		required := v.root.get("require_destination")
		if v.name == "" && required.boolOr(false) {
			if chosen == 0 && !l.lenient {
				l.look(v)
				l.errorf(required.rng, "Destination required", "This file is only for use with a destination: give -d with one of %s.", destinationNames(views[1:]))
			}
			if len(views) > 1 {
				continue // the base alone is never deployed
			}
		}
		l.look(v)
		c := newCompiler(l, v, views)
		c.compile()
		if i == chosen {
			compiled = c
		}
	}
	return compiled
}

// look makes a view the one that is being looked at; what is found wrong in the base then names the destination.
func (l *loader) look(v *view) {
	l.view, l.within = v.name, hcl.Range{}
	if v.over != nil {
		l.within = v.over.rng
	}
}

func (l *loader) unknownDestination(views []*view) {
	known := destinationNames(views)
	detail := "The file has no destinations."
	if len(views) > 0 {
		detail = "The known ones are " + known + "."
	}
	var names []string
	for _, v := range views {
		names = append(names, v.name)
	}
	l.report(hcl.Diagnostics{{Severity: hcl.DiagError, Summary: "Unknown destination",
		Detail: "There is no destination \"" + l.opts.Destination + "\". " + detail + didYouMean(l.opts.Destination, names)}})
}

func destinationNames(views []*view) string {
	var names []string
	for _, v := range views {
		names = append(names, v.name)
	}
	return quoted(names)
}

// destinations finds the destination blocks of the file, and the files deploy.<destination>.hcl beside it.
func (l *loader) destinations(base *source) []*view {
	var views []*view
	for _, hb := range base.body.Blocks {
		if hb.Type != "destination" || !l.labelFits(hb, destinationSpec) {
			continue
		}
		name := hb.Labels[0]
		l.checkName(hb.LabelRanges[0], "destination", name)
		if i := slices.IndexFunc(views, func(v *view) bool { return v.name == name }); i >= 0 {
			l.errorf(hb.DefRange(), "Duplicate block", "destination %q stands at %s:%d already; write both as one.", name, l.path, views[i].over.rng.Start.Line)
			continue
		}
		views = append(views, &view{name: name, over: &source{body: hb.Body, rng: hb.Range()}})
	}
	return append(views, l.destinationFiles(views)...)
}

func (l *loader) destinationFiles(blocks []*view) []*view {
	dir, ext := filepath.Dir(l.path), filepath.Ext(l.path)
	stem := strings.TrimSuffix(filepath.Base(l.path), ext) + "."
	names, err := l.opts.ReadDir(dir)
	if err != nil {
		return nil // the file itself was read: a directory that cannot be listed has nothing beside it to be found
	}
	var views []*view
	for _, file := range names {
		name := strings.TrimSuffix(strings.TrimPrefix(file, stem), ext)
		if !strings.HasPrefix(file, stem) || !strings.HasSuffix(file, ext) || len(file) <= len(stem)+len(ext) || !roleName.MatchString(name) {
			continue
		}
		path := filepath.Join(dir, file)
		if i := slices.IndexFunc(blocks, func(v *view) bool { return v.name == name }); i >= 0 {
			l.errorf(blocks[i].over.rng, "Destination given twice", "destination %q is a block here, at %s:%d, and the file %s too. Keep one of them.",
				name, l.path, blocks[i].over.rng.Start.Line, path)
			continue
		}
		if over, ok := l.parse(path); ok {
			views = append(views, &view{name: name, over: over})
		}
	}
	return views
}
