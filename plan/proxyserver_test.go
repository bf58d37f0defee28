package plan_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

func TestEverySettingOfTheProxyIsInItsContainer(t *testing.T) {
	desired := release.Release{Network: "kamal", ProxyServer: release.ProxyServer{
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
	if diff := cmp.Diff(want, plan.ProxySpec(desired, state.Host{RunDir: "/root/.kamal"})); diff != "" {
		t.Error(diff)
	}
	desired.ProxyServer = release.ProxyServer{Name: "kamal-proxy", Image: "kamald/proxy:1.0.0", HTTPPort: 80, HTTPSPort: 443}
	if got := plan.ProxySpec(desired, state.Host{RunDir: "/root/.kamal"}); len(got.Options) != 0 || len(got.Cmd) != 2 || got.LogDriver != "" {
		t.Errorf("a proxy that publishes nothing has %v, %v, %q", got.Options, got.Cmd, got.LogDriver)
	}
}

func TestAProxyThatWasMadeOtherwiseIsNamedAndLeftAlone(t *testing.T) {
	w := released(t, shop()).clone()
	w.desired.ProxyServer.Declared = true
	w.desired.ProxyServer.LogMaxSize, w.desired.ProxyServer.Publish = "10m", true
	w.desired.ProxyServer.HTTPPort, w.desired.ProxyServer.HTTPSPort = 80, 443
	for i := range w.hosts {
		host := &w.hosts[i]
		host.Proxy.Image = w.desired.ProxyServer.Image
		live := plan.ProxySpec(w.desired, *host)
		live.Env, live.Options["expose"] = map[string]string{"PATH": "/bin"}, []string{"80/tcp"} // its image's own
		host.Proxy.Live = &live
	}
	fields := func() (found []string) {
		p := w.plan()
		for _, item := range p.Items {
			if item.Resource != plan.ResourceProxy {
				t.Errorf("%+v", item)
				continue
			}
			for _, f := range item.Fields {
				found = append(found, item.Host+" "+f.Path+": "+f.Before+" → "+f.After)
			}
		}
		if !p.Empty() {
			t.Errorf("a proxy that serves is not left alone: %+v", p.Steps)
		}
		return found
	}
	if got := fields(); len(got) != 0 {
		t.Errorf("as it was asked for: %q", got)
	}
	w.desired.ProxyServer.HTTPPort, w.desired.ProxyServer.LogMaxSize, w.desired.ProxyServer.Debug = 8080, "1m", true
	w.desired.ProxyServer.Options = map[string][]string{"memory": {"536870912"}}
	got := strings.Join(fields(), "\n")
	for _, want := range []string{"web-1 cmd: ", "web-1 log option max-size: 10m → 1m", "web-2 option memory: ", "web-1 option publish: "} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not named:\n%s", want, got)
		}
	}
	w.desired.ProxyServer.Declared = false
	if got := fields(); len(got) != 0 {
		t.Errorf("nothing is asked: %q", got)
	}
}
