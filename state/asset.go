package state

import "path"

// AssetSet names the files that a role's version has as assets: a directory of this name lies in both of the next.
func AssetSet(role, version string) string { return role + "-" + version }

// AssetVolumes is the directory of what containers have mounted over their assets, below the run directory.
func AssetVolumes(runDir string, app App) string {
	return path.Join(runDir, "apps", app.String(), "assets", "volumes")
}

// AssetOwn is the directory of what each version's image itself has brought.
func AssetOwn(runDir string, app App) string {
	return path.Join(runDir, "apps", app.String(), "assets", "extracted")
}

// AssetSets are the sets of assets that lie on a host, sorted.
type AssetSets struct {
	Own     []string `json:"own,omitempty"`
	Volumes []string `json:"volumes,omitempty"`
}
