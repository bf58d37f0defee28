package release

import (
	"path"
	"slices"
	"strings"

	"github.com/kamald/kamald/state"
)

// AppsConfig is where the proxy's container has the directory proxy/apps-config of the run directory.
const AppsConfig = "/home/kamal-proxy/.apps-config"

// CertificateFiles are where a role's certificate and key lie below a directory of all apps' files: Kamal's places.
func CertificateFiles(apps string, app state.App, role string) (certificate, key string) {
	dir := path.Join(apps, app.String(), "tls", role)
	return path.Join(dir, "cert.pem"), path.Join(dir, "key.pem")
}

// CertificateSecrets names the secrets of the role's certificate and key, in this order; none when it brings no certificate.
func (r Role) CertificateSecrets() []string {
	if r.Proxy == nil || r.Proxy.Certificate == "" {
		return nil
	}
	return []string{r.Proxy.Certificate, r.Proxy.PrivateKey}
}

// RouteOptions are what the proxy is asked for the role, which has one: its own options, and where its certificate and the error pages
// lie. An accessory has the proxy's own pages: those of the app come and go with its releases.
func (r Release) RouteOptions(role Role) state.RouteOptions {
	options := role.Proxy.Options
	if len(role.CertificateSecrets()) > 0 {
		options.CertificatePath, options.PrivateKeyPath = CertificateFiles(AppsConfig, r.App(), role.Name)
	}
	if _, beside := state.AccessoryOf(role.Name); beside {
		return options
	}
	if set := r.ErrorPageSet(); set != "" {
		options.ErrorPagePath = path.Join(ErrorPagesDir(AppsConfig, r.App()), set)
	}
	return options
}

// checkSSL finds what ssl lacks. ACME is for one host: each proxy gets certificates for itself, and a challenge goes to whichever
// host the name leads to.
func (c *compiler) checkSSL(b, role *block) {
	ssl, certificate, key := b.get("ssl"), b.get("certificate"), b.get("private_key")
	switch {
	case certificate.set() != key.set():
		given, missing := certificate, "private_key"
		if key.set() {
			given, missing = key, "certificate"
		}
		c.errorf(given.rng, "Half a certificate", "%s needs %s with it.", given.name, missing)
	case certificate.set() && !ssl.set():
		c.errorf(certificate.rng, "Certificate without ssl", "A certificate has no effect without ssl = true.")
	case certificate.set() && certificate.text() != "" && certificate.text() == key.text():
		c.errorf(key.rng, "One secret twice", "certificate and private_key are both the secret %q; the chain and its key are two.", key.text())
	}
	if !ssl.boolOr(false) {
		return
	}
	names, prefixes := b.get("hosts"), b.get("path_prefixes")
	hosts, known := c.places(role)
	if names.isKnown() && len(names.strings()) == 0 {
		c.errorf(ssl.rng, "Host needed for ssl", "ssl needs proxy hosts: a certificate is for names.")
		return
	}
	if prefixes.isKnown() && len(prefixes.strings()) > 0 && !slices.ContainsFunc(prefixes.strings(), isRoot) {
		c.errorf(ssl.rng, "ssl belongs to the root path", "The proxy takes the TLS settings of all paths of a name from whoever has its root path: set ssl there, and leave it out of %s.", role.title())
	}
	if certificate.set() {
		return
	}
	if known && len(hosts) > 1 {
		c.errorf(ssl.rng, "Certificate needed for ssl", "%s runs on %d hosts (%s); ssl by ACME is for one, more need certificate and private_key.", role.title(), len(hosts), listed(hosts))
	}
	for _, item := range names.items() {
		if strings.HasPrefix(item.s, "*") {
			c.errorf(item.rng, "Certificate needed for ssl", "%q needs certificate and private_key: ACME gives no certificate for a wildcard without control of the DNS.", item.s)
		}
	}
}

func isRoot(prefix string) bool { return plainPrefix(prefix) == defaultPathPrefix }

// listed names the first few of many.
func listed(names []string) string {
	const most = 5
	if len(names) > most {
		return strings.Join(names[:most], ", ") + ", …"
	}
	return strings.Join(names, ", ")
}
