package traefik

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/kamald/kamald/state"
)

// held holds a file to testdata; KAMALD_GOLDEN=1 writes it.
func held(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if os.Getenv("KAMALD_GOLDEN") != "" {
		if err := os.WriteFile(path, got, 0o644); err != nil { //nolint:gosec // a test's file is for all
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is otherwise now (KAMALD_GOLDEN=1 writes it):\n%s", name, got)
	}
}

func TestTheFilesAreWhatTraefiksDocumentationSays(t *testing.T) {
	held(t, "catch-all.yml", catchAll())
	plain := shop("4f2a90c1d3e5:3000")
	plain.Options.Hosts, plain.Options.PathPrefixes = []string{"shop.example.com", "*.shop.example.com"}, []string{"/", "/api"}
	secure := shop("4f2a90c1d3e5:3000")
	secure.Options.TLS, secure.Options.ForwardHeaders = true, false
	secure.Options.CertificatePath, secure.Options.PrivateKeyPath = "/home/kamal-proxy/.apps-config/shop/tls/web/cert.pem", "/home/kamal-proxy/.apps-config/shop/tls/web/key.pem"
	secure.Options.BufferRequests, secure.Options.BufferResponses, secure.Options.BufferMemory, secure.Options.MaxRequestBody = true, true, 1<<20, 40<<20
	acme := shop("4f2a90c1d3e5:3000")
	acme.Options.TLS, acme.Options.ForwardHeaders, acme.Options.TLSRedirect = true, false, false
	several := shop("4f2a90c1d3e5:3000")
	several.Targets = append(several.Targets, "0b1c2d3e4f50:3000")
	for name, c := range map[string]struct {
		route state.Route
		major int
	}{"plain-v2.yml": {plain, 2}, "plain-v3.yml": {plain, 3}, "certificate.yml": {secure, 3}, "acme.yml": {acme, 3}, "several.yml": {several, 3}} {
		data, _, err := render(c.route, c.major)
		if err != nil {
			t.Fatal(err)
		}
		held(t, name, data)
		if err := strictly(data, &document{}); err != nil {
			t.Errorf("%s is no YAML of these fields: %v", name, err)
		}
	}
}

func TestAFileGivesBackTheRouteThatItWasWrittenFor(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text, flag := rapid.String(), rapid.Bool()
		route := state.Route{Name: "shop-web", Targets: rapid.SliceOfN(text, 1, 3).Draw(t, "targets"), Stopped: flag.Draw(t, "stopped"), Options: state.RouteOptions{
			Hosts: rapid.SliceOfN(text, 0, 3).Draw(t, "hosts"), PathPrefixes: rapid.SliceOfN(text, 0, 3).Draw(t, "paths"), TLS: flag.Draw(t, "tls"),
			StripPathPrefix: flag.Draw(t, "strip"), TLSRedirect: flag.Draw(t, "redirect"), CertificatePath: text.Draw(t, "certificate"),
			ResponseTimeout: time.Duration(rapid.Int64Min(0).Draw(t, "timeout")), HealthPath: text.Draw(t, "path")}}
		route.Options = canonical(route.Options)
		data, mark, err := render(route, 3)
		if err != nil {
			if strings.Contains(err.Error(), "template") {
				return
			}
			t.Fatal(err)
		}
		kept, ours, err := parse(data)
		if err != nil || !ours || kept.Mark != mark || !reflect.DeepEqual(kept.Route, route) {
			t.Fatalf("got  %+v, %v\nwant %+v", kept, err, route)
		}
		if bytes.Contains(data, []byte("{{")) {
			t.Fatalf("Traefik runs a template in %s", data)
		}
		if err := strictly(data, &document{}); err != nil {
			t.Fatalf("%v in %s", err, data)
		}
	})
}

// Another file has another mark: a Traefik that still serves by the old one is not taken for one that has the new one.
func TestEveryChangeOfARouteHasAMarkOfItsOwn(t *testing.T) {
	marks := map[string]bool{}
	for _, change := range []func(*state.Route){
		func(*state.Route) {}, func(r *state.Route) { r.Targets = []string{"other:3000"} }, func(r *state.Route) { r.Stopped = true },
		func(r *state.Route) { r.Options.Hosts = nil }, func(r *state.Route) { r.Options.ResponseTimeout = time.Minute },
	} {
		route := shop("4f2a90c1d3e5:3000")
		change(&route)
		_, mark, err := render(route, 3)
		if err != nil {
			t.Fatal(err)
		}
		marks[mark] = true
	}
	if len(marks) != 5 {
		t.Errorf("%d marks of 5 files: %v", len(marks), marks)
	}
}
