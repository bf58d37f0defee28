package proxy_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kamald/kamald/drivers/proxy"
	"github.com/kamald/kamald/state"
)

// recorder is an engine that answers with what it was given and keeps what it was asked.
type recorder struct {
	result state.ExecResult
	err    error
	files  []string // what each read gives; the last one from then on
	logs   []string
	argv   [][]string
	left   time.Duration // of the exec's deadline
	reads  int
}

func (r *recorder) Exec(ctx context.Context, _ string, argv []string) (state.ExecResult, error) {
	r.argv = append(r.argv, argv)
	if deadline, ok := ctx.Deadline(); ok {
		r.left = time.Until(deadline)
	}
	return r.result, r.err
}

func (r *recorder) ReadFile(context.Context, string, string) ([]byte, error) {
	i := min(r.reads, len(r.files)-1)
	r.reads++
	if i < 0 {
		return nil, &fs.PathError{Op: "read", Path: "state", Err: fs.ErrNotExist}
	}
	return []byte(r.files[i]), nil
}

func (r *recorder) Logs(context.Context, string, int, time.Time) ([]string, error) {
	return r.logs, nil
}

func plain() state.RouteOptions {
	return state.RouteOptions{
		PathPrefixes: []string{"/"}, StripPathPrefix: true, TLSRedirect: true, ForwardHeaders: true, ResponseTimeout: 30 * time.Second,
		HealthPath: "/up", HealthInterval: time.Second, HealthTimeout: 5 * time.Second, BufferMemory: 1 << 20,
	}
}

