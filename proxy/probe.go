package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	// dialRetry is the wait after a probe that found nobody listening: the app is booting and costs nothing to ask.
	dialRetry = 100 * time.Millisecond
	// probeBodyShown is how much of a refusing answer's body goes into the message.
	probeBodyShown = 200
)

// prober asks one target for its health. Healthy is a 2xx answer, after redirects, as in kamal-proxy.
type prober struct {
	target *target
	config HealthCheckConfig
	client *http.Client
	chain  []string // where the last probe was redirected
}

func newProber(t *target) *prober {
	p := &prober{target: t, config: t.options.HealthCheckConfig}
	p.client = &http.Client{
		Transport: &http.Transport{DisableKeepAlives: true, DisableCompression: true},
		Timeout:   p.config.Timeout,
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			p.chain = append(p.chain, r.URL.String())
			if len(via) >= 10 {
				return errors.New("stopped after 10 redirects")
			}
			return nil
		},
	}
	return p
}

// until probes at once, then every interval (sooner while nobody listens), and returns nil on the first success.
// When ctx ends first it returns the last probe's error with the number of probes.
func (p *prober) until(ctx context.Context) error {
	var last error
	for n := 1; ; n++ {
		at := time.Now()
		err := p.probe(ctx)
		// A probe that was interrupted by the end of the wait says less than the one before it.
		if last == nil || ctx.Err() == nil {
			p.target.probed(at, err)
			last = err
		}
		if err == nil {
			return nil
		}
		wait := p.config.Interval
		if isDialError(err) {
			wait = min(wait, dialRetry)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w (probes: %d)", last, n)
		case <-time.After(wait):
		}
	}
}

// watch probes every interval until ctx ends. One answer decides: the next one may say otherwise.
func (p *prober) watch(ctx context.Context) {
	ticker := time.NewTicker(p.config.Interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		at := time.Now()
		err := p.probe(ctx)
		if ctx.Err() != nil {
			return
		}
		p.target.probed(at, err)
		p.target.found(err)
	}
}

func (p *prober) probe(ctx context.Context) error {
	p.chain = nil
	u, err := p.url()
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u, nil)
	if err != nil {
		return fmt.Errorf("GET %s: %w", u, err)
	}
	req.Header.Set("User-Agent", "kamal-proxy")
	if p.config.Host != "" {
		req.Host = p.config.Host
	}
	resp, err := p.client.Do(req)
	if err != nil {
		return fmt.Errorf("GET %s%s: %w", u, p.via(), probeError(err, p.config.Timeout))
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 200 && resp.StatusCode < 300 {
		return nil
	}
	return fmt.Errorf("GET %s%s: %s", u, p.via(), describeAnswer(resp))
}

// url keeps a query in the health path a query.
func (p *prober) url() (string, error) {
	address := p.target.address
	if p.config.Port != 0 {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return "", err
		}
		address = net.JoinHostPort(host, strconv.Itoa(p.config.Port))
	}
	u, err := url.Parse("http://" + address + p.config.Path)
	if err != nil {
		return "", fmt.Errorf("health-check-path %q: %w", p.config.Path, err)
	}
	return u.String(), nil
}

// asksHealth tells a request that asks what a health check would.
func asksHealth(r *http.Request, c HealthCheckConfig) bool {
	path, _, _ := strings.Cut(c.Path, "?")
	return (r.Method == http.MethodGet || r.Method == http.MethodHead) && r.URL.Path == path
}

func (p *prober) via() string {
	if len(p.chain) == 0 {
		return ""
	}
	return ", redirected to " + strings.Join(p.chain, ", then ")
}

func describeAnswer(resp *http.Response) string {
	text := "status " + strconv.Itoa(resp.StatusCode)
	if location := resp.Header.Get("Location"); location != "" {
		text += " to " + location
	}
	body, _ := io.ReadAll(io.LimitReader(resp.Body, probeBodyShown))
	if line := strings.Join(strings.Fields(string(body)), " "); line != "" {
		text += fmt.Sprintf(", body %q", line)
	}
	return text
}

// probeError says in a few words what the client library says in many.
func probeError(err error, timeout time.Duration) error {
	var dns *net.DNSError
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%w: nothing listens on that port", syscall.ECONNREFUSED)
	case errors.As(err, &dns):
		return fmt.Errorf("the name cannot be resolved: %w", dns)
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("no answer within %s: %w", timeout, context.DeadlineExceeded)
	}
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// isDialError tells an error from before any byte was sent.
func isDialError(err error) bool {
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		return true
	}
	var dns *net.DNSError
	return errors.As(err, &dns) || errors.Is(err, syscall.ECONNREFUSED)
}

// isReset tells a connection that the target ended before any answer.
func isReset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.EOF)
}
