package main

import (
	"bytes"
	"slices"
	"testing"
	"time"
)

func TestAnArchiveDoesNotDependOnTheOrderOfItsFiles(t *testing.T) {
	at := time.Unix(1767225600, 0)
	files := []file{{name: "a/b/c", mode: 0o644, data: []byte("c")}, {name: "a/b/", mode: 0o700, owner: nobody}, {name: "a/z", mode: 0o755}}
	one, err := tarOf(files, at)
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(files)
	other, err := tarOf(files, at.Local())
	if err != nil || !bytes.Equal(one, other) {
		t.Errorf("they differ: %v", err)
	}
	if later, err := tarOf(files, at.Add(time.Hour)); err != nil || bytes.Equal(one, later) {
		t.Errorf("the time is not in it: %v", err)
	}
}

func TestAVersionThatPackagesCannotHaveIsRefused(t *testing.T) {
	for _, version := range []string{"", "e2bddf0", "1.2", "1.2.3 rm", "1.2.3-"} {
		if run(version, "", "0", t.TempDir(), nil, nil) == nil {
			t.Errorf("%q passes", version)
		}
	}
}
