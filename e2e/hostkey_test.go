package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var fingerprint = regexp.MustCompile(`SHA256:[A-Za-z0-9+/]{43}`)

// An unknown or a changed host key is refused, with the fingerprint and the command that would accept it. Where others can be
// seen the host is skipped, as one that is down, and the exit code says so.
func TestHostKeys(t *testing.T) {
	f := newFixture(t)
	f.deploy(settings{})
	f.image("v1", nil)
	f.image("v2", nil)
	f.must(0, "apply", "--version", "v1")
	known, err := os.ReadFile(f.lab.KnownHosts)
	if err != nil {
		t.Fatal(err)
	}
	mine := filepath.Join(f.dir, "known_hosts")
	config, err := os.ReadFile(filepath.Join(f.dir, "deploy.hcl"))
	if err != nil {
		t.Fatal(err)
	}
	f.write("deploy.hcl", strings.ReplaceAll(string(config), f.lab.KnownHosts, mine), 0o600)

	t.Run("unknown", func(t *testing.T) {
		f := f.within(t)
		f.write("known_hosts", "", 0o600)
		r := f.must(1, "apply", "--version", "v1")
		if !fingerprint.MatchString(r.all()) || !strings.Contains(r.all(), "ssh-keyscan") {
			t.Error("the message lacks the fingerprint or the command")
		}
	})
	t.Run("changed", func(t *testing.T) {
		f := f.within(t)
		lines := strings.Split(strings.TrimSpace(string(known)), "\n")
		first, second := strings.Fields(lines[0]), strings.Fields(lines[1])
		swapped := strings.Join([]string{first[0], second[1], second[2]}, " ") + "\n" + strings.Join(lines[1:], "\n") + "\n"
		f.write("known_hosts", swapped, 0o600)
		f.must(1, "apply", "--version", "v2") // a release needs every host
		r := f.must(6, "apply", "--version", "v1")
		if !fingerprint.MatchString(r.all()) || !strings.Contains(r.all(), "ssh-keygen") || !strings.Contains(r.all(), " -R ") {
			t.Error("the message lacks the fingerprint or the command")
		}
	})
	t.Run("accepted", func(t *testing.T) {
		f := f.within(t)
		f.write("known_hosts", string(known), 0o600)
		f.must(0, "plan", "--version", "v1", "--detailed-exitcode")
	})
}
