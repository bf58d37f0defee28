package reconcile

import (
	"path"
	"strconv"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// layout knows where things lie on a server (design: what lies on a server). Paths are relative to the SSH user's home
// unless the run directory is absolute.
type layout struct {
	run string // .kamal
	app state.App
}

func layoutOf(r release.Release) layout { return layout{run: r.RunDirectory, app: r.App()} }

func (l layout) appDir() string  { return path.Join(l.run, "apps", l.app.String()) }
func (l layout) ours() string    { return path.Join(l.appDir(), "kamald") }
func (l layout) key() string     { return path.Join(l.ours(), "key") }
func (l layout) fence() string   { return path.Join(l.ours(), "fence") }
func (l layout) plans() string   { return path.Join(l.ours(), "plans") } // a mark for each saved plan that was used
func (l layout) cancel() string  { return path.Join(l.ours(), "cancel") }
func (l layout) records() string { return path.Join(l.ours(), "releases") }
func (l layout) record(n int) string {
	return path.Join(l.records(), strconv.Itoa(n)+".json")
}
func (l layout) env(role string) string {
	if accessory, is := state.AccessoryOf(role); is {
		return path.Join(l.appDir(), "env", "accessories", accessory+".env")
	}
	return path.Join(l.appDir(), "env", "roles", role+".env")
}
func (l layout) envJSON(role string) string { return l.env(role) + ".json" }
func (l layout) appsConfig() string         { return path.Join(l.run, "proxy", "apps-config") }
func (l layout) certificate(role string) (certificate, key string) {
	return release.CertificateFiles(l.appsConfig(), l.app, role)
}

// certificateNote says how a role's certificate was written, and whether the proxy has been told.
func (l layout) certificateNote(role string) string {
	return path.Join(l.ours(), "certificates", role+".json")
}
func (l layout) errorPages() string   { return release.ErrorPagesDir(l.appsConfig(), l.app) }
func (l layout) ownAssets() string    { return state.AssetOwn(l.run, l.app) }
func (l layout) assetVolumes() string { return state.AssetVolumes(l.run, l.app) }
func (l layout) lock() string         { return path.Join(l.run, "lock-"+l.app.String()) }
func (l layout) lockDetails() string  { return path.Join(l.lock(), "details") }
func (l layout) audit() string        { return path.Join(l.run, l.app.String()+"-audit.log") }

// absolute resolves a path on a host whose home is known.
func absolute(home, p string) string {
	if path.IsAbs(p) {
		return p
	}
	return path.Join(home, p)
}
