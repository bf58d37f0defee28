package plan_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/state"
)

// proxied is a released world whose proxies were made from a proxy_server block of an app.
func proxied(t *testing.T, owner string) *world {
	w := released(t, shop()).clone()
	w.desired.ProxyServer.Image, w.desired.ProxyServer.Declared = "kamald/proxy:1.0.0", true
	w.desired.ProxyServer.Publish, w.desired.ProxyServer.HTTPPort, w.desired.ProxyServer.HTTPSPort = true, 80, 443
	for i := range w.hosts {
		host := &w.hosts[i]
		if host.Proxy.ID == "" {
			continue
		}
		asked := plan.ProxySpec(w.desired, *host)
		live := plan.ProxySpec(w.desired, *host)
		host.Proxy.Image, host.Proxy.Owner, host.Proxy.Asked, host.Proxy.Live = w.desired.ProxyServer.Image, owner, &asked, &live
		host.Proxy.Own, host.Proxy.Version, host.Proxy.Features = true, "1.0.0", []string{"upgrade"}
		host.Proxy.Apps = host.RunDir + "/proxy/apps-config"
	}
	return w
}

func problemsOf(p plan.Plan) string {
	var lines []string
	for _, problem := range p.Problems {
		lines = append(lines, problem.Host+": "+problem.Summary+" → "+problem.Next)
	}
	return strings.Join(lines, "\n")
}

func TestAnotherAppsProxyServerThatAsksForSomethingElseIsAProblemThatNamesBoth(t *testing.T) {
	w := proxied(t, "blog")
	if p := w.plan(); !p.Empty() || len(p.Items) != 0 {
		t.Fatalf("the same is asked for: %s", show(p))
	}
	w.desired.ProxyServer.HTTPPort, w.desired.ProxyServer.Debug = 8080, true
	got := problemsOf(w.plan())
	for _, want := range []string{"web-1: ", "as blog asks for it", "option publish is 80:80", "cmd is", "in the file of blog and run `kamald proxy reboot` there"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not said:\n%s", want, got)
		}
	}
	w.desired.ProxyServer.Declared = false
	if p := w.plan(); !p.Empty() {
		t.Errorf("a file without the block takes the proxy that is there: %s", show(p))
	}
}

func TestTheOwnersOwnChangeWaitsForAReboot(t *testing.T) {
	w := proxied(t, "shop")
	w.desired.ProxyServer.MetricsPort = 9090
	p := w.plan()
	if !p.Empty() || len(p.Items) == 0 || !strings.Contains(p.Items[0].Deferred, "`kamald proxy reboot`") || p.Items[0].Risk != plan.Downtime {
		t.Error(show(p))
	}
}

func TestASettingThatLeftTheFileIsSeenByWhatWasAskedFor(t *testing.T) {
	w := proxied(t, "shop")
	for i := range w.hosts {
		if asked := w.hosts[i].Proxy.Asked; asked != nil {
			asked.Env = map[string]string{"TZ": "UTC"}
		}
	}
	if p := w.plan(); len(p.Items) == 0 || p.Items[0].Fields[0].Path != "env TZ" {
		t.Error(show(p))
	}
}

func TestAKamalProxyThatIsTooOldStopsARelease(t *testing.T) {
	for image, want := range map[string]bool{
		"basecamp/kamal-proxy:v0.8.7": true, "basecamp/kamal-proxy:v0.9.1": true, "registry.test:5000/mirror/kamal-proxy:v0.9.0@sha256:00": true,
		"basecamp/kamal-proxy:v0.9.2": false, "basecamp/kamal-proxy:v0.10.0": false, "basecamp/kamal-proxy:latest": false, "proxy:v0.1.0": false,
	} {
		w := released(t, shop()).clone()
		for i := range w.hosts {
			w.hosts[i].Proxy.Image, w.hosts[i].Proxy.Own = image, false
		}
		got := problemsOf(w.plan())
		if (got != "") != want || want && (!strings.Contains(got, "too old") || !strings.Contains(got, "`kamald proxy reboot`")) {
			t.Errorf("%s: %q", image, got)
		}
	}
}

