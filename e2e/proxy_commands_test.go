package e2e

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/kamald/kamald/lab"
)

// The proxy's own commands and the app's maintenance, one after the other on one service; another app is behind the same proxy.
func TestTheProxysCommandsOnRealServers(t *testing.T) {
	f := newFixture(t)
	f.deploy(settings{})
	for _, version := range []string{"v1", "v2"} {
		f.image(version, nil)
	}
	f.must(0, "apply", "--version", "v1")
	f.neighbour()
	for _, part := range []struct {
		name string
		do   func(f *fixture)
	}{
		{"maintenance answers 503 until the app is live", maintenance},
		{"a release in maintenance keeps the 503", releaseInMaintenance},
		{"what a hand has stopped is shown and lifted", stoppedByHand},
		{"a pause holds requests and loses none", pausedRequests},
		{"what the proxy routes is shown", shownRoutes},
		{"a reboot takes the file's settings and keeps every app's routes", rebootedProxy},
		{"a proxy that does not start leaves the old one serving", brokenReboot},
		{"a stopped proxy stays so until it is started", stoppedProxy},
		{"a restart and a boot of what runs change nothing", restartedProxy},
		{"a proxy is removed when no other app needs it", removedProxy},
	} {
		if !t.Run(part.name, func(t *testing.T) { part.do(f.within(t)) }) {
			break // each begins with what the one before has left
		}
	}
}

// answer asks a host's proxy for a name.
func (f *fixture) answer(h *lab.Host, host string) (int, string) {
	f.t.Helper()
	request, err := http.NewRequestWithContext(f.t.Context(), http.MethodGet, "http://"+h.Address+"/", nil)
	if err != nil {
		f.t.Fatal(err)
	}
	request.Host = host
	client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err.Error()
	}
	return response.StatusCode, string(body)
}

// statuses wants statuses of the web hosts and of the neighbour, which is on the first.
func (f *fixture) statuses(first, second, neighbour int) {
	f.t.Helper()
	for _, c := range []struct {
		h    *lab.Host
		host string
		want int
	}{{f.host(1), "shop.example.com", first}, {f.host(2), "shop.example.com", second}, {f.host(1), "blog.example.com", neighbour}} {
		if got, body := f.answer(c.h, c.host); got != c.want {
			f.t.Fatalf("%s answers %d for %s, want %d: %.200s", c.h.Name, got, c.host, c.want, body)
		}
	}
}

// neighbour puts another app behind the proxy of the first host, by the proxy's own command.
func (f *fixture) neighbour() {
	f.t.Helper()
	image := f.lab.Registry.Server + "/acme/shop:v1"
	id := strings.TrimSpace(f.exec(f.host(1), "docker", "run", "-d", "--network", "kamal", "--name", "blog-web-v1", "--label", "service=blog", image))
	f.exec(f.host(1), "docker", "exec", "kamal-proxy", "kamal-proxy", "deploy", "blog-web", "--target="+id[:12]+":3000", "--host=blog.example.com")
	f.statuses(200, 200, 200)
}

func maintenance(f *fixture) {
	f.must(0, "app", "maintenance", "--message", "Back <soon>", "--reason", "migration", "--for", "2h")
	f.statuses(503, 503, 200)
	if _, body := f.answer(f.host(1), "shop.example.com"); !strings.Contains(body, "Back &lt;soon&gt;") {
		f.t.Errorf("the page does not say it: %.300s", body)
	}
	for _, command := range []string{"plan", "drift", "status"} {
		f.says(f.run(command, "--version", "v1"), "route shop-web is in maintenance by ", "migration")
	}
	f.must(0, "app", "live", "--hosts", f.host(2).Name)
	f.statuses(503, 200, 200)
	f.must(0, "app", "live")
	f.statuses(200, 200, 200)
}

func releaseInMaintenance(f *fixture) {
	f.must(0, "app", "maintenance")
	f.must(0, "apply", "--version", "v2")
	f.statuses(503, 503, 200)
	f.wantRunning(f.host(2), "shop-web-v2")
	f.emptyTwice("v2")
	f.must(0, "app", "live")
	f.statuses(200, 200, 200)
}

func stoppedByHand(f *fixture) {
	f.exec(f.host(2), "docker", "exec", "kamal-proxy", "kamal-proxy", "stop", "shop-web")
	f.says(f.must(0, "plan", "--version", "v2"), "nobody told kamald why")
	f.must(0, "apply", "--version", "v2")
	f.statuses(200, 503, 200)
	f.must(0, "app", "live")
	f.statuses(200, 200, 200)
}

