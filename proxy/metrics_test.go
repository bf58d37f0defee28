package proxy

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// startMetered starts a proxy that serves metrics, with limits.
func startMetered(t *testing.T, l Limits) *fixture {
	t.Helper()
	c := proxyConfig(t)
	c.MetricsPort, c.Limits = -1, l
	return startProxyWith(t, c)
}

// scrape returns the metrics that begin with one of the prefixes, a line each.
func (f *fixture) scrape(prefixes ...string) string {
	f.t.Helper()
	resp, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/metrics", f.metricsHTTP.port()))
	if err != nil {
		f.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		f.t.Fatalf("%d, %v", resp.StatusCode, err)
	}
	var lines []string
	for line := range strings.Lines(string(body)) {
		for _, prefix := range prefixes {
			if strings.HasPrefix(line, prefix) {
				lines = append(lines, line)
			}
		}
	}
	return strings.Join(lines, "")
}

func TestMetricsCountRequestsByServiceSideMethodAndStatus(t *testing.T) {
	f := startMetered(t, Limits{})
	target := backend(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/missing" {
			w.WriteHeader(http.StatusNotFound)
		}
	})
	req := deployRequest("app", target, "app.test")
	req.Options.ExcludeMetricsPaths = []string{"/quiet"}
	f.deploy(req)
	for range 3 {
		f.expect("app.test", "/", 200, "")
	}
	f.expect("app.test", "/missing", 404, "")
	f.expect("app.test", "/quiet", 200, "")
	f.do(f.request("BREW", "app.test", "/", nil))
	f.do(f.request("PROPFIND", "app.test", "/", nil))
	for i := range 5 {
		f.expect(fmt.Sprintf("unknown%d.test", i), "/", 404, "")
	}
	want := `kamal_proxy_http_in_flight_requests{service="app"} 0
kamal_proxy_http_requests_total{method="GET",service="app",status="200"} 3
kamal_proxy_http_requests_total{method="GET",service="app",status="404"} 1
kamal_proxy_http_requests_total{method="OTHER",service="app",status="200"} 2
kamald_proxy_requests_total{service="",side="",status_class="4xx"} 5
kamald_proxy_requests_total{service="app",side="active",status_class="2xx"} 5
kamald_proxy_requests_total{service="app",side="active",status_class="4xx"} 1
kamald_proxy_target_healthy{service="app",target="` + target + `"} 1
kamald_proxy_target_in_flight_requests{service="app",target="` + target + `"} 0
`
	// A request is counted after its answer has gone.
	eventually(t, "the requests are counted", func() bool {
		return f.scrape("kamal_proxy_http_requests_total", "kamal_proxy_http_in", "kamald_proxy_requests_total", "kamald_proxy_target") == want
	})
	for prefix, pattern := range map[string]string{
		"kamald_proxy_build_info":                         `^kamald_proxy_build_info\{go_version="go[^"]+",version="[^"]+"\} 1\n$`,
		"kamald_proxy_log_lines_lost_total":               ` 0\n$`,
		"kamald_proxy_connections ":                       ` [1-9][0-9]*\n$`,
		"kamal_proxy_http_request_duration_seconds_count": `(?m)^.*\{method="GET",service="app",status="200"\} 3$`,
		"kamald_proxy_request_duration_seconds_count":     `\{service="app",side="active"\} 6\n$`,
		"process_resident_memory_bytes":                   ` [0-9.e+]+\n$`,
	} {
		if got := f.scrape(prefix); !regexp.MustCompile(pattern).MatchString(got) {
			t.Errorf("%s: %q does not match %s", prefix, got, pattern)
		}
	}
	if err := f.remove("app"); err != nil {
		t.Fatal(err)
	}
	if got := f.scrape("kamal_proxy_http_requests_total", "kamald_proxy_target"); got != "" {
		t.Errorf("after the removal: %s", got)
	}
}

func TestMetricsCountRetriesAndCutDrains(t *testing.T) {
	f := startMetered(t, Limits{})
	arrived := make(chan struct{}, 4)
	app := backend(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			arrived <- struct{}{}
			<-r.Context().Done()
		}
	})
	req := deployRequest("app", app, "app.test")
	req.Targets, req.Force = []string{nobody(t), app}, true
	req.TargetOptions.HealthCheckConfig.Interval = patience
	f.deploy(req)
	for range 4 {
		f.expect("app.test", "/", 200, "")
	}
	if got := f.scrape("kamald_proxy_retries_total"); !regexp.MustCompile(`\{service="app"\} [1-4]\n`).MatchString(got) {
		t.Errorf("retries: %q", got)
	}
	slow := make(chan int, 1)
	go func() {
		status, _ := f.get("app.test", "/slow")
		slow <- status
	}()
	receive(t, "the slow request", arrived)
	next := deployRequest("app", backend(t, says("new")), "app.test")
	next.DrainTimeout = 0
	f.deploy(next)
	if status := receive(t, "its answer", slow); status != http.StatusGatewayTimeout {
		t.Errorf("the cut request got %d", status)
	}
	if got := f.scrape("kamald_proxy_drain_cut_total"); got != "kamald_proxy_drain_cut_total{service=\"app\"} 1\n" {
		t.Errorf("cut: %q", got)
	}
}

func TestTheMetricsPortAnswersForTheProxysHealth(t *testing.T) {
	f := startMetered(t, Limits{})
	req := deployRequest("app", backend(t, says("fine")), "app.test")
	f.deploy(req)
	get := func() (int, string) {
		resp, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/healthz", f.metricsHTTP.port()))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(body)
	}
	if status, body := get(); status != 200 || !strings.Contains(body, `"status":"serving"`) || !strings.Contains(body, `"services":1`) {
		t.Errorf("%d %s", status, body)
	}
	f.stopped.Do(func() { close(f.ending) })
	if status, body := get(); status != http.StatusServiceUnavailable || !strings.Contains(body, `"stopping"`) {
		t.Errorf("while it stops: %d %s", status, body)
	}
}
