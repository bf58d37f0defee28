package git_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/kamald/kamald/drivers/git"
)

func TestAProjectHasTheOwnerAndNameOfItsRemote(t *testing.T) {
	for address, want := range map[string]string{
		"git@example.com:acme/shop.git":                   "acme shop",
		"ssh://git@example.com:2222/acme/shop.git":        "acme shop",
		"https://user:hunter2@example.com/acme/shop":      "acme shop",
		"https://example.com/group/part/shop.git/":        "group/part shop",
		"/srv/git/shop.git":                               " shop",
		"file:///srv/git/shop.git":                        " shop",
		"../with a space/My Shop":                         " My Shop",
		"https://user:hunter2@example.com/acme/shop.name": "acme shop.name",
	} {
		dir := repository(t)
		run(t, dir, "remote", "add", "another", "git@example.com:other/thing.git")
		run(t, dir, "remote", "add", "origin", address)
		owner, name, err := git.Project(t.Context(), dir)
		if err != nil || owner+" "+name != want {
			t.Errorf("%s: got %q %q %v, want %q", address, owner, name, err, want)
		}
		if strings.Contains(owner+name, "hunter2") {
			t.Errorf("%s: the password comes out", address)
		}
	}
}

func TestAProjectWithoutARemoteHasNoName(t *testing.T) {
	if owner, name, err := git.Project(t.Context(), repository(t)); owner != "" || name != "" || err != nil {
		t.Errorf("got %q %q %v", owner, name, err)
	}
	if _, _, err := git.Project(t.Context(), t.TempDir()); !errors.Is(err, git.ErrNotRepository) {
		t.Errorf("got %v", err)
	}
}

func TestIgnoredAsksGit(t *testing.T) {
	dir := repository(t)
	commit(t, dir)
	for file, want := range map[string]bool{"a.log": true, ".kamald/secrets": false} {
		if got, err := git.Ignored(t.Context(), dir, file); got != want || err != nil {
			t.Errorf("%s: got %v %v", file, got, err)
		}
	}
}
