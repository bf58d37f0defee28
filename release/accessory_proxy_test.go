package release

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kamald/kamald/state"
)

const besideProxyText = least + `
proxy {
  hosts            = ["shop.example.com"]
  app_port         = 3000
  response_timeout = "9s"
}
accessory "mail" {
  image   = "mailpit:1"
  hosts   = ["10.0.0.1", "10.0.0.9"]
  proxied = true

  proxy {
    hosts       = ["mail.example.com"]
    app_port    = 8025
    ssl         = true
    certificate = secret("CERT")
    private_key = secret("KEY")
    healthcheck { path = "/livez" }
  }
}
`

func TestAnAccessoryBehindTheProxyIsReadIntoARelease(t *testing.T) {
	r := load(t, in(besideProxyText, ""))
	if len(r.UnbuiltFor("plan")) != 0 {
		t.Errorf("refused: %v", r.Unbuilt)
	}
	a, _ := r.Accessory("mail")
	if a.Proxy == nil {
		t.Fatal("it is not proxied")
	}
	if o := a.Proxy.Options; a.Proxy.AppPort != 8025 || !slices.Equal(o.Hosts, []string{"mail.example.com"}) || o.HealthPath != "/livez" ||
		o.ResponseTimeout != 9*time.Second || !o.TLS {
		t.Errorf("its own is to lie over the root's: port %d, %+v", a.Proxy.AppPort, o)
	}
	role, _ := r.Role(state.AccessoryRole("mail"))
	if got := r.RouteName(role.Name); got != a.Service {
		t.Errorf("the route is %q, want its container's name %q", got, a.Service)
	}
	if got := r.RouteName("web"); got != r.App().RouteName("web") {
		t.Errorf("a role's route is %q", got)
	}
	if got := r.RouteName(state.AccessoryRole("gone")); got != "" {
		t.Errorf("an accessory that is not there has the route %q", got)
	}
	if o := r.RouteOptions(role); o.CertificatePath != AppsConfig+"/"+r.App().String()+"/tls/accessory/mail/cert.pem" || !slices.Equal(role.CertificateSecrets(), []string{"CERT", "KEY"}) {
		t.Errorf("its certificate is %q of the secrets %v", o.CertificatePath, role.CertificateSecrets())
	}
	var behind []string
	for _, one := range r.Proxied() {
		behind = append(behind, one.Name)
	}
	if !slices.Equal(behind, []string{"web", "accessory/mail"}) {
		t.Errorf("behind the proxy are %v", behind)
	}
}

func TestAnAccessoryIsNotProxiedUnlessItSaysSo(t *testing.T) {
	off := strings.Replace(besideProxyText, "proxied = true", "proxied = false", 1)
	if a, _ := load(t, in(off, "")).Accessory("mail"); a.Proxy != nil {
		t.Errorf("proxied = false leaves %+v", a.Proxy)
	}
}

// The app's error pages come and go with its releases, and a reboot of the accessory brings none.
func TestAnAccessorysRouteHasTheProxysOwnErrorPages(t *testing.T) {
	r := load(t, in(besideProxyText, ""))
	r.ErrorPages = map[string]string{"503.html": "soon"}
	for _, role := range r.Proxied() {
		_, beside := state.AccessoryOf(role.Name)
		if has := r.RouteOptions(role).ErrorPagePath != ""; has == beside {
			t.Errorf("%s has the app's error pages: %t", role.Name, has)
		}
	}
}

func TestASharedNameWithPathsOfItsOwnIsTheAccessorysToo(t *testing.T) {
	text := least + "proxy { hosts = [\"shop.example.com\"] }\naccessory \"mail\" {\n image = \"m:1\"\n hosts = [\"10.0.0.1\"]\n proxied = true\n proxy { path_prefixes = [\"/mail\"] }\n}\n"
	a, _ := load(t, in(text, "")).Accessory("mail")
	if o := a.Proxy.Options; !slices.Equal(o.Hosts, []string{"shop.example.com"}) || !slices.Equal(o.PathPrefixes, []string{"/mail"}) {
		t.Errorf("it answers for %v %v", o.Hosts, o.PathPrefixes)
	}
}
