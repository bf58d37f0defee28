package registry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/http/httpproxy"
	oras "oras.land/oras-go/v2/registry"
	"oras.land/oras-go/v2/registry/remote/retry"

	"github.com/kamald/kamald/state"
)

// patience is how often a registry that is busy or out of order is asked again: a person waits, and may ask again.
var patience retry.Policy = &retry.GenericPolicy{Retryable: retry.DefaultPredicate, Backoff: retry.DefaultBackoff,
	MinWait: 200 * time.Millisecond, MaxWait: 3 * time.Second, MaxRetry: 2}

// certsDir is where an engine finds the authorities of a registry: a directory of each.
const certsDir = "/etc/docker/certs.d"

// bundles are where systems keep the authorities that they trust; the first that is there counts.
var bundles = []string{"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem"}

// way is one way to ask a registry.
type way struct {
	plain    bool           // without TLS
	insecure bool           // the host's engine takes it as it is
	roots    *x509.CertPool // nil: this machine's
	bundled  bool           // roots have what the host trusts
	proxy    httpproxy.Config
}

// way is the first that is tried: over TLS, trusting whom this machine trusts and whom the host's engine trusts for that registry.
func (c *Client) way(ctx context.Context, ref oras.Reference, settings state.RegistrySettings) *way {
	w := &way{insecure: insecure(ref.Registry, settings),
		proxy: httpproxy.Config{HTTPProxy: withoutUser(settings.HTTPProxy), HTTPSProxy: withoutUser(settings.HTTPSProxy), NoProxy: settings.NoProxy}}
	w.roots = c.trusted(ctx, ref.Registry)
	return w
}

// other is the next way after one has failed, nil when there is none: with what the host itself trusts, or without TLS where the
// host's engine does that too.
func (c *Client) other(ctx context.Context, w way, err error) *way {
	switch {
	case ctx.Err() != nil || answered(err):
		return nil
	case w.insecure && !w.plain:
		w.plain = true
		return &w
	case untrusted(err) && !w.insecure && !w.bundled:
		w.roots, w.bundled = c.bundle(ctx, w.roots), true
		if w.roots != nil {
			return &w
		}
	}
	return nil
}

// trusted are this machine's authorities and those that the host's engine has for a registry; nil where it has none.
func (c *Client) trusted(ctx context.Context, registry string) *x509.CertPool {
	if c.o.Files == nil {
		return nil
	}
	dir := path.Join(certsDir, registry)
	names, err := c.o.Files.List(ctx, dir)
	if err != nil {
		return nil // what cannot be looked at is trusted by nobody, and the registry's certificate is refused then
	}
	var pool *x509.CertPool
	for _, name := range names {
		if !strings.HasSuffix(name, ".crt") {
			continue
		}
		if data, err := c.o.Files.Read(ctx, path.Join(dir, name)); err == nil {
			pool = with(pool, data)
		}
	}
	return pool
}

// bundle adds the authorities that the host trusts; nil when none are found.
func (c *Client) bundle(ctx context.Context, pool *x509.CertPool) *x509.CertPool {
	if c.o.Files == nil {
		return nil
	}
	for _, file := range bundles {
		if data, err := c.o.Files.Read(ctx, file); err == nil && len(data) > 0 {
			return with(pool, data)
		}
	}
	return nil
}

func with(pool *x509.CertPool, data []byte) *x509.CertPool {
	if pool == nil {
		var err error
		if pool, err = x509.SystemCertPool(); err != nil {
			pool = x509.NewCertPool()
		}
	}
	pool.AppendCertsFromPEM(data)
	return pool
}

// insecure tells whether the host's engine takes a registry without TLS. Engines do so for loopback addresses unasked.
func insecure(registry string, settings state.RegistrySettings) bool {
	if slices.Contains(settings.Insecure, registry) {
		return true
	}
	host := registry
	if name, _, err := net.SplitHostPort(registry); err == nil {
		host = name
	}
	if host == "localhost" {
		return true
	}
	address, err := netip.ParseAddr(strings.Trim(host, "[]"))
	if err != nil {
		return false
	}
	return address.IsLoopback() || slices.ContainsFunc(settings.InsecureNets, func(text string) bool {
		network, err := netip.ParsePrefix(text)
		return err == nil && network.Contains(address)
	})
}

// withoutUser is a proxy's address without its login, which an engine masks.
func withoutUser(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.User == nil {
		return address
	}
	u.User = nil
	return u.String()
}

func (c *Client) transport(w way) *http.Transport {
	config := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: w.roots, InsecureSkipVerify: w.insecure} // as the host's engine does
	find := w.proxy.ProxyFunc()
	return &http.Transport{
		DialContext: c.dial, Proxy: func(r *http.Request) (*url.URL, error) { return find(r.URL) },
		TLSClientConfig: config, ForceAttemptHTTP2: true, TLSHandshakeTimeout: 10 * time.Second,
		ResponseHeaderTimeout: 20 * time.Second, MaxResponseHeaderBytes: 64 << 10,
	}
}

// guard lets nothing go out without TLS that the host's engine would not send so: not after a redirect either, nor to a server of
// tokens.
type guard struct {
	next  http.RoundTripper
	plain bool
}

func (g *guard) client() *http.Client { return &http.Client{Transport: g} }

// RoundTrip implements http.RoundTripper.
func (g *guard) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme != "https" && !g.plain {
		return nil, fmt.Errorf("%s is asked without TLS, and the host's engine does not list it as insecure", r.URL.Host)
	}
	return g.next.RoundTrip(r)
}
