package proxy

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/mholt/acmez/v3"
)

// challengePath is where a certificate authority looks for the proof of HTTP-01 (RFC 8555, 8.3).
const challengePath = "/.well-known/acme-challenge/"

// tlsRoute returns the route that decides about TLS for a host: that of its root path if it has TLS, else the one with the
// longest prefix that has. It is false for a host without TLS.
func (t routeTable) tlsRoute(host string) (route, *deployment, bool) {
	routes := slices.Clone(t.forHost(host))
	slices.SortStableFunc(routes, func(a, b route) int { return isRoot(b) - isRoot(a) })
	for _, r := range routes {
		if dep, _ := r.service.current(); dep != nil && dep.options.TLSEnabled {
			return r, dep, true
		}
	}
	return route{}, nil, false
}

func isRoot(r route) int {
	if r.prefix == "/" {
		return 1
	}
	return 0
}

// certificate chooses by server name, as routing chooses by host. A name that no service has TLS for gets neither a
// certificate nor an error, which crypto/tls makes the alert unrecognized_name of.
func (r *Router) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	host := requestHost(hello.ServerName)
	owner, dep, ok := r.table.Load().tlsRoute(host)
	switch {
	case !ok:
		return nil, nil
	case isChallenge(hello):
		return r.certs.challengeCertificate(hello, dep.options)
	case dep.certificate != nil:
		return dep.certificate.get()
	}
	return r.certs.automatic(hello, owner, dep)
}

// isChallenge tells a certificate authority's handshake for TLS-ALPN-01 (RFC 8737, 3) from a client's.
func isChallenge(hello *tls.ClientHelloInfo) bool {
	return hello.ServerName != "" && slices.Equal(hello.SupportedProtos, []string{acmez.ACMETLS1Protocol})
}

// hasCertificate tells whether a handshake for the host would succeed now, as far as is known without one.
func (r *Router) hasCertificate(host string, dep *deployment) bool {
	if dep.certificate != nil {
		_, err := dep.certificate.get()
		return err == nil
	}
	return r.certs.promises(host, dep)
}

// needsTLS tells a request over plain HTTP that has to come by HTTPS, because its host's service wants that. A host whose
// certificate is not there yet is served over HTTP, rather than sent to a door that does not open.
func (h *handler) needsTLS(r *http.Request, table routeTable, host string, dep *deployment) bool {
	if r.TLS != nil || !wantsTLS(table.root(host), dep) {
		return false
	}
	_, owner, ok := table.tlsRoute(host)
	return ok && h.router.hasCertificate(host, owner)
}

// challengeToken is what a challenge's path ends in (RFC 8555, 8.1): nothing that leads elsewhere.
var challengeToken = regexp.MustCompile(`\A[A-Za-z0-9_-]+\z`)

// isChallengeRequest tells what a certificate authority asks for, which is answered where it asks.
func isChallengeRequest(r *http.Request) bool {
	token, ok := strings.CutPrefix(r.URL.Path, challengePath)
	return ok && r.TLS == nil && challengeToken.MatchString(token)
}

// misdirected tells a request on a connection that was made for another name, whose certificate and TLS options are not
// those of the request's host (RFC 9110, 7.4). A client may use one connection for several hosts only when the certificate
// that it was shown is good for all of them.
func (h *handler) misdirected(r *http.Request, table routeTable, host string) bool {
	if r.TLS == nil || r.TLS.ServerName == "" {
		return false
	}
	name := requestHost(r.TLS.ServerName)
	if name == host {
		return false
	}
	shown, shownBy, ok := table.tlsRoute(name)
	if !ok {
		return false // the service of the connection's name is gone; its clients are told so by the routes
	}
	wanted, _, ok := table.tlsRoute(host)
	if !ok {
		return len(table.forHost(host)) > 0 // of nobody at all is said as over HTTP: 404
	}
	if wanted.service == shown.service {
		return false
	}
	leaf := h.router.shownCertificate(name, shownBy)
	return leaf == nil || leaf.VerifyHostname(host) != nil
}

// shownCertificate is what a handshake for the name was shown, nil when that is not known any more.
func (r *Router) shownCertificate(name string, dep *deployment) *x509.Certificate {
	var pair *tls.Certificate
	if dep.certificate != nil {
		pair, _ = dep.certificate.get()
	} else {
		pair = r.certs.atHand(name)
	}
	if pair == nil {
		return nil
	}
	return pair.Leaf
}

// wantsTLS says whether plain HTTP is redirected. The service at the host's root path decides for the whole host.
func wantsTLS(root *service, dep *deployment) bool {
	if root != nil {
		if d, _ := root.current(); d != nil && d.options.TLSEnabled {
			dep = d
		}
	}
	return dep.options.TLSEnabled && dep.options.TLSRedirect
}

// errNoCertificateYet is why a handshake fails for a host whose certificate is still to come.
func errNoCertificateYet(host string) error {
	return fmt.Errorf("there is no certificate for %s yet; `list --json` says why", host)
}
