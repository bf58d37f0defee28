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
			path.Join(seen.RunDir, "proxy/apps-config") + ":/home/kamal-proxy/.apps-config",
		},
		Options: options,
	}
	if server.LogMaxSize != "" {
		spec.LogDriver, spec.LogOptions = "json-file", map[string]string{"max-size": server.LogMaxSize}
	}
	return spec
}

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

// proxyFields are what the file asks of the proxy and the one that runs was not made with. Without a proxy_server block nothing is
// asked: the one that is there is used.
func proxyFields(desired release.Release, host state.Host) []Field {
	if !desired.ProxyServer.Declared {
		return nil
	}
	var fields []Field
	if host.Proxy.Image != desired.ProxyServer.Image {
		fields = append(fields, Field{Path: "image", Before: host.Proxy.Image, After: desired.ProxyServer.Image})
	}
	if host.Proxy.Live == nil {
		return fields
	}
	asked := ProxySpec(desired, host)
	asked.Network = "" // a network that lacks is attached, without another container
	return append(fields, towards(drift(asked, state.Container{Live: *host.Proxy.Live}, state.Image{}))...)
}
