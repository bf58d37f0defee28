package release

import (
	"strings"

	"golang.org/x/mod/semver"
)

// OwnProxy is the repository of the proxy that kamald makes itself.
const OwnProxy = "kamald/proxy"

// MinimumKamalProxy is the oldest kamal-proxy that takes every option that kamald gives it, as for Kamal.
const MinimumKamalProxy = "v0.9.2"

// ProxyImage splits the reference of a proxy's image into what it is, kamal-proxy or OwnProxy or "" for neither, and its tag.
func ProxyImage(ref string) (kind, tag string) {
	ref, _, _ = strings.Cut(ref, "@")
	name, tag, _ := strings.Cut(ref[strings.LastIndex(ref, "/")+1:], ":")
	switch {
	case strings.HasPrefix(ref, OwnProxy+":"):
		return OwnProxy, tag
	case name == "kamal-proxy":
		return name, tag
	}
	return "", tag
}

// Older tells whether a version is less than another; false when one of them is no version, such as a tag "latest".
func Older(version, than string) bool {
	a, b := semantic(version), semantic(than)
	return semver.IsValid(a) && semver.IsValid(b) && semver.Compare(a, b) < 0
}

func semantic(version string) string { return "v" + strings.TrimPrefix(version, "v") }
