// Package house holds the whole module to its own rules: who may import whom, what the planner may touch, how large a file
// may grow, and that what the documentation says can be typed.
package house

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/kamald/kamald"

// room is a row of the table in docs/architecture.md. Paths of this module are relative to it; a path that ends in "/..."
// stands for everything below as well.
type room struct {
	packages string
	ours     []string // packages of this module that it may import
	foreign  []string // modules it may import, by the beginning of the path; "*" is any
	never    []string // packages of the standard library that it must not import
	tests    []string // packages of this module that its tests may import besides
	users    []string // who may import it, apart from tests; nil: whoever the other rows let
}

var (
	network = []string{"net", "net/http", "net/http/...", "net/rpc/...", "net/smtp", "crypto/tls"}
	impure  = slices.Concat(network, []string{"os", "os/...", "io/ioutil", "math/rand", "math/rand/v2", "crypto/rand", "syscall"})
	anyTest = []string{"lab", "drivers/...", "state/...", "release/...", "plan/...", "reconcile/...", "console/...", "proxy"}
)

// rooms is in the order of docs/architecture.md; the first row that fits a package counts.
var rooms = []room{
	{packages: "cmd/kamald-proxy", ours: []string{"proxy"}},
	{packages: "cmd/kamald/live", ours: []string{"reconcile", "plan"}, foreign: []string{"charm.land/lipgloss/v2", "github.com/charmbracelet/x/ansi"},
		never: impure, tests: []string{"cmd/kamald/screen", "state", "reconcile", "plan"}, users: []string{"cmd/kamald"}},
	{packages: "cmd/kamald/screen", foreign: []string{"github.com/charmbracelet/x/ansi"}, never: impure, users: []string{}},
	{packages: "cmd/kamald/...", ours: []string{"cmd/kamald/...", "console", "reconcile/...", "plan/...", "state/...", "release/...", "drivers/..."},
		foreign: []string{"*"}, tests: anyTest, users: []string{"cmd/kamald/..."}},
	{packages: "console/...", ours: []string{"console/...", "reconcile/...", "plan/...", "state", "release"}, foreign: []string{"*"}, tests: anyTest},
	{packages: "reconcile/loop", ours: []string{"reconcile", "plan", "plan/drift", "state", "release"}, foreign: []string{"golang.org/x/sync", "github.com/cenkalti/backoff/v5"},
		never: append(slices.Clone(network), "os/exec"), tests: anyTest},
	{packages: "reconcile/group", ours: []string{"reconcile", "reconcile/loop", "plan", "state", "release"}, never: append(slices.Clone(network), "os/exec"), tests: anyTest},
	{packages: "plan/drift", ours: []string{"plan", "state", "release"}, never: impure},
	{packages: "reconcile", ours: []string{"plan", "state", "release"}, foreign: []string{"golang.org/x/sync", "github.com/cenkalti/backoff/v5"},
		never: []string{"os/exec"}, tests: anyTest},
	{packages: "plan", ours: []string{"release", "state"}, never: impure, tests: []string{"release", "state"}},
	{packages: "state/bolt", ours: []string{"state"}, foreign: []string{"go.etcd.io/bbolt"}, never: network,
		tests: []string{"state/storetest"}, users: []string{"cmd/kamald/...", "lab/demo", "bench", "e2e/..."}},
	{packages: "state/etcd", ours: []string{"state"}, foreign: []string{"go.etcd.io/etcd/api/v3", "go.etcd.io/etcd/client/v3", "google.golang.org/grpc", "go.uber.org/zap"},
		never: []string{"net/http", "net/http/...", "os/exec"}, tests: []string{"state/storetest", "state/etcdtest"}, users: []string{"cmd/kamald/...", "bench", "e2e/..."}},
	{packages: "state/migrate", ours: []string{"state"}, never: impure, tests: []string{"state/bolt", "state/etcd", "state/etcdtest"}, users: []string{"cmd/kamald/..."}},
	{packages: "state/storetest", ours: []string{"state"}, foreign: []string{"pgregory.net/rapid"}, never: network, users: []string{}},
	{packages: "state/etcdtest", foreign: []string{"go.etcd.io/etcd/server/v3"}, users: []string{"e2e/..."}},
	{packages: "state", never: impure},
	{packages: "release/...", ours: []string{"state", "release/..."}, never: append(slices.Clone(network), "os/exec"),
		foreign: []string{"github.com/hashicorp/hcl/v2", "github.com/zclconf/go-cty", "github.com/zclconf/go-cty-yaml",
			"github.com/agext/levenshtein", "github.com/docker/go-units", "github.com/hashicorp/go-version", "golang.org/x/mod/semver", "mvdan.cc/sh/v3", "go.yaml.in/yaml/v4"}},
	{packages: "drivers/...", ours: []string{"state", "release"}, foreign: []string{"*"}, tests: []string{"lab", "drivers/...", "reconcile", "proxy"}},
	{packages: "proxy/...", ours: []string{"proxy/..."}, users: []string{"cmd/kamald-proxy", "proxy/..."},
		foreign: []string{"github.com/caddyserver/certmagic", "github.com/mholt/acmez/v3", "go.uber.org/zap", "github.com/quic-go/quic-go",
			"github.com/prometheus/client_golang", "golang.org/x/net", "golang.org/x/time", "golang.org/x/sys"}},
	{packages: "lab/demo/...", ours: []string{"lab", "drivers/sim", "reconcile", "plan", "state/...", "release"}},
	{packages: "lab/...", ours: []string{"lab/..."}, foreign: []string{"golang.org/x/crypto"}, users: []string{"lab/...", "bench/...", "e2e/..."}},
	// These hold no code that ships: figures, and tests of the whole.
	{packages: "bench/...", ours: append([]string{"bench/..."}, anyTest...), foreign: []string{"*"}, users: []string{"bench/..."}},
	{packages: "e2e/...", ours: append([]string{"e2e/..."}, anyTest...), foreign: []string{"*"}, users: []string{"e2e/..."}, tests: append(slices.Clone(anyTest), "cmd/kamald/screen")},
	{packages: "packaging", users: []string{}},
	{packages: ".", tests: []string{"release"}},
}

