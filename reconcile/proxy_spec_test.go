package reconcile

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

func TestEverySettingOfTheProxyIsInItsContainer(t *testing.T) {
	desired := release.Release{Network: "kamal", RunDirectory: ".kamal", ProxyServer: release.ProxyServer{
		Name: "edge", Image: "basecamp/kamal-proxy:v0.9.2", HTTPPort: 8080, HTTPSPort: 8443, MetricsPort: 9090, Bind: []string{"10.0.0.1", "::1"},
		Publish: true, LogMaxSize: "5m", Debug: true, Options: map[string][]string{"memory": {"536870912"}},
		Labels: map[string]string{"team": "infra"}, Env: map[string]string{"TZ": "UTC"},
	}}
	want := state.Spec{
		Image: "basecamp/kamal-proxy:v0.9.2", Cmd: []string{"kamal-proxy", "run", "--debug", "--metrics-port", "9090"},
		Env: map[string]string{"TZ": "UTC"}, Labels: map[string]string{"team": "infra"}, Network: "kamal", Restart: "unless-stopped",
		Volumes: []string{"edge-config:/home/kamal-proxy/.config/kamal-proxy", "/root/.kamal/proxy/apps-config:/home/kamal-proxy/.apps-config"},
		Options: map[string][]string{"memory": {"536870912"},
			"publish": {"10.0.0.1:8080:80", "[::1]:8080:80", "10.0.0.1:8443:443", "[::1]:8443:443"}},
		LogDriver: "json-file", LogOptions: map[string]string{"max-size": "5m"},
	}
	if diff := cmp.Diff(want, proxySpec(desired, state.Host{Home: "/root"})); diff != "" {
		t.Error(diff)
	}
	desired.ProxyServer = release.ProxyServer{Name: "kamal-proxy", Image: "kamald/proxy:1.0.0", HTTPPort: 80, HTTPSPort: 443}
	if got := proxySpec(desired, state.Host{Home: "/root"}); len(got.Options) != 0 || len(got.Cmd) != 2 || got.LogDriver != "" {
		t.Errorf("a proxy that publishes nothing has %v, %v, %q", got.Options, got.Cmd, got.LogDriver)
	}
}
