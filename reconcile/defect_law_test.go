package reconcile_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A panic in a goroutine that nobody guards ends the process, and in a daemon all other apps with it. So each is begun in a way that makes
// it an error: through a crew, through branches, or with a guard as the first thing that it does.
func TestEveryGoroutineIsGuarded(t *testing.T) {
	for _, dir := range []string{".", "loop", "group"} {
		names, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil || len(names) == 0 {
			t.Fatalf("%s has no files: %v", dir, err)
		}
		for _, name := range names {
			if strings.HasSuffix(name, "_test.go") || name == "defect.go" {
				continue
			}
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			for _, where := range unguarded(t, name, string(text), dir == ".") {
				t.Errorf("%s: a goroutine begins there, and a panic in it would end the process", where)
			}
		}
	}
}

func TestAGoroutineWithoutAGuardIsFound(t *testing.T) {
	for text, found := range map[string]int{
		"go f()":                 1,
		"go func() { x <- 1 }()": 1,
		"go func() { // it cannot break\nx <- 1 }()": 0,
		"go func() { _ = k.surviving(f) }()":         0,
		"go func() { x <- Guard(f) }()":              0,
		"var w sync.WaitGroup":                       1,
		"g := errgroup.Group{}":                      1,
	} {
		if n := len(unguarded(t, "x.go", "package x\nfunc y() {\n"+text+"\n}", true)); n != found {
			t.Errorf("%q: %d are found, and not %d", text, n, found)
		}
	}
	if len(unguarded(t, "x.go", "package x\nfunc y() { all.Go(func() { f() }) }", false)) != 1 {
		t.Error("one that a group begins is not found")
	}
}

// unguarded gives where a file begins goroutines without a guard. wrapped: its package has groups of its own, which guard.
func unguarded(t *testing.T, name, text string, wrapped bool) (found []string) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, name, text, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	calm := map[int]bool{} // the lines that say why they need none
	for _, group := range file.Comments {
		for _, c := range group.List {
			if strings.Contains(c.Text, "it cannot break") {
				calm[files.Position(c.Pos()).Line] = true
			}
		}
	}
	note := func(n ast.Node) {
		if at := files.Position(n.Pos()); !calm[at.Line] {
			found = append(found, at.String())
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			if !guards(n.Call.Fun) {
				note(n)
			}
		case *ast.CallExpr:
			called, is := n.Fun.(*ast.SelectorExpr)
			if is && called.Sel.Name == "Go" && !wrapped && !guards(n.Args[0]) {
				note(n)
			}
		case *ast.SelectorExpr:
			of, _ := n.X.(*ast.Ident)
			if of != nil && wrapped && (of.Name == "sync" && n.Sel.Name == "WaitGroup" || of.Name == "errgroup") {
				note(n)
			}
		}
		return true
	})
	return found
}

// guards tells whether a function's first deed is to guard what it does.
func guards(e ast.Expr) (is bool) {
	f, literal := e.(*ast.FuncLit)
	if !literal || len(f.Body.List) == 0 {
		return false
	}
	ast.Inspect(f.Body.List[0], func(n ast.Node) bool {
		call, called := n.(*ast.CallExpr)
		if !called {
			return true
		}
		switch name := call.Fun.(type) {
		case *ast.Ident:
			is = is || name.Name == "Guard"
		case *ast.SelectorExpr:
			is = is || name.Sel.Name == "Guard" || name.Sel.Name == "surviving" || name.Sel.Name == "lastingly"
		}
		return true
	})
	return is
}
