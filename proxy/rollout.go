package proxy

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
)

// What decides about a request that brings no answer of the app to the question.
const (
	RolloutByCookie  = "cookie"
	RolloutByAddress = "address"
)

const (
	// appCookie is the app's own word on which side a client is, kamal-proxy's name for it.
	appCookie = "kamal-rollout"
	// stickyCookie keeps a client on the side it was given.
	stickyCookie = "kamald-rollout"
)

// errNoRolloutTarget is kamal-proxy's answer to a split of a service without rollout targets.
var errNoRolloutTarget = errors.New("rollout target not set")

// rollout is a second deployment of a service that gets a share of its requests. It never changes.
type rollout struct {
	dep   *deployment // with the service's own options
	split *Split      // nil until it is set: no request is selected
	sides *sides      // what both sides have answered since
}

// Split says which requests go to the rollout targets. Percent is 0 to 100; By is RolloutByCookie or RolloutByAddress.
// List is of values of the app's cookie, Headers of NAME=VALUE; CookieMaxAge of 0 is a cookie for the browser's session.
type Split struct {
	Percent      int           `json:"percent"`
	List         []string      `json:"list"`
	Headers      []string      `json:"headers"`
	By           string        `json:"by"`
	CookieMaxAge time.Duration `json:"cookie_max_age"`
}

// Validate returns every reason why requests cannot be split so.
func (p Split) Validate() error {
	var errs []error
	if p.Percent < 0 || p.Percent > 100 {
		errs = append(errs, fmt.Errorf("percent must be between 0 and 100, not %d", p.Percent))
	}
	if p.By != RolloutByCookie && p.By != RolloutByAddress {
		errs = append(errs, fmt.Errorf("by must be %s or %s, not %q", RolloutByCookie, RolloutByAddress, p.By))
	}
	for _, h := range p.Headers {
		if name, _, ok := strings.Cut(h, "="); !ok || name == "" || strings.ContainsAny(name, " \t:") {
			errs = append(errs, fmt.Errorf("header %q is invalid: give NAME=VALUE", h))
		}
	}
	if p.CookieMaxAge < 0 || p.CookieMaxAge > 0 && p.CookieMaxAge < time.Second {
		errs = append(errs, fmt.Errorf("cookie-max-age must be 0 (for the browser's session) or at least 1s, not %s", p.CookieMaxAge))
	}
	return errors.Join(errs...)
}

// selects says whether the request is for the rollout. It leaves a cookie in s if the client is to be kept there.
func (ro *rollout) selects(s *selection, active *deployment) bool {
	if ro == nil || ro.split == nil {
		return false
	}
	p, r := ro.split, s.request
	for _, h := range p.Headers {
		if name, value, _ := strings.Cut(h, "="); slices.Contains(r.Header.Values(name), value) {
			return true
		}
	}
	if c, err := r.Cookie(appCookie); err == nil && c.Value != "" {
		return slices.Contains(p.List, c.Value) || p.has(c.Value)
	}
	switch {
	case p.Percent == 0:
		return false
	case p.Percent == 100:
		return true
	case p.By == RolloutByAddress:
		return p.has(clientNetwork(r, active))
	}
	if c, err := r.Cookie(stickyCookie); err == nil && c.Value != "" {
		return p.has(c.Value)
	}
	if s.sticky == nil {
		s.sticky = p.newCookie(r)
	}
	return p.has(s.sticky.Value)
}

func (p *Split) newCookie(r *http.Request) *http.Cookie {
	return &http.Cookie{
		Name: stickyCookie, Value: newRequestID(), Path: "/", MaxAge: int(p.CookieMaxAge / time.Second),
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: r.TLS != nil,
	}
}

// has says whether a value belongs to the share. What belongs to a share belongs to every larger one.
func (p *Split) has(value string) bool {
	return position(value) < float64(p.Percent)
}

// position gives a value its place between 0 and 100: FNV-1a and then MurmurHash3's finalizer, for FNV alone leaves
// values that differ in their last characters close together.
func position(value string) float64 {
	hash := uint64(14695981039346656037)
	for i := range len(value) {
		hash = (hash ^ uint64(value[i])) * 1099511628211
	}
	hash = (hash ^ hash>>33) * 0xff51afd7ed558ccd
	hash = (hash ^ hash>>33) * 0xc4ceb9fe1a85ec53
	hash ^= hash >> 33
	return float64(hash>>11) / (1 << 53) * 100
}

// clientNetwork returns the client's address; of IPv6 the /64, for within it hosts change their address by themselves.
// The word of a proxy in front counts where the service trusts it. A client that makes it up chooses its own side only.
func clientNetwork(r *http.Request, dep *deployment) string {
	address, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		address = r.RemoteAddr
	}
	if dep.targetOptions.ForwardHeaders {
		if first, _, _ := strings.Cut(r.Header.Get("X-Forwarded-For"), ","); strings.TrimSpace(first) != "" {
			address = strings.TrimSpace(first)
		}
	}
	if named, ok := namedClient(r, dep.options.ClientIPHeader); ok {
		address = named
	}
	ip := net.ParseIP(address)
	if ip == nil || ip.To4() != nil {
		return address
	}
	return ip.Mask(net.CIDRMask(64, 128)).String()
}
