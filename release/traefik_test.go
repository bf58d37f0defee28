package release

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

const withTraefik = "proxy_server {\n  driver = \"traefik\"\n  image  = \"traefik:v3.1\"\n%s}\n"

func traefikServer(t *testing.T, more string) Release {
	t.Helper()
	return load(t, in(least+strings.ReplaceAll(withTraefik, "%s", more), ""))
}

func TestTraefikIsReadIntoARelease(t *testing.T) {
	r := traefikServer(t, "  args = { accesslog = false, \"tracing.otlp.http.headers\" = [\"a=1\", \"b=2\"], \"Log.Level\" = \"WARN\" }\n")
	s := r.ProxyServer
	if !s.Traefik() || s.Name != "traefik" || s.Image != "traefik:v3.1" || len(r.Unbuilt) > 0 {
		t.Fatalf("%+v, not built %v", s, r.Unbuilt)
	}
	args := s.TraefikArgs()
	for _, want := range []string{"--accesslog=false", "--tracing.otlp.http.headers=a=1", "--tracing.otlp.http.headers=b=2", "--log.level=WARN",
		"--providers.file.directory=/etc/traefik/kamald", "--providers.file.watch=true", "--entrypoints.http.address=:80",
		"--entrypoints.https.address=:443", "--entrypoints.kamald.address=:8199", "--ping.manualrouting=true", "--log.format=json"} {
		if !slices.Contains(args, want) {
			t.Errorf("no %s in %v", want, args)
		}
	}
	if !reflect.DeepEqual(args, s.TraefikArgs()) {
		t.Errorf("in no order: %v", args)
	}
	for _, arg := range args {
		if strings.HasPrefix(arg, "--providers.docker") || strings.HasPrefix(arg, "--accesslog=true") {
			t.Errorf("%s among them", arg)
		}
	}
	if got := load(t, in(least, "")).ProxyServer; got.Driver != "" || got.Name != "kamal-proxy" {
		t.Errorf("without a block: %+v", got)
	}
	if got := traefikServer(t, "  name = \"edge\"\n").ProxyServer.Name; got != "edge" {
		t.Errorf("named %s", got)
	}
}

func TestDebugAndMetricsAreArgumentsOfTraefik(t *testing.T) {
	args := traefikServer(t, "  debug = true\n  metrics_port = 9100\n").ProxyServer.TraefikArgs()
	for _, want := range []string{"--log.level=DEBUG", "--entrypoints.metrics.address=:9100", "--metrics.prometheus=true", "--metrics.prometheus.entrypoint=metrics"} {
		if !slices.Contains(args, want) {
			t.Errorf("no %s in %v", want, args)
		}
	}
}

// Where nothing is asked for, a role has only what Traefik can do; what is asked for and can be done is kept.
func TestARolesDefaultsAreTraefiksWhereItIsTheProxy(t *testing.T) {
	o := traefikServer(t, "").Roles[0].Proxy.Options
	if o.BufferRequests || o.BufferResponses || len(o.LogRequestHeaders) > 0 || !o.ForwardHeaders {
		t.Errorf("%+v", o)
	}
	text := "proxy {\n  buffering {\n    requests = true\n    responses = true\n    max_request_body = \"1m\"\n  }\n}\n"
	o = load(t, in(least+text+strings.ReplaceAll(withTraefik, "%s", ""), "")).Roles[0].Proxy.Options
	if !o.BufferRequests || !o.BufferResponses || o.MaxRequestBody != 1<<20 {
		t.Errorf("%+v", o)
	}
	if o := load(t, in(least, "")).Roles[0].Proxy.Options; !o.BufferRequests || len(o.LogRequestHeaders) == 0 {
		t.Errorf("the other proxy's: %+v", o)
	}
}

func TestATraefikOlderThanItsOldestIsRefused(t *testing.T) {
	for tag, taken := range map[string]bool{
		":v3.1": true, ":3": true, ":2": true, ":v2.11": true, ":2.11.4": true, ":v2.12-alpine": true, ":v10.0": true, "": false,
		":v2.10": false, ":v2.0": false, ":2.9.1": false, ":v1.7": false, ":latest": false,
	} {
		if traefikTag.MatchString("traefik"+tag) != taken {
			t.Errorf("traefik%s: taken should be %v", tag, taken)
		}
	}
}
