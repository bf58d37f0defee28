package release

import (
	"testing"

	"pgregory.net/rapid"
)

func TestANameIsMadeOfAnyText(t *testing.T) {
	for text, want := range map[string][2]string{
		"shop": {"shop", "shop"}, "My Shop": {"my-shop", "my-shop"}, "acme/Shop.App": {"acme-shop-app", "acme/shop.app"},
		"_x_": {"x_", "x"}, "..": {"", ""}, "a..b": {"a-b", "a-b"}, "Ärger": {"rger", "rger"}, "a._b/": {"a-_b", "a-b"},
	} {
		if got := [2]string{ServiceNameFrom(text), RepositoryFrom(text)}; got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.StringMatching(`[a-zA-Z0-9._/ -]{0,12}`)).Draw(t, "text")
		if name := ServiceNameFrom(text); name != "" && (!serviceName.MatchString(name) || ServiceNameFrom(name) != name) {
			t.Fatalf("%q becomes the service %q", text, name)
		}
		if name := RepositoryFrom(text); name != "" && (!repository.MatchString(name) || RepositoryFrom(name) != name) {
			t.Fatalf("%q becomes the repository %q", text, name)
		}
	})
}
