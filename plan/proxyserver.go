package plan

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// ProxySpec is the proxy's container as Kamal makes it (kamal-facts: 3.13).
func ProxySpec(desired release.Release, seen state.Host) state.Spec {
	server := desired.ProxyServer
	if server.Traefik() {
		return traefikSpec(desired, seen)
	}
	cmd := []string{"kamal-proxy", "run"}
	if server.Debug {
		cmd = append(cmd, "--debug")
	}
	if server.MetricsPort > 0 {
		cmd = append(cmd, "--metrics-port", strconv.Itoa(server.MetricsPort))
	}
	options := map[string][]string{}
	for name, values := range server.Options {
		options[name] = values
	}
	if server.Publish {
		options["publish"] = slices.Concat(published(server.Bind, server.HTTPPort, 80), published(server.Bind, server.HTTPSPort, 443), options["publish"])
	}
	spec := state.Spec{
		Image: server.Image, Cmd: cmd, Env: server.Env, Labels: server.Labels, Network: desired.Network, Restart: "unless-stopped",
		Volumes: []string{
			server.Name + "-config:/home/kamal-proxy/.config/kamal-proxy",
			appsConfigOf(seen) + ":" + release.AppsConfig,
		},
		Options: options,
	}
	if server.LogMaxSize != "" {
		spec.LogDriver, spec.LogOptions = "json-file", map[string]string{"max-size": server.LogMaxSize}
	}
	return spec
}

// appsConfigOf is the host's directory that the proxy's container has certificates and error pages from.
func appsConfigOf(host state.Host) string { return path.Join(host.RunDir, "proxy/apps-config") }

func published(bind []string, host, container int) []string {
	if len(bind) == 0 {
		return []string{fmt.Sprintf("%d:%d", host, container)}
	}
	var list []string
	for _, address := range bind {
		if strings.Contains(address, ":") {
			address = "[" + address + "]"
		}
		list = append(list, fmt.Sprintf("%s:%d:%d", address, host, container))
	}
	return list
}

// proxyFields are what the file asks of the proxy and the one that runs was not made with, or is not any more. Without a
// proxy_server block nothing is asked: the one that is there is used.
func proxyFields(desired release.Release, host state.Host) []Field {
	if !desired.ProxyServer.Declared {
		return nil
	}
	var fields []Field
	if running := runningImage(host.Proxy); running != desired.ProxyServer.Image {
		fields = append(fields, Field{Path: "image", Before: running, After: desired.ProxyServer.Image})
	}
	asked := ProxySpec(desired, host)
	asked.Network = "" // a network that lacks is attached, without another container
	if made := host.Proxy.Asked; made != nil {
		before := *made
		before.Network, before.Image = "", asked.Image
		fields = append(fields, diff(before, asked)...)
	}
	if host.Proxy.Live == nil {
		return fields
	}
	for _, f := range towards(drift(asked, state.Container{Live: *host.Proxy.Live}, state.Image{})) {
		if !slices.ContainsFunc(fields, func(other Field) bool { return other.Path == f.Path }) {
			fields = append(fields, f)
		}
	}
	return fields
}
