package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

// The daemon's API, dashboard and metrics say of real servers what is there, to whoever may know.
func TestADaemonsConsole(t *testing.T) {
	f := newFixture(t)
	f.image("v1", nil)
	f.deploy(settings{root: "version = \"v1\"", more: keeps})
	f.must(0, "apply")
	web, metrics := freePort(t), freePort(t)
	token := "a-token-for-this-test-and-no-other"
	sum := sha256.Sum256([]byte(token))
	file := f.bastion(fmt.Sprintf("source \"file\" { path = %q }", filepath.Join(f.dir, "deploy.hcl")), "")
	listens := fmt.Sprintf("token \"ci\" {\n hash = \"sha256:%s\"\n role = \"operate\"\n}\nmetrics { listen = %q }\nlisten {\n http = %q\n", hex.EncodeToString(sum[:]), metrics, web)
	f.rewrite("bastion/kamald.hcl", strings.NewReplacer("listen {", listens, ".sock\" }", ".sock\"\n}"))
	d := f.drives("-f", file)
	defer d.end()
	f.exec(f.host(1), "docker", "rm", "-f", "shop-web-v1")
	f.eventually("it is healed", func() bool { return serves(f.host(1), "v1") && d.status().kinds() == "" })

	for _, c := range []struct {
		path, token string
		status      int
		says        string
	}{
		{"http://" + web + "/readyz", "", 200, ""},
		{"http://" + web + "/v1/apps", "", 401, ""},
		{"http://" + web + "/v1/apps", "another", 401, ""},
		{"http://" + web + "/v1/apps", token, 200, `"service":"shop"`},
		{"http://" + web + "/v1/apps/shop/drift", token, 200, `"healed"`},
		{"http://" + web + "/v1/apps/shop/logs?host=h1&container=shop-web-v1&lines=5", token, 200, ""},
		{"http://" + web + "/v1/apps/shop/logs?host=h1&container=kamal-proxy&lines=5", token, 404, ""},
		{"http://" + metrics + "/metrics", "", 200, `kamald_heals_total{app="shop",outcome="succeeded"} 1`},
		{"http://" + metrics + "/metrics", "", 200, `kamald_hosts{app="shop",state="reachable"} 3`},
	} {
		status, body := get(t, c.path, c.token)
		if status != c.status || !strings.Contains(strings.ReplaceAll(body, ": ", ":"), c.says) {
			t.Errorf("%s: %d, want %d with %q in:\n%.2000s", c.path, status, c.status, c.says, body)
		}
		if strings.Contains(body, canary) {
			t.Errorf("%s shows a secret", c.path)
		}
	}
	status, _ := get(t, "http://"+web+"/", "")
	if status != http.StatusSeeOther && status != http.StatusFound && status != http.StatusOK {
		t.Errorf("the dashboard answers %d", status)
	}
}

func get(t *testing.T, url, token string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

// freePort is an address of this machine that nobody listens at now.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// A new bastion whose store is empty knows from the servers what is held, and releases nothing by itself.
func TestANewBastionDeploysNothing(t *testing.T) {
	onlyLong(t) // the loop's own tests play it on simulated servers
	f := newFixture(t)
	f.image("v1", nil)
	f.image("v2", nil)
	f.deploy(settings{root: "version = \"v1\"", more: keeps})
	f.must(0, "apply")
	f.store = filepath.Join(f.dir, "another.db")
	f.rewrite("deploy.hcl", strings.NewReplacer("version = \"v1\"", "version = \"v2\"", `interval = "1m"`, `interval = "2s"`))
	d := f.drives()
	defer d.end()
	f.eventually("it says what waits", func() bool { return d.status().kinds() == "approval" && d.status().Round.Number > 4 })
	if s := d.status(); s.Held == nil || s.Held.Version != "v1" {
		t.Errorf("held is %+v", s.Held)
	}
	f.wantRunning(f.host(1), "shop-web-v1")
	f.wantLatest("v1")
	f.must(0, "approve")
	f.eventually("what was approved is released", func() bool { s := d.status(); return s.Held != nil && s.Held.Version == "v2" })
	f.wantLatest("v2")
}
