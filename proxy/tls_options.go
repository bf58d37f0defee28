package proxy

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/caddyserver/certmagic"
)

// validateTLS returns every reason why HTTPS cannot be served with these options.
func (o ServiceOptions) validateTLS() error {
	var errs []error
	if (o.TLSCertificatePath == "") != (o.TLSPrivateKeyPath == "") {
		errs = append(errs, errors.New("--tls-certificate-path and --tls-private-key-path must be set together"))
	}
	if !o.TLSEnabled {
		return errors.Join(errs...)
	}
	automatic := o.TLSCertificatePath == "" && o.TLSPrivateKeyPath == ""
	if slices.Contains(o.Hosts, "") && (!automatic || o.TLSOnDemandURL == "") || len(o.Hosts) == 0 {
		errs = append(errs, errors.New("host must be set when using TLS"))
	}
	if automatic && o.TLSOnDemandURL == "" {
		errs = append(errs, refuseWildcards(o.Hosts)...)
	}
	if o.TLSOnDemandURL != "" {
		if !automatic {
			errs = append(errs, errors.New("--tls-on-demand-url is for automatic certificates; leave --tls-certificate-path away"))
		}
		errs = append(errs, validateAskURL(o.TLSOnDemandURL))
	}
	if o.ACMEDirectory != "" {
		errs = append(errs, validateDirectory(o.ACMEDirectory))
	}
	return errors.Join(errs...)
}

func refuseWildcards(hosts []string) []error {
	var errs []error
	for _, host := range hosts {
		if strings.HasPrefix(host, "*.") {
			errs = append(errs, fmt.Errorf("host %s cannot have an automatic certificate: an authority gives one for a wildcard only by DNS-01, "+
				"which needs access to your DNS; name the hosts, give --tls-certificate-path, or --tls-on-demand-url for a certificate for each name", host))
		}
	}
	return errs
}

func validateAskURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return fmt.Errorf("--tls-on-demand-url %q: %w", text, err)
	case u.IsAbs() && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "":
		return nil
	case !u.IsAbs() && u.Host == "" && strings.HasPrefix(u.Path, "/"):
		return nil
	}
	return fmt.Errorf("--tls-on-demand-url %q: give a URL, or a path that the service itself answers, such as /allowed", text)
}

func validateDirectory(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" || u.Host == "" {
		return fmt.Errorf("--acme-directory %q: give the URL of an ACME directory, such as %s", text, certmagic.LetsEncryptProductionCA)
	}
	return nil
}

// acmeDirectory is what the flags of deploy say; empty leaves it to the proxy.
func acmeDirectory(staging bool, directory string) (string, error) {
	if staging && directory != "" {
		return "", errors.New("--tls-staging and --acme-directory exclude each other")
	}
	if staging {
		return certmagic.LetsEncryptStagingCA, nil
	}
	return directory, nil
}

// acmeFlags are the flags of run that say where automatic certificates come from.
func (in invocation) acmeFlags(f *flagSet, c *ACMEConfig) {
	f.StringVar(&c.Directory, "acme-directory", in.env.text("ACME_DIRECTORY"),
		"ACME directory of services that name none, Let's Encrypt when empty (env ACME_DIRECTORY)")
	f.StringVar(&c.CARoot, "acme-ca-root", in.env.text("ACME_CA_ROOT"),
		"PEM file of the certificates that the ACME directory's own HTTPS is checked against (env ACME_CA_ROOT)")
	f.StringVar(&c.Email, "acme-email", in.env.text("ACME_EMAIL"),
		"Address that the certificate authority may write to (env ACME_EMAIL)")
}