func pausedRequests(f *fixture) {
	load := startLoad(f.t, 20, time.Minute, f.host(1), f.host(2))
	f.must(0, "proxy", "pause", "--max-pause", "30s")
	f.says(f.must(0, "status"), "route shop-web is paused")
	f.must(0, "proxy", "resume")
	load.end(f.t)
}

func shownRoutes(f *fixture) {
	f.says(f.must(0, "proxy", "routes"), "shop-web", "blog-web", "blog.example.com", "running")
	f.says(f.must(0, "proxy", "details", "--json"), `"schema": 1`, `"80:80"`, `"running"`)
	f.says(f.must(0, "proxy", "logs", "-n", "20"), f.host(1).Name+" | ")
}

func rebootedProxy(f *fixture) {
	before := f.proxyID(f.host(1))
	f.deploy(settings{root: "proxy_server {\n  log_max_size = \"20m\"\n}\n"})
	f.says(f.must(1, "proxy", "reboot"), "nobody is answered", "--yes")
	f.says(f.must(0, "proxy", "reboot", "-y", "--rolling"), "was made anew")
	f.statuses(200, 200, 200)
	if f.proxyID(f.host(1)) == before {
		f.t.Error("it is the same container")
	}
	size := f.exec(f.host(1), "docker", "inspect", "-f", `{{index .HostConfig.LogConfig.Config "max-size"}}`, "kamal-proxy")
	if strings.TrimSpace(size) != "20m" {
		f.t.Errorf("max-size is %q", size)
	}
	f.onlyProxy(f.host(1))
	f.emptyTwice("v2")
}

// brokenReboot takes an image that is no proxy.
func brokenReboot(f *fixture) {
	before := f.proxyID(f.host(1))
	f.exec(f.host(1), "docker", "tag", f.lab.Registry.Server+"/acme/shop:v2", "acme/no-proxy:v1")
	f.deploy(settings{root: "proxy_server {\n  image = \"acme/no-proxy:v1\"\n}\n"})
	f.says(f.must(1, "proxy", "reboot", "-y", "--hosts", f.host(1).Name), "the old one serves again")
	f.statuses(200, 200, 200)
	if f.proxyID(f.host(1)) != before {
		f.t.Error("it is another container")
	}
	f.onlyProxy(f.host(1))
	f.deploy(settings{root: "proxy_server {\n  log_max_size = \"20m\"\n}\n"})
}

func stoppedProxy(f *fixture) {
	f.must(0, "proxy", "stop", "-y", "--reason", "new cable", "--hosts", f.host(1).Name)
	f.statuses(0, 200, 0)
	f.says(f.must(0, "plan", "--version", "v2"), "stopped on purpose by ", "new cable")
	f.says(f.must(1, "apply", "--version", "v1"), "kamald proxy start --hosts "+f.host(1).Name)
	f.must(0, "proxy", "start")
	f.statuses(200, 200, 200)
}

func restartedProxy(f *fixture) {
	before := f.proxyID(f.host(1))
	f.must(0, "proxy", "restart", "-y", "--rolling")
	f.statuses(200, 200, 200)
	f.says(f.must(0, "proxy", "boot"), "runs already")
	if f.proxyID(f.host(1)) != before {
		f.t.Error("it is another container")
	}
	f.emptyTwice("v2")
}

func removedProxy(f *fixture) {
	f.says(f.must(1, "proxy", "remove", "-y", "--hosts", f.host(1).Name), "blog-web", "--force")
	f.statuses(200, 200, 200)
	f.must(0, "proxy", "remove", "-y", "--hosts", f.host(2).Name)
	f.statuses(200, 0, 200)
	f.must(0, "proxy", "boot")
	f.statuses(200, 200, 200) // its volume has the routes
	f.exec(f.host(1), "docker", "rm", "-f", "blog-web-v1")
}

func (f *fixture) proxyID(h *lab.Host) string {
	f.t.Helper()
	return strings.TrimSpace(f.exec(h, "docker", "inspect", "-f", "{{.Id}}", "kamal-proxy"))
}

// onlyProxy wants nothing to be left of a reboot.
func (f *fixture) onlyProxy(h *lab.Host) {
	f.t.Helper()
	names := strings.Fields(f.exec(h, "docker", "ps", "-a", "--filter", "name=kamal-proxy", "--format", "{{.Names}}"))
	if len(names) != 1 || names[0] != "kamal-proxy" {
		f.t.Errorf("%s has %v", h.Name, names)
	}
}
