package release

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kamald/kamald/state"
)

func TestARolesAssetsAreItsOwnThenTheRoots(t *testing.T) {
	text := least + `asset_path = "/app/public/assets:ro,z"
role "admin" {
  hosts      = ["10.0.0.1"]
  asset_path = "/srv/admin/"
  proxy { path_prefixes = ["/admin"] }
}
role "plain" {
  hosts      = ["10.0.0.1"]
  asset_path = ""
  proxy { path_prefixes = ["/plain"] }
}
role "jobs" { hosts = ["10.0.0.1"] }
`
	r := load(t, in(text, ""))
	got := map[string]*Assets{}
	for _, role := range r.Roles {
		got[role.Name] = role.Assets
	}
	want := map[string]*Assets{"web": {Path: "/app/public/assets", Options: []string{"ro", "z"}}, "admin": {Path: "/srv/admin"}, "plain": nil, "jobs": nil}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	volume := got["web"].Volume("/root/.kamal", state.App{Service: "shop", Destination: "eu"}, state.AssetSet("web", "v1"))
	if volume != "/root/.kamal/apps/shop-eu/assets/volumes/web-v1:/app/public/assets:ro,z" {
		t.Error(volume)
	}
}

func TestAnAssetPathIsAbsoluteAndHasMountOptions(t *testing.T) {
	for path, want := range map[string]string{
		"public":       "absolute path in the image",
		"/":            "absolute path in the image",
		"/a/../b":      "absolute path in the image",
		"/a:Z":         "two versions share these",
		"/a:ro,rw":     `not "ro,rw"`,
		"/a:noexec":    `not "noexec"`,
		"/a:ro:/other": "not",
		"/a:":          "not",
	} {
		_, diags := Load("deploy.hcl", in(least+"asset_path = \""+path+"\"\n", ""))
		if text := diags.Error(); !diags.HasErrors() || !strings.Contains(text, want) {
			t.Errorf("%q: %s, want %q", path, text, want)
		}
	}
}
