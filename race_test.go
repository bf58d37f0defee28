package house

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Packages that the Makefile tests without the race detector start no goroutine, and neither do their tests.
func TestPackagesTestedWithoutTheRaceDetectorStartNoGoroutine(t *testing.T) {
	makefile, err := os.ReadFile("Makefile")
	if err != nil {
		t.Fatal(err)
	}
	listed := regexp.MustCompile(`PLAIN_TESTS *= \$\(addprefix \$\(MODULE\)/,([a-z/ ]+)\)`).FindSubmatch(makefile)
	if listed == nil {
		t.Fatal("the Makefile lists no PLAIN_TESTS")
	}
	for room := range strings.FieldsSeq(string(listed[1])) {
		files, err := filepath.Glob(filepath.Join(filepath.FromSlash(room), "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files, %v", room, len(files), err)
		}
		for _, path := range files {
			for _, at := range goroutines(t, path) {
				t.Errorf("%s starts a goroutine: take the package out of PLAIN_TESTS in the Makefile", at)
			}
		}
	}
	if len(goroutines(t, "plan/build.go")) == 0 {
		t.Error("a goroutine that is there is not seen")
	}
}

// goroutines are the places where a file starts one: by go, by a group's Go, or by a parallel test.
func goroutines(t *testing.T, path string) (found []token.Position) {
	t.Helper()
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			found = append(found, set.Position(n.Pos()))
		case *ast.CallExpr:
			if called, ok := n.Fun.(*ast.SelectorExpr); ok && (called.Sel.Name == "Go" || called.Sel.Name == "Parallel") {
				found = append(found, set.Position(n.Pos()))
			}
		}
		return true
	})
	return found
}
