package build

import "testing"

func TestAnAddressIsRelativeToTheRemotes(t *testing.T) {
	for _, c := range []struct{ base, address, want string }{
		{"https://example.com/acme/shop.git", "../lib.git", "https://example.com/acme/lib.git"},
		{"https://example.com/acme/shop.git/", "../../other/lib.git", "https://example.com/other/lib.git"},
		{"https://example.com/acme/shop.git", "./lib.git", "https://example.com/acme/shop.git/lib.git"},
		{"git@example.com:acme/shop.git", "../lib.git", "git@example.com:acme/lib.git"},
		{"git@example.com:shop.git", "../lib.git", "git@example.com:lib.git"},
		{"/srv/git/shop", "../lib", "/srv/git/lib"},
		{"/srv/git/shop", "/elsewhere/lib", "/elsewhere/lib"},
		{"/srv/git/shop", "https://example.com/lib", "https://example.com/lib"},
		{"ssh://git@example.com:2222/acme/shop", "../lib", "ssh://git@example.com:2222/acme/lib"},
	} {
		got, err := repository{address: c.base}.resolve(t.Context(), c.address)
		if got != c.want || err != nil {
			t.Errorf("%s from %s: got %s %v, want %s", c.address, c.base, got, err, c.want)
		}
	}
	if got, err := (repository{address: "shop"}).resolve(t.Context(), "../../lib"); err == nil {
		t.Errorf("above everything: %s", got)
	}
}

func TestAnAddressIsShownWithoutAPassword(t *testing.T) {
	for address, want := range map[string]string{
		"https://user:hunter2@example.com/lib.git": "https://example.com/lib.git",
		"https://hunter2@example.com/lib.git":      "https://example.com/lib.git",
		"git@example.com:acme/lib.git":             "git@example.com:acme/lib.git",
		"/srv/lib":                                 "/srv/lib",
	} {
		if got := withoutPassword(address); got != want {
			t.Errorf("%s: got %s", address, got)
		}
	}
}
