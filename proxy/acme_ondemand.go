package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/idna"
	"golang.org/x/time/rate"
)

// Limits on what a client can set in motion by the name in a handshake.
const (
	askTimeout    = 10 * time.Second
	askKeepYes    = 10 * time.Minute
	askKeepNo     = 2 * time.Minute // also of an answer that could not be had
	askPerSecond  = 10
	askBurst      = 50
	keptDecisions = 10_000
	onDemandHosts = 10_000 // certificates obtained on demand that are in memory and renewed
	// handshakeWait is how long a handshake waits for a certificate; net/http ends it soon after. The attempt goes on.
	handshakeWait = 14 * time.Second
)

// permission asks the services' on-demand URLs for which names a certificate may be obtained, and remembers the answers.
type permission struct {
	asks   *rate.Limiter
	client *http.Client

	mu        sync.Mutex
	decisions map[string]decision
}

// decision is an answer, or why a name is not tried for a while.
type decision struct {
	refused  error // nil: allowed
	until    time.Time
	failures int // attempts to obtain a certificate that have failed one after another
}

func newPermission() *permission {
	return &permission{
		asks:      rate.NewLimiter(askPerSecond, askBurst),
		client:    &http.Client{Timeout: askTimeout, CheckRedirect: refuseRedirect},
		decisions: map[string]decision{},
	}
}

// refuseRedirect makes a redirect the answer itself: it is not 200.
func refuseRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// onDemand obtains a certificate during the handshake that wants it: from the storage, else, if the service's URL allows the
// name, from the authority.
func (c *certificates) onDemand(ctx context.Context, host string, r route, dep *deployment) (*tls.Certificate, error) {
	if err := certifiable(host); err != nil {
		return nil, err
	}
	if refused, known := c.permission.known(host); known && refused != nil {
		return nil, refused
	}
	key := c.keyOf(dep.options)
	if readStored(key, host) == nil {
		if err := c.permission.allow(ctx, host, r.service, dep); err != nil {
			return nil, err
		}
	}
	m, err := c.adoptOnDemand(host, r.service.name, key)
	if err != nil {
		return nil, err
	}
	if pair := c.atHand(host); pair != nil {
		return pair, nil
	}
	ctx, cancel := context.WithTimeout(ctx, handshakeWait)
	defer cancel()
	select {
	case <-m.tried:
	case <-ctx.Done():
	}
	if pair := c.atHand(host); pair != nil {
		return pair, nil
	}
	return nil, errNoCertificateYet(host)
}

// adoptOnDemand manages a host from now on; several handshakes for it share one attempt.
func (c *certificates) adoptOnDemand(host, service string, key authorityKey) (*managedHost, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if m := c.managed[host]; m != nil {
		return m, nil
	}
	if c.ctx == nil {
		return nil, errStopping
	}
	if len(c.managed) >= onDemandHosts {
		return nil, fmt.Errorf("no certificate for %s: there are %d certificates already", host, onDemandHosts)
	}
	m := newManagedHost(host, service, key, true)
	c.adopt(m)
	return m, nil
}

// giveUp forgets a name whose certificate could not be obtained, and does not try it again for a while.
func (c *certificates) giveUp(m *managedHost, err error) {
	wait := c.retryAfter(c.permission.failed(m.host), err)
	c.log.Error("Certificate not obtained", "host", m.host, "error", err, "not_tried_for", wait.String())
	c.permission.keep(m.host, fmt.Errorf("the last attempt to obtain a certificate for %s failed: %w", m.host, err), wait)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.managed[m.host] == m && m.stored == nil {
		c.drop(m)
	}
}

// mayRenew asks again before a certificate that was obtained on demand is renewed.
func (c *certificates) mayRenew(ctx context.Context, host string) error {
	c.mu.RLock()
	m := c.managed[host]
	c.mu.RUnlock()
	if m == nil || !m.onDemand {
		return nil
	}
	r, dep, ok := c.routes().tlsRoute(host)
	if !ok || !isOnDemand(dep, host) {
		return fmt.Errorf("no service wants a certificate for %s any more", host)
	}
	return c.permission.allow(ctx, host, r.service, dep)
}

// certifiable refuses names that no authority would give a certificate for, so that nobody is asked.
func certifiable(host string) error {
	ascii, err := idna.Lookup.ToASCII(host)
	if err != nil || ascii != host || net.ParseIP(host) != nil || !strings.Contains(host, ".") || strings.Contains(host, "..") || len(host) > 253 {
		return fmt.Errorf("%.100q is no name to obtain a certificate for", host)
	}
	return nil
}

// allow asks unless the answer is known. Without an answer the name is refused.
func (p *permission) allow(ctx context.Context, host string, s *service, dep *deployment) error {
	if refused, known := p.known(host); known {
		return refused
	}
	if !p.asks.Allow() {
		return fmt.Errorf("no certificate for %s: too many names are asked for at once", host)
	}
	err := p.ask(ctx, host, s, dep)
	if err == nil {
		p.keep(host, nil, askKeepYes)
		return nil
	}
	err = fmt.Errorf("service %s does not allow a certificate for %s: %w", s.name, host, err)
	p.keep(host, err, askKeepNo)
	return err
}

// ask takes 200 for yes and everything else for no. A path without a host is asked of the service's target, for what is
// asked is not for the world.
func (p *permission) ask(ctx context.Context, host string, s *service, dep *deployment) error {
	u, err := url.Parse(dep.options.TLSOnDemandURL)
	if err != nil {
		return err
	}
	query := u.Query()
	query.Set("host", host)
	u.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return err
	}
	client := p.client
	if !u.IsAbs() {
		a := s.admit(ctx, &selection{request: req})
		if a.lease == nil {
			return errors.New("it has no target to ask")
		}
		defer a.lease.release()
		req = req.WithContext(a.ctx)
		req.URL.Scheme, req.URL.Host, req.Host = "http", a.lease.target.address, host
		client = &http.Client{Timeout: askTimeout, CheckRedirect: refuseRedirect, Transport: a.lease.target.transport}
	}
	req.Header.Set("User-Agent", "kamal-proxy")
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 4<<10))
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the on-demand URL answered %d", resp.StatusCode)
	}
	return nil
}

func (p *permission) known(host string) (refused error, known bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	d, ok := p.decisions[host]
	if !ok || time.Now().After(d.until) {
		return nil, false
	}
	return d.refused, true
}

// keep remembers a decision. When there are too many the ones that are over go, else any: it is asked again.
func (p *permission) keep(host string, refused error, period time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if len(p.decisions) >= keptDecisions {
		for name, d := range p.decisions {
			if now.After(d.until) {
				delete(p.decisions, name)
			}
		}
		for name := range p.decisions {
			if len(p.decisions) < keptDecisions*7/8 { // some at once, since all are looked through for it
				break
			}
			delete(p.decisions, name)
		}
	}
	p.decisions[host] = decision{refused, now.Add(period), p.decisions[host].failures}
}

// failed counts an attempt, and returns how many have failed before it.
func (p *permission) failed(host string) (before int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	d := p.decisions[host]
	before = d.failures
	d.failures++
	p.decisions[host] = d
	return before
}

// succeeded forgets the failures.
func (p *permission) succeeded(host string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if d, ok := p.decisions[host]; ok {
		d.failures = 0
		p.decisions[host] = d
	}
}
