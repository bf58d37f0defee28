package release

import (
	"slices"
	"strings"
	"testing"

	"github.com/kamald/kamald/state"
)

func TestACertificateIsReadIntoItsRole(t *testing.T) {
	r := load(t, in(least+`proxy {
  hosts       = ["shop.example.com"]
  ssl         = true
  certificate = secret("CERTIFICATE_PEM")
  private_key = secret("PRIVATE_KEY_PEM")
}
`, ""))
	role := r.Roles[0]
	if got := role.CertificateSecrets(); !slices.Equal(got, []string{"CERTIFICATE_PEM", "PRIVATE_KEY_PEM"}) {
		t.Errorf("secrets: %v", got)
	}
	o := r.RouteOptions(role)
	if !o.TLS || o.ForwardHeaders || o.CertificatePath != "/home/kamal-proxy/.apps-config/shop/tls/web/cert.pem" || o.PrivateKeyPath != "/home/kamal-proxy/.apps-config/shop/tls/web/key.pem" {
		t.Errorf("%+v", o)
	}
	if len(r.UnbuiltFor("plan")) != 0 {
		t.Errorf("refused: %v", r.Unbuilt)
	}
}

func TestWithoutSSLACertificateIsForNothing(t *testing.T) {
	r := load(t, in(least+"proxy {\n ssl = false\n certificate = secret(\"A\")\n private_key = secret(\"B\")\n}\n", ""))
	if role := r.Roles[0]; len(role.CertificateSecrets()) != 0 || r.RouteOptions(role).CertificatePath != "" {
		t.Errorf("%+v", role.Proxy)
	}
}

func TestTheFilesOfADestinationAreItsOwn(t *testing.T) {
	cert, key := CertificateFiles(".kamal/proxy/apps-config", state.App{Service: "shop", Destination: "staging"}, "web")
	if cert != ".kamal/proxy/apps-config/shop-staging/tls/web/cert.pem" || key != ".kamal/proxy/apps-config/shop-staging/tls/web/key.pem" {
		t.Error(cert, key)
	}
}

func TestWhatSSLLacksIsSaid(t *testing.T) {
	for text, want := range map[string]string{
		`ssl = true`: "ssl needs proxy hosts",
		"ssl = true\nhosts = [\"a.example.com\"]\npath_prefixes = [\"/api\"]":                               "takes the TLS settings of all paths of a name from whoever has its root path",
		"ssl = true\nhosts = [\"*.example.com\"]":                                                           "needs certificate and private_key",
		"certificate = secret(\"A\")\nprivate_key = secret(\"B\")":                                          "has no effect without ssl = true",
		"ssl = true\nhosts = [\"a.example.com\"]\ncertificate = secret(\"A\")\nprivate_key = secret(\"A\")": "are both the secret",
		"ssl = true\nhosts = [\"*.example.com\"]\ncertificate = secret(\"A\")\nprivate_key = secret(\"B\")": "",
		"ssl = true\nhosts = [\"a.example.com\"]\npath_prefixes = [\"/\", \"/api\"]":                        "",
		"hosts = [\"a.example.com\"]\npath_prefixes = [\"/api\"]\nssl_redirect = false":                     "",
	} {
		if got := said(in(least+"proxy {\n"+text+"\n}\n", ""), Options{}); want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s: said %q, want %q", text, got, want)
		}
	}
}

func TestSSLByACMENamesTheHostsThatAreTooMany(t *testing.T) {
	got := said(in("service = \"shop\"\nimage = \"a/b\"\nrole \"web\" { hosts = [\"h1\", \"h2\"] }\nproxy {\n ssl = true\n hosts = [\"a.example.com\"]\n}\n", ""), Options{})
	if !strings.Contains(got, "(h1, h2)") {
		t.Error(got)
	}
}
