package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"mvdan.cc/sh/v3/shell"

	"github.com/kamald/kamald/state/bolt"
)

// What docs/bastion.md has its reader type to kamald is typed, with directories of the test's for those of the system; its kamald.hcl is
// taken as it stands there. systemd, its unit and its credentials are `make dist-check`'s and TestTheServiceManagerIsToldOfTheDaemonsLife's.
func TestTheBastionsPageAsItSays(t *testing.T) {
	text, err := os.ReadFile("../../docs/bastion.md")
	if err != nil {
		t.Fatal(err)
	}
	e2eTests = testsOf(t, "../../e2e")
	dir := t.TempDir()
	here := strings.NewReplacer("/var/lib/kamald", dir, "/etc/kamald", dir)
	file := regexp.MustCompile("(?s)```\n   (store \\{ bolt.*?)```").FindStringSubmatch(string(text))
	if file == nil {
		t.Fatal("the page has no kamald.hcl")
	}
	if err := os.WriteFile(filepath.Join(dir, "kamald.hcl"), []byte(here.Replace(strings.ReplaceAll(file[1], "\n   ", "\n"))), 0o600); err != nil {
		t.Fatal(err)
	}
	db := filepath.Join(dir, "state.db")
	store, err := bolt.OpenWith(db, bolt.Options{Hold: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	program := builtProgram(t)
	r := &reader{transcript: &transcript{t: t}, page: "bastion.md"}
	onTheLab := map[string]string{
		"status":                        "TestAnOrderThroughSSHToABastion",
		"release v2 --server":           "TestAnOrderThroughSSHToABastion",
		"run -f /etc/kamald/kamald.hcl": "TestAnOrderThroughSSHToABastion",
		"store token":                   "TestADaemonsConsole",
	}
	typed := 0
	for _, found := range regexp.MustCompile(`(?m)(?:^ *(?:sudo -u kamald )?|`+"`"+`)kamald ((?:validate|status|release|run|store) ?[^`+"`"+`\n]*)`).FindAllStringSubmatch(string(text), -1) {
		command, _, _ := strings.Cut(found[1], "  #")
		elsewhere := false
		for begins, test := range onTheLab {
			if strings.HasPrefix(command, begins) {
				r.onTheLab(test)
				elsewhere = true
			}
		}
		if elsewhere || command == "run" {
			continue
		}
		if strings.HasPrefix(command, "store restore ") { // on the new machine
			if err := os.Remove(db); err != nil {
				t.Error(err)
			}
		}
		words, err := shell.Fields(here.Replace(command), nil)
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(program, words...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "CREDENTIALS_DIRECTORY="+dir, "HOME="+dir)
		said, err := cmd.CombinedOutput()
		t.Logf("$ kamald %s\n%s", command, said)
		if err != nil {
			t.Errorf("kamald %s: %v\n%s", command, err, said)
		}
		typed++
	}
	if typed != 3 {
		t.Errorf("%d commands were typed, and the page has a check, a backup and a way back", typed)
	}
}
