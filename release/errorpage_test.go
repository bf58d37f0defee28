package release

import (
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"
)

// pagesIn is options with a directory of pages beside the file.
func pagesIn(text string, pages map[string]string) Options {
	opts := in(text, "")
	file := opts.ReadFile
	opts.ReadFile = func(name string) ([]byte, error) {
		if page, ok := strings.CutPrefix(name, "public/"); ok {
			if text, there := pages[page]; there {
				return []byte(text), nil
			}
		}
		return file(name)
	}
	opts.ReadDir = func(dir string) ([]string, error) {
		if dir == "public" && pages != nil {
			return slices.Sorted(maps.Keys(pages)), nil
		}
		if dir == "public" {
			return nil, fs.ErrNotExist
		}
		return nil, nil
	}
	return opts
}

const withPages = least + "error_pages_path = \"public\"\n"

func TestErrorPagesArePartOfTheRelease(t *testing.T) {
	pages := map[string]string{"404.html": "none", "503.html": "later", "index.html": "x", "406-old.html": "x", "600.html": "x"}
	r := load(t, pagesIn(withPages, pages))
	if got := slices.Sorted(maps.Keys(r.ErrorPages)); !slices.Equal(got, []string{"404.html", "503.html"}) {
		t.Errorf("it has %q", got)
	}
	path := r.RouteOptions(r.Roles[0]).ErrorPagePath
	if path != "/home/kamal-proxy/.apps-config/shop/error_pages/"+r.ErrorPageSet() || len(r.ErrorPageSet()) != 16 {
		t.Error(path)
	}
	pages["404.html"] = "nothing"
	other := load(t, pagesIn(withPages, pages))
	if other.ErrorPageSet() == r.ErrorPageSet() || Digest(other) == Digest(r) {
		t.Error("other pages are the same release")
	}
	if plain := load(t, in(least, "")); plain.ErrorPageSet() != "" || plain.RouteOptions(plain.Roles[0]).ErrorPagePath != "" {
		t.Error("a release without pages names some")
	}
}

func TestErrorPagesThatCannotBeAreRefused(t *testing.T) {
	for want, opts := range map[string]Options{
		"There is no directory":            pagesIn(withPages, nil),
		"for they are kept with every":     pagesIn(withPages, map[string]string{"404.html": strings.Repeat("x", errorPageBytes+1)}),
		"is not UTF-8":                     pagesIn(withPages, map[string]string{"404.html": "\xff\xfe"}),
		"not there with Traefik: it takes": pagesIn(withPages+"proxy_server { driver = \"traefik\" }\n", map[string]string{"404.html": "x"}),
	} {
		if _, diags := Load("deploy.hcl", opts); !diags.HasErrors() || !strings.Contains(diags.Error(), want) {
			t.Errorf("%s, want %q", diags.Error(), want)
		}
	}
	if r, diags := Load("deploy.hcl", pagesIn(withPages, map[string]string{"index.html": "x"})); diags.HasErrors() || !strings.Contains(diags.Error(), "has a name such as 404.html") || r.ErrorPageSet() != "" {
		t.Errorf("a directory without pages: %s", diags.Error())
	}
	if diags := Validate("deploy.hcl", pagesIn(withPages, nil)); diags.HasErrors() {
		t.Errorf("validate reads no other files: %s", diags.Error())
	}
}
