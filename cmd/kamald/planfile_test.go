package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAFileThatIsTooLargeForAPlanIsNotRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "huge")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, mostPlanned+1); err != nil { // it takes no room
		t.Fatal(err)
	}
	if _, err := readPlan(path); err == nil || !strings.Contains(err.Error(), "larger than 256 MiB") {
		t.Errorf("%v", err)
	}
}

func TestAPlanIsWrittenInOneGoAndLeavesNothingBeside(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "plan")
	for range 2 {
		if err := writeOwn(path, []byte("content")); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
	if err := writeOwn(filepath.Join(dir, "none", "plan"), nil); err == nil {
		t.Error("it was written into a folder that is not there")
	}
	if names, err := os.ReadDir(dir); err != nil || len(names) != 1 {
		t.Errorf("beside the plan there is: %v %v", names, err)
	}
}
