package git_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kamald/kamald/drivers/git"
)

func TestOnlyACommitWithAnAllowedSSHKeyIsTakenWhereItMustBeSigned(t *testing.T) {
	keys := t.TempDir()
	for _, name := range []string{"ada", "eve"} {
		tool(t, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", filepath.Join(keys, name))
	}
	write(t, keys, "allowed", "ada@example.com namespaces=\"git\" "+read(t, keys, "ada.pub"))
	from := repository(t)
	commit(t, from)
	r := git.Remote{URL: from, Branch: "trunk", Dir: t.TempDir(), Signed: true, AllowedSigners: filepath.Join(keys, "allowed")}
	refused := func(want string) {
		t.Helper()
		if _, dir, err := git.Fetch(t.Context(), r); !errors.Is(err, git.ErrUnsigned) || !strings.Contains(err.Error(), want) || dir != "" {
			t.Errorf("%q: said %v, want %q", dir, err, want)
		}
	}
	signed := func(by, text string) string {
		write(t, from, "file", text)
		run(t, from, "config", "gpg.format", "ssh")
		run(t, from, "config", "user.signingKey", filepath.Join(keys, by))
		return commitAll(t, from, text, "-S")
	}
	refused("it is not signed")
	want := signed("ada", "two")
	got, dir, err := git.Fetch(t.Context(), r)
	must(t, err)
	if got.SHA != want || got.Signer != "ada@example.com" || read(t, dir, "file") != "two" {
		t.Errorf("%+v in %s", got, dir)
	}
	signed("eve", "three")
	refused("its SSH key is not among those that are allowed")
	r.AllowedSigners = ""
	refused("no file says whose are trusted")
	write(t, keys, "config", "[gpg \"ssh\"]\n\tallowedSignersFile = "+filepath.Join(keys, "allowed")+"\n")
	t.Setenv("GIT_CONFIG_GLOBAL", filepath.Join(keys, "config")) // the user's own setting counts
	refused("its SSH key is not among those that are allowed")
	signed("ada", "four")
	if got, _, err := git.Fetch(t.Context(), r); err != nil || got.Signer != "ada@example.com" {
		t.Errorf("%+v %v", got, err)
	}
	forge(t, from)
	refused("does not fit the commit")
}

func TestAnOpenPGPSignatureCountsWithAKeyOfTheKeyring(t *testing.T) {
	if _, err := exec.LookPath("gpg"); err != nil {
		t.Skip("gpg is not installed")
	}
	home, err := os.MkdirTemp("", "gpg") // a socket's path is short
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(home) })
	t.Setenv("GNUPGHOME", home)
	t.Cleanup(func() { _ = exec.Command("gpgconf", "--homedir", home, "--kill", "all").Run() })
	tool(t, "gpg", "--batch", "--quiet", "--passphrase", "", "--quick-generate-key", "Ada <ada@example.com>", "ed25519", "sign")
	from := repository(t)
	commit(t, from)
	run(t, from, "config", "user.signingKey", "ada@example.com")
	write(t, from, "file", "two")
	want := commitAll(t, from, "two", "-S")
	r := git.Remote{URL: from, Branch: "trunk", Dir: t.TempDir(), Signed: true}
	got, _, err := git.Fetch(t.Context(), r)
	must(t, err)
	if got.SHA != want || got.Signer != "Ada <ada@example.com>" {
		t.Errorf("%+v", got)
	}
	other, err := os.MkdirTemp("", "gpg")
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(other) })
	t.Setenv("GNUPGHOME", other)
	if _, _, err := git.Fetch(t.Context(), r); !errors.Is(err, git.ErrUnsigned) || !strings.Contains(err.Error(), "not in the keyring") {
		t.Errorf("with another keyring: %v", err)
	}
}

// forge puts the signature of the newest commit on another tree.
func forge(t *testing.T, dir string) {
	t.Helper()
	object := run(t, dir, "cat-file", "commit", "HEAD")
	write(t, dir, "file", "forged")
	run(t, dir, "add", ".")
	_, rest, _ := strings.Cut(object, "\n")
	write(t, dir, "forged.txt", "tree "+strings.TrimSpace(run(t, dir, "write-tree"))+"\n"+rest)
	sha := strings.TrimSpace(run(t, dir, "hash-object", "-t", "commit", "-w", "forged.txt"))
	run(t, dir, "update-ref", "refs/heads/trunk", sha)
}

func tool(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
}
