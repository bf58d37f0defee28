package proxy

import (
	"cmp"
	"context"
	"crypto/tls"
	"log/slog"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
)

// ACMEConfig says where certificates come from that no service has files for.
type ACMEConfig struct {
	Directory string // of services that name none; empty is Let's Encrypt
	CARoot    string // file of PEM certificates that the authority's own HTTPS is checked against; empty is the system's
	Email     string // where the authority may write to

	renewEvery  time.Duration   // how often a renewal is thought of; 0 is the library's 10 minutes
	renewWindow float64         // share of a certificate's life left at which it is renewed; 0 is the library's third
	retries     []time.Duration // none is obtainRetries
}

// challengePorts is where the authority's challenges arrive, as this process sees it.
type challengePorts struct {
	bind        string
	http, https int
}

// authorityKey names an authority and where its certificates are kept. Those of two directories never mix.
type authorityKey struct{ directory, storage string }

// certificates obtains, renews and serves the certificates of services that have no files for them.
type certificates struct {
	log          *slog.Logger
	defaultStore string
	permission   *permission
	routes       func() routeTable

	config ACMEConfig // not changed after it is made

	mu          sync.RWMutex
	ports       challengePorts
	ctx         context.Context // nil before start and after stop
	cancel      context.CancelFunc
	loops       sync.WaitGroup
	authorities map[authorityKey]*authority
	managed     map[string]*managedHost // by host
}

func newCertificates(log *slog.Logger, statePath string, routes func() routeTable) *certificates {
	return &certificates{
		log:          log,
		defaultStore: filepath.Join(filepath.Dir(statePath), "certs"),
		permission:   newPermission(),
		routes:       routes,
		authorities:  map[authorityKey]*authority{},
		managed:      map[string]*managedHost{},
	}
}

// start begins to obtain what services want. Before it, certificates at hand are served already.
func (c *certificates) start(ports challengePorts) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ports = ports
	c.ctx, c.cancel = context.WithCancel(context.Background())
	for _, m := range c.managed {
		c.launch(m)
	}
}

// stop ends what is under way. What is at hand is still served. It may be called twice.
func (c *certificates) stop() {
	c.mu.Lock()
	if c.ctx == nil {
		c.mu.Unlock()
		return
	}
	c.cancel()
	c.ctx = nil
	for _, m := range c.managed {
		m.stored = m.pair(c.authorities[m.key])
	}
	authorities := c.authorities
	c.authorities = map[authorityKey]*authority{}
	c.mu.Unlock()
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.loops.Wait()
		for _, a := range authorities {
			a.cache.Stop()
		}
	}()
	timer := time.NewTimer(2 * time.Second) // a renewal may be waiting for the network
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	}
}

