package proxy

import (
	"context"
	"crypto/tls"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
)

// obtainRetries are the waits after failed attempts; the last one goes on. Let's Encrypt takes five failures an hour for one
// name, and no more: these make five in the first hour.
var obtainRetries = []time.Duration{
	time.Minute, 5 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 6 * time.Hour,
}

// managedHost is a host whose certificate comes from an authority.
type managedHost struct {
	host     string
	service  string // guarded by the lock of certificates
	key      authorityKey
	onDemand bool
	stored   *tls.Certificate // what the storage had at the beginning; guarded by the lock of certificates
	cancel   context.CancelFunc
	tried    chan struct{} // closed after the first attempt

	mu        sync.Mutex
	lastError error
	nextTry   time.Time
}

func newManagedHost(host, service string, key authorityKey, onDemand bool) *managedHost {
	return &managedHost{host: host, service: service, key: key, onDemand: onDemand, tried: make(chan struct{})}
}

// keep obtains the host's certificate, until it is there or ctx ends. Renewals are the authority's.
func (c *certificates) keep(ctx context.Context, m *managedHost, a *authority) {
	for attempt := 0; ; attempt++ {
		err := a.obtain(ctx, m.host)
		if ctx.Err() != nil {
			c.dropLate(m.host, a)
			return
		}
		if err == nil {
			c.permission.succeeded(m.host)
			m.finishFirst(attempt)
			return
		}
		if m.onDemand {
			c.giveUp(m, err)
			m.finishFirst(attempt)
			return
		}
		wait := c.retryAfter(attempt, err)
		m.note(err, time.Now().Add(wait))
		a.log.Error("Certificate not obtained", "host", m.host, "error", err, "next_try_in", wait.String())
		m.finishFirst(attempt)
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

// serveStored serves what an attempt has just put into the storage. The library, before it does, asks for an OCSP response,
// and that may take its time.
func (c *certificates) serveStored(host string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if m := c.managed[host]; m != nil && m.stored == nil {
		m.stored = readStored(m.key, host)
	}
}

// dropLate takes away what an attempt has brought after its host was dropped, so that it is not renewed.
func (c *certificates) dropLate(host string, a *authority) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.managed[host] == nil {
		a.cache.RemoveManaged([]certmagic.SubjectIssuer{{Subject: host}})
	}
}

func (c *certificates) retryAfter(attempt int, err error) time.Duration {
	waits := c.config.retries
	if len(waits) == 0 {
		waits = obtainRetries
	}
	wait := waits[min(attempt, len(waits)-1)]
	if isRateLimited(err) {
		wait = max(wait, time.Hour)
	}
	return wait
}

// note keeps why a host's certificate could not be renewed, nil when it could.
func (c *certificates) note(host string, err error) {
	c.mu.RLock()
	m := c.managed[host]
	c.mu.RUnlock()
	if m != nil {
		m.note(err, time.Time{})
	}
}

func (m *managedHost) note(err error, next time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lastError, m.nextTry = err, next
}

func (m *managedHost) finishFirst(attempt int) {
	if attempt == 0 {
		close(m.tried)
	}
}

// pair returns the certificate to serve, nil when there is none. The lock of certificates is held.
func (m *managedHost) pair(a *authority) *tls.Certificate {
	if a != nil {
		if p := a.lookup(m.host); p != nil {
			return p
		}
	}
	return m.stored
}

func (m *managedHost) info(a *authority, now time.Time) CertificateInfo {
	m.mu.Lock()
	defer m.mu.Unlock()
	i := CertificateInfo{Host: m.host, Source: "acme", State: CertificateObtaining, Directory: m.key.directory}
	if m.onDemand {
		i.Source = "on-demand"
	}
	if m.lastError != nil {
		i.State, i.LastError = CertificateFailed, m.lastError.Error()
	}
	if !m.nextTry.IsZero() {
		next := m.nextTry
		i.NextTry = &next
	}
	if p := m.pair(a); p != nil {
		i.describe(p.Leaf, now)
	}
	return i
}