func TestAProxyOfOursIsUpgradedOnlyForwardAndNeverAgainstItsOwnersWill(t *testing.T) {
	for _, c := range []struct {
		running, owner, wanted string
		declared               bool
		want                   string
	}{
		{"1.0.0", "", "1.1.0", false, "upgrade"},
		{"1.0.0", "shop", "1.1.0", true, "upgrade"},
		{"1.0.0", "shop", "1.1.0", false, ""},        // its own file had a block, which asked for 1.0.0
		{"1.0.0", "blog", "1.1.0", false, ""},        // blog's file asks for 1.0.0
		{"1.0.0", "blog", "1.1.0", true, "problem"},  // two files that disagree
		{"1.2.0", "", "1.1.0", false, ""},            // another machine has a newer kamald
		{"1.2.0", "shop", "1.1.0", true, "deferred"}, // back is asked for: with an outage
		{"1.1.0", "", "1.1.0", false, ""},
	} {
		w := proxied(t, c.owner)
		w.desired.ProxyServer.Image, w.desired.ProxyServer.Declared = "kamald/proxy:"+c.wanted, c.declared
		for i := range w.hosts {
			host := &w.hosts[i]
			host.Proxy.Version = c.running
			if !c.declared {
				host.Proxy.Live = nil
			}
		}
		p, got := w.plan(), ""
		switch {
		case len(p.Problems) > 0:
			got = "problem"
		case slices.ContainsFunc(p.Steps, func(s plan.Step) bool { return s.Kind == plan.StepProxy && s.NewName == "kamald/proxy:"+c.wanted }):
			got = "upgrade"
		case slices.ContainsFunc(p.Items, func(i plan.Item) bool { return i.Resource == plan.ResourceProxy && i.Deferred != "" }):
			got = "deferred"
		}
		if got != c.want {
			t.Errorf("%+v: %q\n%s", c, got, show(p))
		}
	}
}

func TestARouteThatAnotherServiceHasIsAProblemThatNamesIt(t *testing.T) {
	for _, c := range []struct {
		other state.RouteOptions
		want  string
	}{
		{state.RouteOptions{Hosts: []string{"shop.test"}}, `route blog-web has path "/" of shop.test there already`},
		{state.RouteOptions{Hosts: []string{"a.test", "SHOP.test"}, PathPrefixes: []string{"/x", "/"}}, "route blog-web has"},
		{state.RouteOptions{Hosts: []string{"shop.test"}, PathPrefixes: []string{"/blog"}}, ""},
		{state.RouteOptions{Hosts: []string{"blog.test"}}, ""},
		{state.RouteOptions{}, ""}, // any name: the exact one wins
	} {
		w := released(t, shop()).clone()
		w.host("web-1").Proxy.Routes = append(w.host("web-1").Proxy.Routes, state.Route{Name: "blog-web", Targets: []string{"0123456789ab:80"}, Options: c.other})
		got := problemsOf(w.to("v2").plan())
		if c.want == "" && got != "" || !strings.Contains(got, c.want) || c.want != "" && !strings.HasPrefix(got, "web-1: ") {
			t.Errorf("%+v: %q", c.other, got)
		}
	}
}

func TestACertificateThatTheProxysContainerHasNotIsAProblem(t *testing.T) {
	w := proxied(t, "")
	web := &w.desired.Roles[0]
	web.Proxy.Certificate, web.Proxy.PrivateKey, web.Proxy.Options.TLS = "CERT", "KEY", true
	in := func(apps string) string {
		for i := range w.hosts {
			host := &w.hosts[i]
			host.Proxy.Apps = apps
			host.EnvFiles = append(host.EnvFiles, state.EnvFile{Role: state.CertificateName("web"), Digests: map[string]string{"certificate": "a", "private_key": "b"}})
		}
		return problemsOf(w.plan())
	}
	if got := in("/root/.kamal/proxy/apps-config"); got != "" {
		t.Errorf("its own: %s", got)
	}
	if got := in("/home/ann/.kamal/proxy/apps-config"); !strings.Contains(got, "/home/ann/.kamal/proxy/apps-config") || !strings.Contains(got, "/root/.kamal/proxy/apps-config") {
		t.Errorf("another user's: %s", got)
	}
	if got := in(""); !strings.Contains(got, "no directory for certificates") {
		t.Errorf("none: %s", got)
	}
}

func TestWhatAProxyIsToldOfItselfNamesItsOwnerOnlyWhereABlockAsked(t *testing.T) {
	desired := shop()
	desired.Destination = "staging"
	seen := state.Host{RunDir: "/root/.kamal"}
	if got := plan.ProxyLabels(desired, seen); fmt.Sprint(got) != "map[kamald.run_dir:/root/.kamal]" {
		t.Error(got)
	}
	desired.ProxyServer.Declared = true
	got := plan.ProxyLabels(desired, seen)
	spec, err := state.ParseSpec(got[state.LabelSpec])
	if err != nil || got[state.LabelProxyOwner] != "shop-staging" || spec.Image != "proxy:v1" {
		t.Errorf("%v: %v", got, err)
	}
}

func TestAProxyUnderAnothersNameIsNotUpgradedUnasked(t *testing.T) {
	w := proxied(t, "")
	w.desired.ProxyServer.Image, w.desired.ProxyServer.Declared = "kamald/proxy:1.1.0", false
	for i := range w.hosts {
		w.hosts[i].Proxy.Image, w.hosts[i].Proxy.Own, w.hosts[i].Proxy.Version, w.hosts[i].Proxy.Live = "basecamp/kamal-proxy:v0.9.2", true, "v0.9.2", nil
	}
	if p := w.plan(); slices.ContainsFunc(p.Items, func(i plan.Item) bool { return i.Resource == plan.ResourceProxy }) {
		t.Errorf("%s", show(p))
	}
}