// vague names say where code was put and not what it is.
var vague = []string{"util", "utils", "common", "helper", "helpers", "types", "misc", "shared", "base"}

const (
	fileLimit = 500 // lines; no file is longer
	fileGoal  = 400 // beyond it the test says so
)

// pkg is what `go list` says of a package.
type pkg struct {
	ImportPath, Dir, Name              string
	Imports, TestImports, XTestImports []string
	GoFiles                            []string
}

// path is relative to the module; "." is its root.
func (p pkg) path() string { return relative(p.ImportPath) }

func relative(importPath string) string {
	if importPath == module {
		return "."
	}
	return strings.TrimPrefix(importPath, module+"/")
}

func packages(t *testing.T) []pkg {
	t.Helper()
	command := exec.Command("go", "list", "-json=ImportPath,Dir,Name,Imports,TestImports,XTestImports,GoFiles", "./...")
	var stderr bytes.Buffer
	command.Stderr = &stderr
	listed, err := command.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	var all []pkg
	for decoder := json.NewDecoder(bytes.NewReader(listed)); ; {
		var p pkg
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

func TestEveryPackageImportsOnlyWhatItsRoomMay(t *testing.T) {
	for _, p := range packages(t) {
		row := roomOf(p.path())
		if row == nil {
			t.Errorf("%s stands in no row of the table: add it here and in docs/architecture.md", p.path())
			continue
		}
		for _, imported := range p.Imports {
			if why := row.refuses(p.path(), imported); why != "" {
				t.Errorf("%s imports %s, %s", p.path(), relative(imported), why)
			}
		}
		for _, imported := range slices.Concat(p.TestImports, p.XTestImports) {
			ours := strings.HasPrefix(imported, module+"/")
			if ours && imported != p.ImportPath && !matches(slices.Concat(row.ours, row.tests), relative(imported)) {
				t.Errorf("a test of %s imports %s, which its row does not allow", p.path(), relative(imported))
			}
		}
	}
}

func TestTheTableRefusesWhatItMust(t *testing.T) {
	for _, wrong := range []struct{ from, to string }{
		{"plan", "os"}, {"plan", "net/http"}, {"plan", "math/rand/v2"}, {"plan", module + "/reconcile"}, {"plan", "golang.org/x/sync/errgroup"},
		{"drivers/docker", module + "/plan"}, {"drivers/docker", module + "/reconcile"}, {"drivers/proxy", module + "/drivers/docker"},
		{"proxy", module + "/state"}, {"proxy", "golang.org/x/sync/errgroup"}, {"cmd/kamald-proxy", module + "/state"},
		{"reconcile", module + "/drivers/ssh"}, {"reconcile", module + "/state/bolt"}, {"reconcile", "golang.org/x/crypto/ssh"},
		{"state", "os"}, {"state", module + "/release"}, {"state", "go.etcd.io/bbolt"}, {"state/etcd", "go.etcd.io/etcd/server/v3/embed"}, {"reconcile", module + "/state/etcd"}, {"cmd/kamald", module + "/state/etcdtest"}, {"release", "net/http"}, {"release", module + "/plan"},
		{"cmd/kamald", module + "/lab"}, {"console", module + "/drivers/docker"}, {"lab", module + "/reconcile"},
	} {
		if roomOf(wrong.from).refuses(wrong.from, wrong.to) == "" {
			t.Errorf("%s may import %s", wrong.from, wrong.to)
		}
	}
}

func TestThePlannerReadsNoClock(t *testing.T) {
	clock := []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"}
	for _, room := range []string{"plan", "state"} {
		for use, where := range uses(t, room, "time") {
			if slices.Contains(clock, use) {
				t.Errorf("%s: time.%s: what time it is comes in as a value", where, use)
			}
		}
	}
}

func TestTheExecutorOpensNoConnection(t *testing.T) {
	for use, where := range uses(t, "reconcile", "net") {
		if !slices.Contains([]string{"JoinHostPort", "SplitHostPort", "ParseIP"}, use) {
			t.Errorf("%s: net.%s: servers are reached by the drivers alone", where, use)
		}
	}
	for use, where := range uses(t, "reconcile", "http") {
		if !strings.HasPrefix(use, "Status") {
			t.Errorf("%s: http.%s: servers are asked by the drivers alone", where, use)
		}
	}
}

// uses gives what a package's files (not its tests) take from a package that they call by the name: "Now" for time.Now,
// and one place for each.
func uses(t *testing.T, room, name string) map[string]token.Position {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(filepath.FromSlash(room), "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s has no Go files: %v", room, err)
	}
	found := map[string]token.Position{}
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if selector, ok := n.(*ast.SelectorExpr); ok {
				if from, ok := selector.X.(*ast.Ident); ok && from.Name == name {
					found[selector.Sel.Name] = set.Position(n.Pos())
				}
			}
			return true
		})
	}
	return found
}

