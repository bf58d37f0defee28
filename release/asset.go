package release

import (
	"path"
	"slices"
	"strings"

	"github.com/kamald/kamald/state"
)

// Assets are files that the image brings and browsers ask for by names of their version: each version's are given to the other
// while both serve.
type Assets struct {
	Path    string   `json:"path"`              // where the image has them
	Options []string `json:"options,omitempty"` // of the mount over it: ro, rw, z
}

// Volume is the volume that a role's container of a version has over its assets, for a host where the run directory is at an
// absolute path.
func (a Assets) Volume(runDir string, app state.App, set string) string {
	volume := path.Join(state.AssetVolumes(runDir, app), set) + ":" + a.Path
	if len(a.Options) > 0 {
		volume += ":" + strings.Join(a.Options, ",")
	}
	return volume
}

// assetOptions are what may be said of the mount. There is no Z: a label of one container's own would take the files from the other.
var assetOptions = []string{"ro", "rw", "z"}

// compileAssets reads a role's asset_path, else the root's. Only what the proxy sends requests to has any: they are for browsers.
func (c *compiler) compileAssets(b *block, proxied bool) *Assets {
	v := b.get("asset_path")
	if !v.set() {
		v = c.root.get("asset_path")
	}
	if v == nil || !v.set() || v.unknown || v.text() == "" {
		return nil
	}
	where, options, given := strings.Cut(v.text(), ":")
	assets := Assets{Path: path.Clean(where)}
	if given {
		assets.Options = strings.Split(options, ",")
	}
	switch {
	case !path.IsAbs(where) || assets.Path == "/" || slices.Contains(strings.Split(where, "/"), ".."):
		c.errorf(v.rng, "Bad path", "asset_path is an absolute path in the image, such as \"/app/public/assets:ro\", not %q.", v.text())
	case slices.Contains(assets.Options, "Z"):
		c.errorf(v.rng, "Bad mount option", "Z labels files for one container alone, and two versions share these: write z.")
	case slices.ContainsFunc(assets.Options, func(o string) bool { return !slices.Contains(assetOptions, o) }),
		slices.Contains(assets.Options, "ro") && slices.Contains(assets.Options, "rw"):
		c.errorf(v.rng, "Bad mount option", "After the path of asset_path there may be :ro, :rw and z, with a comma between, not %q.", options)
	}
	if !proxied {
		return nil
	}
	return &assets
}