func TestTheStateOfKamalProxyIsReadIntoRoutesSortedByName(t *testing.T) {
	data, err := os.ReadFile("testdata/kamal-proxy-v0.9.2.state")
	if err != nil {
		t.Fatal(err)
	}
	got, err := proxy.New(&recorder{files: []string{string(data)}}).Routes(t.Context(), "kamal-proxy")
	if err != nil {
		t.Fatal(err)
	}
	web, web2 := plain(), plain()
	web.StripPathPrefix, web.TLSRedirect = false, false
	web2.Hosts, web2.PathPrefixes = []string{"a.example.com", "b.example.com"}, []string{"/x", "/y"}
	web2.BufferRequests, web2.MaxRequestBody, web2.LogRequestHeaders = true, 77, []string{"X-A"}
	want := []state.Route{
		{Name: "app-web", Targets: []string{"4f2a90c1d3e5:3000"}, Options: web, Paused: true, MaxPause: 30 * time.Second},
		{Name: "app-web2", Targets: []string{"0b1c2d3e4f50:3000"}, Options: web2, Stopped: true, StopMessage: "hi"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("got  %+v\nwant %+v", got, want)
	}
}

func TestTheStateIsReadOnTheHostWhereThatWorksAndThroughTheEngineWhereNot(t *testing.T) {
	const onHost, inside = `[{"name":"host","active_targets":["4f2a90c1d3e5:80"]}]`, `[{"name":"engine","active_targets":["4f2a90c1d3e5:80"]}]`
	for _, c := range []struct {
		name     string
		find     error
		data     string
		read     error
		want     string
		attempts int // at reading on the host, in two calls
	}{
		{name: "readable", data: onHost, want: "host", attempts: 2},
		{name: "half written", data: onHost[:20], want: "engine", attempts: 2},
		{name: "not there", read: fs.ErrNotExist, want: "engine", attempts: 2},
		{name: "forbidden", read: fs.ErrPermission, want: "engine", attempts: 1},
		{name: "on no mount", find: fs.ErrNotExist, want: "engine"},
	} {
		t.Run(c.name, func(t *testing.T) {
			attempts := 0
			d := proxy.New(&recorder{files: []string{inside}}, proxy.WithHostFiles(
				func(_ context.Context, container, path string) (string, error) {
					return "/var/lib/docker/volumes/" + container + path, c.find
				},
				func(_ context.Context, path string) ([]byte, error) {
					attempts++
					if !strings.HasPrefix(path, "/var/lib/docker/volumes/kamal-proxy/") {
						t.Errorf("%s was read on the host", path)
					}
					return []byte(c.data), c.read
				}))
			for range 2 {
				routes, err := d.Routes(t.Context(), "kamal-proxy")
				if err != nil || len(routes) != 1 || routes[0].Name != c.want {
					t.Fatalf("routes: %+v, %v; want that of the %s", routes, err, c.want)
				}
			}
			if attempts != c.attempts {
				t.Errorf("read on the host %d times, want %d", attempts, c.attempts)
			}
		})
	}
}

func TestTheOlderStateWithOneTargetIsRead(t *testing.T) {
	routes, err := proxy.ParseState([]byte(`[{"name":"a","active_target":"4f2a90c1d3e5:80","options":{},"target_options":{}}]`))
	if err != nil || len(routes) != 1 || routes[0].TargetID() != "4f2a90c1d3e5" {
		t.Fatalf("%+v, %v", routes, err)
	}
}

func TestKamalProxysTLSOfAPathIsThatOfTheRootPathAndOursItsOwn(t *testing.T) {
	const one = `{"name":"a","active_targets":["4f2a90c1d3e5:80"],"options":{"hosts":["a.test"],"path_prefixes":["/x"],"tls_enabled":true}`
	for text, want := range map[string]bool{`[` + one + `}]`: false, `[` + one + `,"kamald":{"deploy_timeout":1}}]`: true} {
		routes, err := proxy.ParseState([]byte(text))
		if err != nil || len(routes) != 1 || routes[0].Options.TLS != want || routes[0].Options.TLSRedirect == want {
			t.Errorf("%s: %+v, %v", text, routes, err)
		}
	}
}

func TestReadersRolloutAndWhatIsSetByHandAreRead(t *testing.T) {
	routes, err := proxy.ParseState([]byte(`[{"name":"a","active_targets":["4f2a90c1d3e5:80"],"active_readers":["0b1c2d3e4f50:80"],"rollout_targets":["111111111111:80"],
		"rollout_readers":[],"rollout_controller":{"percentage":30,"percentage_split_point":1.2,"allowlist":["ann"]},
		"options":{"canonical_host":"www.a.test","acme_directory":"https://acme-staging-v02.api.letsencrypt.org/directory","acme_cache_path":"/other","tls_on_demand_url":"/ask","writer_affinity_timeout":0,
		"read_targets_accept_websockets":true,"exclude_metrics_paths":["/up"],"client_ip_header":"X-Real-IP"},"target_options":{"scope_cookie_paths":true}},
		{"name":"b","active_target":"4f2a90c1d3e5:80","rollout_target":"222222222222:80"}]`))
	if err != nil || len(routes) != 2 {
		t.Fatalf("%+v, %v", routes, err)
	}
	a, o := routes[0], routes[0].Options
	if !slices.Equal(a.Readers, []string{"0b1c2d3e4f50:80"}) || !reflect.DeepEqual(a.Rollout, &state.Rollout{Targets: []string{"111111111111:80"}, On: true, Percent: 30, List: []string{"ann"}}) {
		t.Errorf("%+v %+v", a.Readers, a.Rollout)
	}
	if o.CanonicalHost != "www.a.test" || !o.TLSStaging || o.ACMECachePath != "/other" || o.TLSOnDemandURL != "/ask" || o.WriterAffinity != -1 || !o.ReadersTakeWebsockets ||
		!slices.Equal(o.ExcludeMetricsPaths, []string{"/up"}) || o.ClientIPHeader != "X-Real-IP" || !o.ScopeCookiePaths {
		t.Errorf("%+v", o)
	}
	if b := routes[1].Rollout; b == nil || b.On || !slices.Equal(b.Targets, []string{"222222222222:80"}) {
		t.Errorf("a rollout that was stopped: %+v", b)
	}
}

func TestWhatIsSetByHandIsGivenBackOnlyWhereItSaysSomething(t *testing.T) {
	r := &recorder{}
	o := plain()
	o.Hosts = []string{"a.test", "www.a.test"}
	o.TLSStaging, o.TLSOnDemandURL, o.ACMECachePath, o.CanonicalHost, o.WriterAffinity = true, "/ask", "/other", "www.a.test", -1
	o.ReadersTakeWebsockets, o.ScopeCookiePaths, o.ExcludeMetricsPaths, o.ClientIPHeader = true, true, []string{"/up", "/x,y"}, "X-Real-IP"
	route := state.Route{Name: "a", Targets: []string{"4f2a90c1d3e5:80"}, Readers: []string{"0b1c2d3e4f50:80"}, Options: o}
	if err := proxy.New(r).Deploy(t.Context(), "p", route, time.Second, 0); err != nil {
		t.Fatal(err)
	}
	want := []string{"--error-pages=", "--read-target=0b1c2d3e4f50:80", "--tls-staging=true", "--tls-on-demand-url=/ask", "--tls-acme-cache-path=/other", "--canonical-host=www.a.test",
		"--writer-affinity-timeout=0s", "--read-target-websockets=true", "--scope-cookie-paths=true", "--exclude-metrics-path=/up", `--exclude-metrics-path="/x,y"`, "--client-ip-header=X-Real-IP"}
	if got := r.argv[0][len(r.argv[0])-len(want):]; !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestNoStateFileIsNoRoutes(t *testing.T) {
	routes, err := proxy.New(&recorder{}).Routes(t.Context(), "kamal-proxy")
	if err != nil || len(routes) != 0 {
		t.Fatalf("%v, %v", routes, err)
	}
}

func TestATornStateFileIsReadOnceMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{files: []string{`[{"name":"a"`, `[{"name":"a"}]`}}
		routes, err := proxy.New(r).Routes(t.Context(), "kamal-proxy")
		if err != nil || len(routes) != 1 || r.reads != 2 {
			t.Fatalf("%v, %v after %d reads", routes, err, r.reads)
		}
		r = &recorder{files: []string{""}}
		_, err = proxy.New(r).Routes(t.Context(), "kamal-proxy")
		if err == nil || !strings.Contains(err.Error(), "kamal-proxy.state") || r.reads != 2 {
			t.Fatalf("%v after %d reads", err, r.reads)
		}
	})
}

func TestDeployWritesEveryOptionOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{}
		o := plain()
		o.Hosts, o.PathPrefixes = []string{"a.example.com", "b.example.com"}, []string{"/x,y", "/"}
		o.TLS, o.CertificatePath, o.PrivateKeyPath, o.TLSRedirect, o.ForwardHeaders = true, "/c.pem", "/k.pem", false, false
		o.HealthInterval = 200 * time.Millisecond
		o.LogRequestHeaders, o.LogResponseHeaders, o.ErrorPagePath = []string{"X-A"}, []string{"X-B"}, "/pages"
		route := state.Route{Name: "shop-web", Targets: []string{"4f2a90c1d3e5:3000"}, Options: o}
		if err := proxy.New(r).Deploy(t.Context(), "kamal-proxy", route, 30*time.Second, time.Minute); err != nil {
			t.Fatal(err)
		}
		want := []string{
			"kamal-proxy", "deploy", "shop-web", "--target=4f2a90c1d3e5:3000", "--host=a.example.com", "--host=b.example.com",
			`--path-prefix="/x,y"`, "--path-prefix=/", "--strip-path-prefix=true", "--tls=true", "--tls-certificate-path=/c.pem",
			"--tls-private-key-path=/k.pem", "--tls-redirect=false", "--deploy-timeout=30s", "--drain-timeout=1m0s",
			"--target-timeout=30s", "--health-check-path=/up", "--health-check-port=0", "--health-check-host=",
			"--health-check-interval=200ms", "--health-check-timeout=5s", "--forward-headers=false", "--buffer-requests=false",
			"--buffer-responses=false", "--buffer-memory=1048576", "--max-request-body=0", "--max-response-body=0",
			"--log-request-header=X-A", "--log-response-header=X-B", "--error-pages=/pages",
		}
		if len(r.argv) != 1 || !slices.Equal(r.argv[0], want) {
			t.Fatalf("got  %q\nwant %q", r.argv, want)
		}
		if r.left != 100*time.Second {
			t.Fatalf("the deadline is %s, want deploy + drain + 10s", r.left)
		}
	})
}

