package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestFiguresOfTestsThatPassGoToTheirPlace, and those of tests that failed do not.
func TestFiguresOfTestsThatPassGoToTheirPlace(t *testing.T) {
	r := newReport(&bytes.Buffer{})
	events := `{"Action":"output","Package":"p","Test":"A","Output":"    a_test.go:1: figure fleet: | hosts | time |\n"}
{"Action":"output","Package":"p","Test":"A","Output":"    a_test.go:2: figure fleet: | 10 | 1 s |\n"}
{"Action":"pass","Package":"p","Test":"A"}
{"Action":"output","Package":"p","Test":"B","Output":"    b_test.go:1: figure broken: nothing\n"}
{"Action":"fail","Package":"p","Test":"B"}
`
	if err := r.read(strings.NewReader(events)); err != nil {
		t.Fatal(err)
	}
	page := filepath.Join(t.TempDir(), "page.md")
	if err := os.WriteFile(page, []byte("before\n<!-- fleet -->\nold\n<!-- /fleet -->\nafter\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := r.figures.write(filepath.Dir(page)); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(page)
	want := "before\n<!-- fleet -->\n| hosts | time |\n| 10 | 1 s |\n<!-- /fleet -->\nafter\n"
	if err != nil || string(got) != want {
		t.Errorf("the page is\n%s%v", got, err)
	}
	if err := (figures{"nowhere": {"1"}}).write(filepath.Dir(page)); err == nil {
		t.Error("a figure that has no place is lost without a word")
	}
}
