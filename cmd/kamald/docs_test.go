package main

import (
	"os"
	"testing"
)

func TestTheReferencePageIsWhatTheProgramSays(t *testing.T) {
	const path = "../../docs/reference.md"
	if os.Getenv("KAMALD_GOLDEN") != "" {
		if err := os.WriteFile(path, []byte(referencePage()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(page) != referencePage() {
		t.Error("docs/reference.md is not what `kamald docs --markdown` writes; KAMALD_GOLDEN=1 rewrites it")
	}
}