func TestNoPackageHasAVagueName(t *testing.T) {
	for _, p := range packages(t) {
		if slices.Contains(vague, p.Name) || slices.Contains(vague, path.Base(p.ImportPath)) {
			t.Errorf("%s: a package is named for what it is", p.path())
		}
	}
}

func TestNoFileGrowsTooLong(t *testing.T) {
	err := filepath.WalkDir(".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && name != "." && strings.HasPrefix(entry.Name(), "."):
			return filepath.SkipDir
		case entry.IsDir() || filepath.Ext(name) != ".go":
			return nil
		}
		content, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		switch lines := bytes.Count(content, []byte("\n")); {
		case lines > fileLimit:
			t.Errorf("%s has %d lines, more than %d: one noun a file", name, lines, fileLimit)
		case lines > fileGoal:
			t.Logf("warning: %s has %d lines, more than %d", name, lines, fileGoal)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func roomOf(p string) *room {
	for i := range rooms {
		if matches([]string{rooms[i].packages}, p) {
			return &rooms[i]
		}
	}
	return nil
}

// refuses says why a package of the room may not import another, "" when it may.
func (r *room) refuses(from, imported string) string {
	inside, ours := strings.CutPrefix(imported, module+"/")
	standard := !strings.Contains(strings.Split(imported, "/")[0], ".")
	switch {
	case ours && !matches(r.ours, inside):
		return "which its row does not allow"
	case ours:
		if users := roomOf(inside).users; users != nil && !matches(users, from) {
			return "which is for others: " + strings.Join(users, ", ")
		}
	case standard && matches(r.never, imported):
		return "which its row forbids"
	case !standard && !slices.Contains(r.foreign, "*") && !slices.ContainsFunc(r.foreign, func(allowed string) bool {
		return imported == allowed || strings.HasPrefix(imported, allowed+"/")
	}):
		return "another project's package that its row does not allow"
	}
	return ""
}

// matches tells whether one of the patterns fits the path.
func matches(patterns []string, p string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		top, below := strings.CutSuffix(pattern, "/...")
		return p == top || below && strings.HasPrefix(p, top+"/")
	})
}
