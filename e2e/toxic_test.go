package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// toxic is a bad line between kamald and one host's sshd.
type toxic struct {
	t     *testing.T
	proxy *toxiproxy.Proxy
}

// toxicLine makes a line to a host, good as yet, and gives the host's lines of deploy.hcl that lead over it.
func (f *fixture) toxicLine(n int) (*toxic, string) {
	f.t.Helper()
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	h := f.host(n)
	proxy := toxiproxy.NewProxy(server, h.Name, "127.0.0.1:0", net.JoinHostPort(h.Address, "22"))
	if err := proxy.Start(); err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(proxy.Stop)
	_, port, err := net.SplitHostPort(proxy.Listen)
	if err != nil {
		f.t.Fatal(err)
	}
	known, err := os.ReadFile(f.lab.KnownHosts)
	if err != nil {
		f.t.Fatal(err)
	}
	config, keys := h.Name+".ssh", h.Name+".known"
	f.write(config, fmt.Sprintf("Host %s\n  HostName 127.0.0.1\n  Port %s\n", h.Address, port), 0o600)
	f.write(keys, strings.ReplaceAll(string(known), h.Address+" ", "[127.0.0.1]:"+port+" "), 0o600)
	return &toxic{f.t, proxy}, fmt.Sprintf("  keepalive = \"1s\"\n  config = [%q]\n  known_hosts = [%q]", config, keys)
}

// add makes the line worse, both ways. The attributes are toxiproxy's: milliseconds, bytes, KB/s.
func (x *toxic) add(kind string, attributes map[string]int) {
	x.t.Helper()
	for _, way := range []string{"upstream", "downstream"} {
		data, err := json.Marshal(map[string]any{"type": kind, "stream": way, "attributes": attributes})
		if err != nil {
			x.t.Fatal(err)
		}
		if _, err := x.proxy.Toxics.AddToxicJson(strings.NewReader(string(data))); err != nil {
			x.t.Fatal(err)
		}
	}
}

// heal makes the line good again.
func (x *toxic) heal() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	x.proxy.Toxics.ResetToxics(ctx)
}

// lines are bad lines.
func lines(w *worst) []disaster {
	return []disaster{
		{"slow and broken into slices", true, []int{1, 2}, func(f *fixture, version string) {
			x, lines := f.toxicLine(2)
			s := w.settings()
			s.hosts[1] = lines
			f.deploy(s)
			x.add("latency", map[string]int{"latency": 50, "jitter": 20}) // a round trip is twice that
			x.add("slicer", map[string]int{"average_size": 200, "size_variation": 100, "delay": 50})
			x.add("bandwidth", map[string]int{"rate": 200})
			f.must(0, "apply", "--version", version)
			f.deploy(w.settings())
		}},
		{"connections reset", true, []int{1, 2}, func(f *fixture, version string) {
			x, lines := f.toxicLine(2)
			s := w.settings()
			s.hosts[1] = lines
			f.deploy(s)
			p := f.begin("apply", "--version", version)
			p.hears("create shop-web-", 2)
			x.add("reset_peer", map[string]int{"timeout": 0})
			time.Sleep(300 * time.Millisecond)
			x.heal()
			f.endedWell(p.wait(), f.host(2))
			f.stands(1, 2, 3)
			f.deploy(w.settings())
		}},
		{"line that swallows everything", false, []int{1, 2}, func(f *fixture, version string) {
			x, lines := f.toxicLine(2)
			s := w.settings()
			s.hosts[1] = lines
			f.deploy(s)
			p := f.begin("apply", "--version", version)
			p.hears("create shop-web-", 2)
			x.add("timeout", map[string]int{"timeout": 0})
			f.endedWell(p.wait(), f.host(2))
			f.stands(1, 3)
			f.deploy(w.settings())
		}},
	}
}
