package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAReportTakesThePlaceOfTheOneBefore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "page.md")
	if err := os.WriteFile(path, []byte("above\n"+pageBegin+"old\n"+pageEnd+"\nbelow\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := writePage(path, "\nnew\n\n"); err != nil {
			t.Fatal(err)
		}
	}
	text, _ := os.ReadFile(path)
	if want := "above\n" + pageBegin + "new\n" + pageEnd + "\nbelow\n"; string(text) != want {
		t.Errorf("the page is %q, want %q", text, want)
	}
	if err := os.WriteFile(path, []byte("no place"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := writePage(path, "new"); err == nil || !strings.Contains(err.Error(), "no place for the report") {
		t.Errorf("a page without the place: %v", err)
	}
}
