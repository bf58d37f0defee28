package release

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// loader gathers what is found wrong while one file and its overlays are read.
type loader struct {
	path    string
	opts    Options
	lenient bool      // git, secrets, the environment and files are unknown, and that is no error
	bastion bool      // the file is a kamald.hcl
	view    string    // the destination that is being looked at
	within  hcl.Range // where that destination is written

	diags  hcl.Diagnostics
	seen   map[string]bool
	files  map[string]*hcl.File
	hidden []hcl.Range // what no snippet may show

	git    Git
	hasGit bool
	gitErr error

	uncommitted map[[2]string]string // by a build's context and Dockerfile
}

// source is one parsed file, or the part of it that is a destination block.
type source struct {
	body *hclsyntax.Body
	rng  hcl.Range
}

func newLoader(path string, opts Options) *loader {
	return &loader{path: path, opts: opts.withDefaults(), seen: map[string]bool{}, files: map[string]*hcl.File{},
		uncommitted: map[[2]string]string{}}
}

func (l *loader) result() Diagnostics {
	slices.SortStableFunc(l.diags, func(a, b *hcl.Diagnostic) int {
		if a.Subject == nil || b.Subject == nil {
			return rank(a.Subject == nil) - rank(b.Subject == nil)
		}
		return cmp.Or(rank(a.Subject.Filename == l.path)-rank(b.Subject.Filename == l.path),
			strings.Compare(a.Subject.Filename, b.Subject.Filename), a.Subject.Start.Byte-b.Subject.Start.Byte)
	})
	return Diagnostics{all: l.diags, files: masked(l.files, l.hidden)}
}

// parse reads and parses a file; false when nothing of it can be used.
func (l *loader) parse(path string) (*source, bool) {
	data, err := l.opts.ReadFile(path)
	if err != nil {
		detail := fmt.Sprintf("%v", err)
		if errors.Is(err, fs.ErrNotExist) {
			detail = fmt.Sprintf("There is no file %s here. kamald init writes one; -c names another.", path)
			if l.bastion {
				detail = fmt.Sprintf("There is no file %s here. Give the path of the bastion's file.", path)
			}
		}
		l.report(hcl.Diagnostics{{Severity: hcl.DiagError, Summary: "Cannot read " + path, Detail: detail}})
		return nil, false
	}
	if !l.isText(path, data) || !l.boundsKept(path, data) {
		return nil, false
	}
	file, diags := hclsyntax.ParseConfig(data, path, hcl.InitialPos)
	l.files[path] = file
	l.report(parsed(diags, data))
	if diags.HasErrors() {
		l.concealBroken(path, data)
	}
	body, ok := file.Body.(*hclsyntax.Body)
	if !ok || diags.HasErrors() {
		return nil, false
	}
	s := &source{body: body, rng: hcl.Range{Filename: path, Start: hcl.InitialPos, End: hcl.InitialPos}}
	return s, l.numbersFit(body)
}

// gitValue is what `git` is to expressions.
func (l *loader) gitValue() cty.Value {
	if !l.hasGit {
		unknown := cty.UnknownVal(cty.String)
		return cty.ObjectVal(map[string]cty.Value{"sha": unknown, "short_sha": unknown, "branch": unknown})
	}
	return cty.ObjectVal(map[string]cty.Value{
		"sha": cty.StringVal(l.git.SHA), "short_sha": cty.StringVal(l.git.ShortSHA), "branch": cty.StringVal(l.git.Branch),
	})
}

// askGit asks for the repository's state when something reads it; only then, so that nobody needs git who does not use it. own are
// the sources that the chosen release is made of: where none of them says how the version comes, it is the commit's.
func (l *loader) askGit(sources, own []*source) {
	if l.lenient || l.opts.Git == nil {
		return
	}
	wanted := l.opts.Version == "" && !saysVersion(own)
	for _, s := range sources {
		_ = hclsyntax.VisitAll(s.body, func(node hclsyntax.Node) hcl.Diagnostics {
			if attr, ok := node.(*hclsyntax.Attribute); ok && (attr.Name != "version" || l.opts.Version == "") {
				wanted = wanted || readsGit(attr.Expr)
			}
			return nil
		})
	}
	if !wanted {
		return
	}
	l.git, l.gitErr = l.opts.Git()
	l.hasGit = l.gitErr == nil
}

// askUncommitted asks once for what destinations have in common.
func (l *loader) askUncommitted(b Build) (string, error) {
	key := [2]string{b.Context, b.Dockerfile}
	if name, asked := l.uncommitted[key]; asked {
		return name, nil
	}
	name, err := l.opts.Uncommitted(b)
	if err == nil {
		l.uncommitted[key] = name
	}
	return name, err
}

// saysVersion tells whether a version is given, or a policy that no destination takes away.
func saysVersion(sources []*source) bool {
	given, policy := false, false
	for _, s := range sources {
		given = given || s.body.Attributes["version"] != nil
		for _, b := range s.body.Blocks {
			if b.Type == "version_policy" {
				policy = b.Body.Attributes[removal.name] == nil
			}
		}
	}
	return given || policy
}

func readsGit(expr hcl.Expression) bool {
	return slices.ContainsFunc(expr.Variables(), func(t hcl.Traversal) bool { return t.RootName() == "git" })
}

// gitNames are what git has to be read.
var gitNames = []string{"sha", "short_sha", "branch"}

// gitHas reports what is read of git and is not there; false when something is.
func (l *loader) gitHas(expr hcl.Expression) bool {
	ok := true
	for _, traversal := range expr.Variables() {
		if traversal.RootName() != "git" || len(traversal) < 2 {
			continue
		}
		if step, is := traversal[1].(hcl.TraverseAttr); is && !slices.Contains(gitNames, step.Name) {
			l.errorf(step.SrcRange, "Unknown name", "git has no %q; it has %s.%s", step.Name, quoted(gitNames), didYouMean(step.Name, gitNames))
			ok = false
		}
	}
	return ok
}

// report adds diagnostics once each: every view of the file evaluates the same base.
func (l *loader) report(diags hcl.Diagnostics) {
	for _, diag := range diags {
		diag = reworded(diag)
		key := fmt.Sprint(diag.Subject, diag.Summary, diag.Detail)
		if l.seen[key] {
			continue
		}
		l.seen[key] = true
		if l.view != "" && !l.inOverlay(diag.Subject) {
			copied := *diag
			copied.Detail += fmt.Sprintf(" (With destination %q.)", l.view)
			diag = &copied
		}
		l.diags = append(l.diags, diag)
	}
}

// inOverlay tells whether a place is the destination's own, so that naming the destination adds nothing.
func (l *loader) inOverlay(place *hcl.Range) bool {
	if place == nil || place.Filename != l.within.Filename {
		return place != nil && place.Filename != l.path
	}
	return place.Filename != l.path || place.Start.Byte >= l.within.Start.Byte && place.Start.Byte < l.within.End.Byte
}

func (l *loader) errorf(rng hcl.Range, summary, format string, args ...any) {
	l.report(hcl.Diagnostics{{Severity: hcl.DiagError, Summary: summary, Detail: fmt.Sprintf(format, args...), Subject: &rng}})
}

func (l *loader) warnf(rng hcl.Range, summary, format string, args ...any) {
	l.report(hcl.Diagnostics{{Severity: hcl.DiagWarning, Summary: summary, Detail: fmt.Sprintf(format, args...), Subject: &rng}})
}
