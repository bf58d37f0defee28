package proxy_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	upgradeLabel     = "kamald.test=proxy-upgrade"
	upgradeContainer = "kamald-test-proxy-upgrade"
)

func TestAnUpgradeInTheContainerLosesNoRequestOfThePublishedPortAndOutlastsARestart(t *testing.T) {
	address, app := startUpgradable(t)
	execIn := func(args ...string) string {
		t.Helper()
		return docker(t, append([]string{"exec", upgradeContainer, "kamal-proxy"}, args...)...)
	}
	execIn("deploy", "shop-web", "--target", app+":3000", "--host", "shop.example.com", "--health-check-interval", "100ms")
	load := startClients(t, address)
	for _, version := range []string{"v2", "v3"} {
		binary := build(t, proxyProgram, version)
		docker(t, "cp", binary, upgradeContainer+":/usr/local/bin/kamal-proxy.new")
		docker(t, "cp", binary+".version", upgradeContainer+":/usr/local/bin/kamal-proxy.new.version")
		seen := load.total.Load()
		if out := execIn("upgrade", "--binary", "/usr/local/bin/kamal-proxy.new", "--drain-timeout", "5s"); !strings.Contains(out, " to "+version+"\n") {
			t.Errorf("upgrade printed %q", out)
		}
		load.more(t, seen+50)
	}
	total, failed := load.end()
	t.Logf("%d requests through the published port", total)
	if len(failed) > 0 {
		t.Errorf("%d of %d requests failed, the first: %v", len(failed), total, failed[0])
	}
	check := func() {
		t.Helper()
		if out := execIn("version"); !strings.HasPrefix(out, "v3") {
			t.Errorf("the program on disk is %q", out)
		}
		data, err := dockerEngine{}.ReadFile(t.Context(), upgradeContainer, "/home/kamal-proxy/.config/kamal-proxy/kamald-proxy.json")
		var about struct {
			Version, Build, SHA256 string
			Features               []string
		}
		if err != nil || json.Unmarshal(data, &about) != nil || about.Version != "v3" || about.Build != "build-v3" || len(about.SHA256) != 64 {
			t.Errorf("kamald-proxy.json says %s, %v", data, err)
		}
	}
	check()
	if running := strings.TrimSpace(docker(t, "inspect", "--format", "{{.State.Running}} {{.RestartCount}}", upgradeContainer)); running != "true 0" {
		t.Errorf("the container is %s", running)
	}
	docker(t, "restart", upgradeContainer)
	check()
	address = strings.TrimSpace(docker(t, "port", upgradeContainer, "80/tcp"))
	if status, body := get(t, address); status != 200 || body != app {
		t.Errorf("after the restart: %d %q", status, body)
	}
}

// startUpgradable starts a proxy of version v1 and an app, and gives the proxy's port here and the app's name.
func startUpgradable(t *testing.T) (address, app string) {
	t.Helper()
	if out, err := exec.Command("docker", "version", "--format", "{{.Server.Version}}").CombinedOutput(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("this test needs a Docker engine: %s", out)
		}
		t.Skip("NOT RUN: there is no Docker engine on this machine")
	}
	images := []string{"kamald/proxy:test-upgrade", "kamald/proxy:test-upgrade-app"}
	clean := func() {
		for _, id := range strings.Fields(docker(t, "ps", "-aq", "--filter", "label="+upgradeLabel)) {
			docker(t, "rm", "-f", "-v", id)
		}
		for _, id := range strings.Fields(docker(t, "network", "ls", "-q", "--filter", "label="+upgradeLabel)) {
			docker(t, "network", "rm", id)
		}
		for _, image := range images {
			if exec.Command("docker", "image", "inspect", image).Run() == nil {
				docker(t, "rmi", "-f", image)
			}
		}
	}
	clean()
	t.Cleanup(clean)
	load(t, images[0], proxyProgram)
	load(t, images[1], "./testdata/app")
	docker(t, "network", "create", "--label", upgradeLabel, upgradeContainer)
	app = strings.TrimSpace(docker(t, "run", "-d", "--name", upgradeContainer+"-app", "--label", upgradeLabel, "--network", upgradeContainer, images[1]))[:12]
	docker(t, "run", "-d", "--name", upgradeContainer, "--label", upgradeLabel, "--network", upgradeContainer, "--publish", "127.0.0.1::80", images[0])
	return strings.TrimSpace(docker(t, "port", upgradeContainer, "80/tcp")), app
}

// clients ask without a pause on kept and on new connections, and never ask twice.
type clients struct {
	wg     sync.WaitGroup
	cancel context.CancelFunc
	total  atomic.Int64
	mu     sync.Mutex
	failed []error
}

func startClients(t *testing.T, address string) *clients {
	ctx, cancel := context.WithCancel(t.Context())
	c := &clients{cancel: cancel}
	for i := range 6 {
		c.wg.Go(func() {
			var conn net.Conn
			var r *bufio.Reader
			for ctx.Err() == nil {
				var err error
				if conn == nil {
					if conn, err = net.Dial("tcp", address); err == nil {
						r = bufio.NewReader(conn)
					}
				}
				closes := true
				if err == nil {
					closes, err = ask(conn, r, i%2 == 0)
				}
				if err != nil {
					c.mu.Lock()
					c.failed = append(c.failed, err)
					c.mu.Unlock()
				}
				c.total.Add(1)
				if conn != nil && (closes || err != nil) {
					_ = conn.Close()
					conn = nil
				}
				time.Sleep(3 * time.Millisecond)
			}
		})
	}
	return c
}

func ask(conn net.Conn, r *bufio.Reader, keep bool) (closes bool, err error) {
	_ = conn.SetDeadline(time.Now().Add(90 * time.Second))
	connection := "keep-alive"
	if !keep {
		connection = "close"
	}
	if _, err := fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: shop.example.com\r\nConnection: %s\r\n\r\n", connection); err != nil {
		return true, err
	}
	response, err := http.ReadResponse(r, nil)
	if err != nil {
		return true, err
	}
	if _, err := io.Copy(io.Discard, response.Body); err != nil || response.StatusCode != http.StatusOK {
		return true, fmt.Errorf("status %d, %w", response.StatusCode, err)
	}
	return response.Close || !keep, nil
}

// more waits until so many requests were answered.
func (c *clients) more(t *testing.T, total int64) {
	t.Helper()
	for range 2000 {
		if c.total.Load() >= total {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("no more requests pass")
}

func (c *clients) end() (total int64, failed []error) {
	c.cancel()
	c.wg.Wait()
	return c.total.Load(), c.failed
}
