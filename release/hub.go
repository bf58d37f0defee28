package release

import (
	"slices"
	"strings"
)

// hubs are the names of Docker Hub; "" is one, too.
var hubs = []string{"", "docker.io", "index.docker.io", "registry-1.docker.io"}

// hubLibrary is what engines leave out of the names of Docker Hub's own images.
const hubLibrary = "library/"

// OnHub tells whether a registry's server is Docker Hub.
func OnHub(server string) bool { return slices.Contains(hubs, server) }

// ServerOf is the registry that a reference (server/repository:tag) is of; "" is Docker Hub.
func ServerOf(ref string) string {
	server, _, several := strings.Cut(ref, "/")
	if !several || !strings.ContainsAny(server, ".:") && server != "localhost" || OnHub(server) {
		return ""
	}
	return server
}