// sync takes over what the services want now. It waits for nobody but the disk. Certificates of hosts that nobody wants any
// more are no longer renewed; their files stay.
func (c *certificates) sync(table routeTable) {
	wanted := map[string]*managedHost{}
	for host := range table {
		r, dep, ok := table.tlsRoute(host)
		if !ok || dep.certificate != nil || !isExact(host) {
			continue
		}
		wanted[host] = newManagedHost(host, r.service.name, c.keyOf(dep.options), false)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for host, m := range c.managed {
		now, ok := wanted[host]
		if r, dep, found := table.tlsRoute(host); !ok && found && m.onDemand && isOnDemand(dep, host) {
			now, ok = newManagedHost(host, r.service.name, c.keyOf(dep.options), true), true
		}
		if ok && now.key == m.key && now.onDemand == m.onDemand {
			m.service = now.service
			delete(wanted, host)
			continue
		}
		c.drop(m)
	}
	for _, m := range wanted {
		c.adopt(m)
	}
}

// adopt begins with a host. c.mu is held.
func (c *certificates) adopt(m *managedHost) {
	m.stored = readStored(m.key, m.host)
	c.managed[m.host] = m
	if c.ctx != nil {
		c.launch(m)
	}
}

// drop ends the management of a host. c.mu is held.
func (c *certificates) drop(m *managedHost) {
	delete(c.managed, m.host)
	if m.cancel != nil {
		m.cancel()
	}
	if a := c.authorities[m.key]; a != nil {
		a.cache.RemoveManaged([]certmagic.SubjectIssuer{{Subject: m.host}})
	}
}

// launch starts to obtain or renew a host's certificate. c.mu is held.
func (c *certificates) launch(m *managedHost) {
	ctx, cancel := context.WithCancel(c.ctx)
	m.cancel = cancel
	a := c.authority(m.key)
	c.loops.Go(func() { c.keep(ctx, m, a) })
}

// authority returns the one of a key, made when it is first needed. c.mu is held.
func (c *certificates) authority(key authorityKey) *authority {
	a := c.authorities[key]
	if a == nil {
		a = newAuthority(c, key)
		c.authorities[key] = a
	}
	return a
}

// keyOf says where the options' certificates come from and are kept.
func (c *certificates) keyOf(o ServiceOptions) authorityKey {
	return authorityKey{
		directory: cmp.Or(o.ACMEDirectory, c.config.Directory, certmagic.LetsEncryptProductionCA),
		storage:   cmp.Or(o.ACMECachePath, c.defaultStore),
	}
}

// automatic returns the certificate for a handshake. Of hosts with an on-demand URL it may have to be obtained first.
func (c *certificates) automatic(hello *tls.ClientHelloInfo, r route, dep *deployment) (*tls.Certificate, error) {
	host := requestHost(hello.ServerName)
	if pair := c.atHand(host); pair != nil {
		return pair, nil
	}
	if isOnDemand(dep, host) {
		return c.onDemand(hello.Context(), host, r, dep)
	}
	return nil, errNoCertificateYet(host)
}

// atHand returns the certificate in memory, nil when there is none.
func (c *certificates) atHand(host string) *tls.Certificate {
	c.mu.RLock()
	defer c.mu.RUnlock()
	m := c.managed[host]
	if m == nil {
		return nil
	}
	return m.pair(c.authorities[m.key])
}

// promises tells whether a handshake for the host can be expected to succeed.
func (c *certificates) promises(host string, dep *deployment) bool {
	return c.atHand(host) != nil || isOnDemand(dep, host)
}

func (c *certificates) infos(service string, now time.Time) []CertificateInfo {
	c.mu.RLock()
	defer c.mu.RUnlock()
	infos := []CertificateInfo{}
	for _, m := range c.managed {
		if service == "" || m.service == service {
			infos = append(infos, m.info(c.authorities[m.key], now))
		}
	}
	return infos
}

// challenges answers an authority's HTTP-01 challenges for hosts whose certificates are ours to obtain, before anything else
// sees them. Others are the app's, which may well have an ACME client of its own.
func (c *certificates) challenges(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, challengePath) {
			for _, a := range c.running() {
				if a.issuer.HandleHTTPChallenge(w, r) {
					return
				}
			}
		}
		next.ServeHTTP(w, r)
	})
}

// challengeCertificate answers an authority's TLS-ALPN-01 handshake.
func (c *certificates) challengeCertificate(hello *tls.ClientHelloInfo, o ServiceOptions) (*tls.Certificate, error) {
	key := c.keyOf(o)
	for _, a := range c.running() {
		if a.key == key {
			return a.config.GetCertificate(hello)
		}
	}
	return nil, nil
}

func (c *certificates) running() []*authority {
	c.mu.RLock()
	defer c.mu.RUnlock()
	running := make([]*authority, 0, len(c.authorities))
	for _, a := range c.authorities {
		running = append(running, a)
	}
	return running
}

func isExact(host string) bool { return host != "" && !strings.HasPrefix(host, "*.") }

// isOnDemand tells whether a host of a deployment's is one whose certificate is obtained when it is asked for. The hosts that
// were named at the deploy are not: that they were is permission enough.
func isOnDemand(dep *deployment, host string) bool {
	return dep.certificate == nil && dep.options.TLSOnDemandURL != "" && !slices.Contains(dep.options.Hosts, host)
}
