package registry

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// Who is trusted, and what goes without TLS, is as the host's engine has it.
func TestARegistryIsAskedAsTheHostsEngineWould(t *testing.T) {
	secure, plain := newStandin(t, true, "v1"), newStandin(t, false, "v1")
	secure.auth, plain.auth = "basic", "basic"
	listed := state.RegistrySettings{Insecure: []string{name}}
	for about, test := range map[string]struct {
		to       *standin
		files    hostFiles
		settings state.RegistrySettings
		server   string
		fails    string
	}{
		"an authority in the engine's directory": {to: secure, files: secure.trusting()},
		"an authority of the host's":             {to: secure, files: hostFiles{bundles[0]: secure.authority()}},
		"an authority of nobody's":               {to: secure, fails: "ca.crt"},
		"one that is damaged":                    {to: secure, files: hostFiles{certsDir + "/" + name + "/ca.crt": "damaged"}, fails: "ca.crt"},
		"another server's authority":             {to: secure, files: hostFiles{certsDir + "/other.example.com/ca.crt": secure.authority()}, fails: "ca.crt"},
		"listed as insecure":                     {to: secure, settings: listed},
		"listed as insecure, without TLS":        {to: plain, settings: listed},
		"in a network that is insecure":          {to: plain, server: "10.0.0.5:5000", settings: state.RegistrySettings{InsecureNets: []string{"10.0.0.0/8"}}},
		"on the host itself":                     {to: plain, server: "127.0.0.1:5000"},
		"on the host itself, by name":            {to: plain, server: "localhost:5000"},
		"without TLS, and not listed":            {to: plain, fails: "insecure-registries"},
		"a private address, and not listed":      {to: plain, server: "10.0.0.5:5000", fails: "insecure-registries"},
		"another one is listed":                  {to: plain, settings: state.RegistrySettings{Insecure: []string{"other.example.com"}}, fails: "insecure-registries"},
	} {
		server := test.server
		if server == "" {
			server = name
		}
		before := plain.requests()
		tags, err := test.to.from(test.files, test.settings, nil).Tags(t.Context(), server+"/acme/shop", release.Auth{Server: server, Username: login.Username, Password: login.Password})
		if test.fails == "" && (err != nil || len(tags) != 1) {
			t.Errorf("%s: %v, %v", about, tags, err)
		}
		if test.fails != "" && (err == nil || !strings.Contains(err.Error(), test.fails)) {
			t.Errorf("%s: %v, %v", about, tags, err)
		}
		if test.fails != "" && plain.requests() != before {
			t.Errorf("%s: it was asked without TLS", about)
		}
	}
}

// A token's server is a place for the password too: it is never asked without TLS for a registry that has it.
func TestATokenIsNotAskedForWithoutTLS(t *testing.T) {
	s, plain := newStandin(t, true, "v1"), newStandin(t, false)
	s.auth, s.realm = "bearer", "http://example.com/token"
	_, err := s.from(s.trusting(), state.RegistrySettings{}, map[string]*standin{"example.com:80": plain}).Tags(t.Context(), repository, login)
	if err == nil || plain.requests() != "" {
		t.Errorf("%v\n%s", err, plain.requests())
	}
	s.auth = ""
	s.before = func(w http.ResponseWriter, r *http.Request) bool {
		http.Redirect(w, r, "http://example.com"+r.URL.Path, http.StatusFound)
		return true
	}
	_, err = s.from(s.trusting(), state.RegistrySettings{}, map[string]*standin{"example.com:80": plain}).Tags(t.Context(), repository, login)
	if err == nil || !strings.Contains(err.Error(), "without TLS") || plain.requests() != "" {
		t.Errorf("%v\n%s", err, plain.requests())
	}
}

func TestARegistryIsAskedThroughTheEnginesProxy(t *testing.T) {
	var asked []string
	refuses := func(_ context.Context, _, address string) (net.Conn, error) {
		asked = append(asked, address)
		return nil, errors.New("refused")
	}
	settings := state.RegistrySettings{HTTPSProxy: "http://xxxxx:xxxxx@proxy.example.com:3128", NoProxy: "inside.example.com"}
	client := New(refuses, Options{Settings: func(context.Context) (state.RegistrySettings, error) { return settings, nil }})
	for _, server := range []string{"registry.example.com", "inside.example.com"} {
		if _, err := client.Tags(t.Context(), server+"/acme/shop", release.Auth{}); err == nil {
			t.Error("nobody answered, and that is no error")
		}
	}
	if got := strings.Join(asked, " "); got != "proxy.example.com:3128 inside.example.com:443" {
		t.Error(got)
	}
}

func TestDockerHubIsAskedWhereItsRegistryIs(t *testing.T) {
	var asked string
	client := New(func(_ context.Context, _, address string) (net.Conn, error) {
		asked = address
		return nil, errors.New("refused")
	}, Options{})
	if _, err := client.Tags(t.Context(), "acme/shop", login); err == nil || asked != "registry-1.docker.io:443" {
		t.Errorf("%s: %v", asked, err)
	}
}

func TestACallEndsWithItsContext(t *testing.T) {
	s := newStandin(t, true, "v1")
	ctx, cancel := context.WithCancel(t.Context())
	s.before = func(_ http.ResponseWriter, r *http.Request) bool { cancel(); <-r.Context().Done(); return true }
	if _, err := s.from(s.trusting(), state.RegistrySettings{}, nil).Tags(ctx, repository, login); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
