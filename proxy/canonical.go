package proxy

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// redirect answers a request that should have come by HTTPS, or to the service's canonical host, and says whether it
// did: with one redirect for both. Path and query stay as the client wrote them.
func (h *handler) redirect(w http.ResponseWriter, r *http.Request, host string, toTLS bool, canonical string) bool {
	toHost := canonical != "" && host != "" && canonical != host
	if !toTLS && !toHost {
		return false
	}
	scheme, authority := "http", r.Host
	if r.TLS != nil || toTLS {
		scheme = "https"
	}
	if toTLS {
		authority = hostForTLS(r.Host)
	}
	if toHost {
		authority = canonical
		if _, port, err := net.SplitHostPort(r.Host); err == nil && !toTLS {
			authority = net.JoinHostPort(canonical, port)
		}
	}
	status := http.StatusPermanentRedirect // keeps method and body
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		status = http.StatusMovedPermanently
	}
	to := url.URL{Scheme: scheme, Host: authority, Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery, ForceQuery: r.URL.ForceQuery}
	w.Header().Set("Location", to.String())
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(status)
	return true
}

// validateCanonicalHost refuses a host to which no request could be redirected for good.
func validateCanonicalHost(canonical string, hosts []string) error {
	if canonical == "" {
		return nil
	}
	if strings.HasPrefix(canonical, "*") {
		return fmt.Errorf("canonical-host %q is invalid: it must be one name, without *", canonical)
	}
	if err := validateHost(canonical); err != nil {
		return fmt.Errorf("canonical-host: %w", err)
	}
	_, parent, _ := strings.Cut(canonical, ".")
	if slices.Contains(hosts, canonical) || slices.Contains(hosts, "*."+parent) || slices.Contains(hosts, "") || len(hosts) == 0 {
		return nil
	}
	return fmt.Errorf("canonical-host %s is none of the service's hosts (%s): add it with --host, or who is redirected meets no service",
		canonical, strings.Join(hosts, ", "))
}