func TestAFailedDeployGivesTheProxysMessageAndTheReasonFromItsLog(t *testing.T) {
	r := &recorder{
		result: state.ExecResult{Code: 1, Stderr: "Error: target failed to become healthy within configured timeout (3s)\n"},
		logs: []string{
			`{"level":"INFO","msg":"Healthcheck failed","url":"http://4f2a90c1d3e5:3000/up","error":"status 500"}`,
			`{"level":"INFO","msg":"Healthcheck failed","url":"http://ffffffffffff:3000/up","error":"of another"}`,
		},
	}
	err := proxy.New(r).Deploy(t.Context(), "p", state.Route{Name: "w", Targets: []string{"4f2a90c1d3e5:3000"}, Options: plain()}, 3*time.Second, 0)
	want := "proxy p did not take route w to 4f2a90c1d3e5:3000: target failed to become healthy within configured timeout (3s) (status 500)"
	if err == nil || err.Error() != want {
		t.Fatalf("got  %v\nwant %s", err, want)
	}
}

func TestALostConnectionKeepsItsKind(t *testing.T) {
	r := &recorder{err: fmt.Errorf("exec: %w", state.ErrUnreachable)}
	d := proxy.New(r)
	err := d.Deploy(t.Context(), "p", state.Route{Name: "w", Targets: []string{"a:1"}, Options: plain()}, time.Second, 0)
	if !errors.Is(err, state.ErrUnreachable) {
		t.Fatal(err)
	}
	if err := d.Remove(t.Context(), "p", "w"); !errors.Is(err, state.ErrUnreachable) {
		t.Fatal(err)
	}
}

func TestWhatWouldHurtTheProxyIsNotSent(t *testing.T) {
	good := state.Route{Name: "w", Targets: []string{"a:1"}, Options: plain()}
	for name, change := range map[string]func(*state.Route){
		"no target":             func(r *state.Route) { r.Targets = nil },
		"no interval":           func(r *state.Route) { r.Options.HealthInterval = 0 },
		"no health timeout":     func(r *state.Route) { r.Options.HealthTimeout = 0 },
		"a name that is a flag": func(r *state.Route) { r.Name = "--force" },
		"no name":               func(r *state.Route) { r.Name = "" },
	} {
		r, route := &recorder{}, good
		change(&route)
		if err := proxy.New(r).Deploy(t.Context(), "p", route, time.Second, 0); err == nil || len(r.argv) != 0 {
			t.Errorf("%s: %v, sent %q", name, err, r.argv)
		}
	}
}

func TestRemovingWhatIsNotThereIsNoError(t *testing.T) {
	r := &recorder{result: state.ExecResult{Code: 1, Stderr: "Error: service not found\n"}}
	if err := proxy.New(r).Remove(t.Context(), "p", "w"); err != nil {
		t.Fatal(err)
	}
	if want := []string{"kamal-proxy", "remove", "w"}; !slices.Equal(r.argv[0], want) {
		t.Fatalf("got %q", r.argv[0])
	}
	r.result.Stderr = "Error: dial unix /tmp/kamal-proxy.sock: connect: no such file or directory\n"
	err := proxy.New(r).Remove(t.Context(), "p", "w")
	if err == nil || !strings.Contains(err.Error(), "no such file") || strings.Contains(err.Error(), "Error:") {
		t.Fatal(err)
	}
}
