package contract

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"time"
)

// logged returns the access log's line for a path.
func (p *proxy) logged(path string) (line map[string]any) {
	p.t.Helper()
	p.eventually("the request is logged", func() bool {
		for text := range strings.SplitSeq(p.host.log(), "\n") {
			var one map[string]any
			if json.Unmarshal([]byte(text), &one) == nil && one["msg"] == "Request" && one["path"] == path {
				line = one
				return true
			}
		}
		return false
	})
	return line
}

// metrics restarts the proxy with metrics and returns a look at them.
func (p *proxy) metrics() func() string {
	p.t.Helper()
	p.restart(false, "--metrics-port", itoa(p.host.inside(metricsPort)))
	return func() string {
		a := sendBy(&http.Client{Timeout: 2 * time.Second}, p.request(http.MethodGet, p.host.address(metricsPort), "/metrics", nil))
		if a.err != nil {
			return ""
		}
		return a.body
	}
}

var metricRows = []behaviour{
	{name: "each request is a line of JSON", does: "POST /x?q=1", expects: "msg Request with host, port, path, query, method, status, service, target, duration, sizes, types, client_addr, request_id, …",
		run: func(p *proxy) {
			target := p.says("hello").address
			p.deploy("app", target, "")
			r := withFields(p.request(http.MethodPost, "app.test", "/logged?q=1", strings.NewReader("body")), "User-Agent: tester", "Content-Type: text/x-test", "X-Request-Id: id-1")
			p.check("POST", p.send(r), 200, "hello")
			line := p.logged("/logged")
			for field, want := range map[string]any{"level": "INFO", "host": "app.test", "query": "q=1", "method": "POST", "status": 200.0,
				"service": "app", "target": target, "req_content_length": 4.0, "req_content_type": "text/x-test", "resp_content_length": 5.0,
				"user_agent": "tester", "proto": "HTTP/1.1", "scheme": "http", "request_id": "id-1", "port": float64(p.host.inside(httpPort))} {
				if line[field] != want {
					p.t.Errorf("%s is %v, want %v", field, line[field], want)
				}
			}
			for _, field := range []string{"time", "duration", "client_addr", "client_port", "remote_addr", "resp_content_type"} {
				if line[field] == nil || line[field] == "" {
					p.t.Errorf("%s is missing: %v", field, line)
				}
			}
		}},
	{name: "header fields can be logged", does: "deploy --log-request-header X-A --log-response-header X-B", expects: "req_x_a and resp_x_b",
		run: func(p *proxy) {
			p.deploy("app", p.app(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-B", "two") }).address, "--log-request-header X-A --log-response-header x-b")
			p.getWith("app.test", "/fields", "X-A: one")
			line := p.logged("/fields")
			equal(p, "req_x_a", line["req_x_a"], any("one"))
			equal(p, "resp_x_b", line["resp_x_b"], any("two"))
		}},
	{name: "a client cannot forge a line", does: "ask for a path with a line break and quotes in it", expects: "one line of JSON",
		run: func(p *proxy) {
			p.serve("app", "")
			p.get("app.test", "/a%0A%7B%22msg%22:%22Request%22%7D")
			p.logged("/a\n{\"msg\":\"Request\"}")
		}},
	{name: "requests that no service takes are logged too", does: "ask an unknown host", expects: "status 404, no service",
		run: func(p *proxy) {
			p.get("nobody.test", "/lost")
			line := p.logged("/lost")
			equal(p, "status", line["status"], any(404.0))
			equal(p, "service", line["service"], any(""))
		}},
	{name: "metrics have kamal-proxy's names", does: "run --metrics-port; GET and FROBNICATE", expects: "kamal_proxy_http_requests_total and _http_request_duration_seconds by service, method, status; _http_in_flight_requests by service",
		run: func(p *proxy) {
			look := p.metrics()
			p.serve("app", "")
			p.wants("app.test", "/", 200, "app")
			p.check("FROBNICATE", p.send(p.request("FROBNICATE", "app.test", "/", nil)), 200, "app")
			p.eventually("the requests are counted", func() bool {
				return strings.Contains(look(), `kamal_proxy_http_requests_total{method="GET",service="app",status="200"} 1`)
			})
			text := look()
			for _, want := range []string{
				`kamal_proxy_http_request_duration_seconds_count\{method="GET",service="app",status="200"\} 1`,
				`kamal_proxy_http_requests_total\{method="(OTHER|other)",service="app",status="200"\} 1`,
				`kamal_proxy_http_in_flight_requests\{service="app"\} 0`,
			} {
				if !regexp.MustCompile(want).MatchString(text) {
					p.t.Errorf("no %s in\n%s", want, lastOf(text, 3000))
				}
			}
		}},
	{name: "metrics are off unless a port is given", does: "run without --metrics-port", expects: "nobody listens there",
		run: func(p *proxy) {
			if p.host.appIP() != "127.0.0.1" {
				return // a published port is always open
			}
			a := sendBy(&http.Client{Timeout: 2 * time.Second}, p.request(http.MethodGet, p.host.address(metricsPort), "/metrics", nil))
			equal(p, "an answer", a.err == nil, false)
		}},
}
