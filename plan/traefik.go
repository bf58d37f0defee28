package plan

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// traefikSpec is Traefik's container: its static configuration is its arguments, its routes are in a directory of the host.
func traefikSpec(desired release.Release, seen state.Host) state.Spec {
	server := desired.ProxyServer
	options := maps.Clone(server.Options)
	if options == nil {
		options = map[string][]string{}
	}
	if server.Publish {
		options["publish"] = slices.Concat(published(server.Bind, server.HTTPPort, 80), published(server.Bind, server.HTTPSPort, 443), options["publish"])
	}
	spec := state.Spec{
		Image: server.Image, Cmd: server.TraefikArgs(), Env: server.Env, Labels: server.Labels, Network: desired.Network, Restart: "unless-stopped",
		Volumes: server.TraefikVolumes(seen.RunDir), Options: options,
	}
	if server.LogMaxSize != "" {
		spec.LogDriver, spec.LogOptions = "json-file", map[string]string{"max-size": server.LogMaxSize}
	}
	return spec
}

// proxySwitchable tells of a proxy of the other driver that runs where the file's is to, and holds its ports; or of a Traefik that
// kamald did not make and that reads no files. Nothing can be routed there before `kamald proxy switch`.
func (b *builder) proxySwitchable(host state.Host) bool {
	server := b.in.Desired.ProxyServer
	summary := ""
	switch {
	case !host.Proxy.Running && host.Proxy.Other != "":
		summary = fmt.Sprintf("the proxy there is %s, and the file asks for %s", host.Proxy.Other, server.Name)
	case server.Traefik() && host.Proxy.Running && host.Proxy.Live != nil && !ReadsTraefikFiles(*host.Proxy.Live):
		summary = fmt.Sprintf("the container %s there reads no files of kamald's: Kamal 1 made it, or a hand", host.Proxy.Name)
	default:
		return false
	}
	b.plan.Problems = append(b.plan.Problems, Problem{Host: host.Name, Summary: summary,
		Next: "run `kamald proxy switch`: it moves the routes and says what outage that is; or have the file ask for the proxy that is there"})
	return true
}

// ReadsTraefikFiles tells whether a Traefik has the directory of kamald's files.
func ReadsTraefikFiles(live state.Spec) bool {
	return slices.ContainsFunc(live.Volumes, func(v string) bool { return strings.Contains(v, ":"+state.TraefikMount) })
}
