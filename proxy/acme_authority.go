package proxy

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3/acme"
)

// authority is an ACME directory with the certificates that come from it and are renewed in the background.
type authority struct {
	key    authorityKey
	certs  *certificates
	log    *slog.Logger
	cache  *certmagic.Cache
	config *certmagic.Config
	issuer *certmagic.ACMEIssuer
}

// try is one attempt to obtain a certificate. The library would wait for the next one by itself, holding its lock and telling
// nobody; ended after the first failure, it leaves that to us.
type try struct {
	end context.CancelFunc
	err error
}

type tryKey struct{}

// newAuthority returns one that renews from now on. Challenges are answered by our own listeners: the library finds its ports
// taken by them, and leaves them alone.
func newAuthority(c *certificates, key authorityKey) *authority {
	a := &authority{key: key, certs: c, log: c.log.With("acme_directory", key.directory)}
	logger := newZapLogger(c.log)
	made := make(chan struct{})
	a.cache = certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert: func(certmagic.Certificate) (*certmagic.Config, error) {
			<-made
			return a.config, nil
		},
		RenewCheckInterval: c.config.renewEvery,
		Logger:             logger,
	})
	a.config = certmagic.New(a.cache, certmagic.Config{
		Storage:            &certmagic.FileStorage{Path: key.storage},
		OnEvent:            a.event,
		RenewalWindowRatio: c.config.renewWindow,
		Logger:             logger,
	})
	roots, err := readRoots(c.config.CARoot)
	if err != nil {
		a.log.Error("The ACME authority is checked against the system's certificates", "error", err)
	}
	a.issuer = certmagic.NewACMEIssuer(a.config, certmagic.ACMEIssuer{
		CA:             key.directory,
		Email:          c.config.Email,
		Agreed:         true,
		TrustedRoots:   roots,
		ListenHost:     c.ports.bind,
		AltHTTPPort:    c.ports.http,
		AltTLSALPNPort: c.ports.https,
		Logger:         logger,
	})
	a.config.Issuers = []certmagic.Issuer{a.issuer}
	close(made)
	return a
}

// obtain brings the host's certificate into memory: from the storage, else from the authority. One that is due is renewed.
func (a *authority) obtain(ctx context.Context, host string) error {
	ctx, end := context.WithCancel(ctx)
	defer end()
	t := &try{end: end}
	ctx = context.WithValue(ctx, tryKey{}, t)
	if err := a.config.ObtainCertAsync(ctx, host); err != nil { // nothing is done if the storage has one
		return cmp.Or(t.err, err)
	}
	a.certs.serveStored(host)
	cert, err := a.config.CacheManagedCertificate(ctx, host)
	if err != nil {
		// Such as after a crash between the writing of the key and of the certificate: they fit no more.
		err = fmt.Errorf("the stored certificate of %s cannot be used and is obtained again: %w", host, err)
		return errors.Join(err, a.config.Storage.Delete(ctx, certmagic.StorageKeys.CertsSitePrefix(a.issuer.IssuerKey(), host)))
	}
	a.certs.note(host, nil)
	if !cert.NeedsRenewal(a.config) {
		return nil
	}
	if err := a.config.RenewCertAsync(ctx, host, false); err != nil {
		return nil // it was told by the event, and the renewal in the background goes on
	}
	renewed, err := a.config.CacheManagedCertificate(ctx, host)
	if err == nil && renewed.Hash() != cert.Hash() {
		a.cache.Remove([]string{cert.Hash()})
	}
	return err
}

// lookup returns the certificate in memory that ends last.
func (a *authority) lookup(host string) *tls.Certificate {
	var best *certmagic.Certificate
	for _, cert := range a.cache.AllMatchingCertificates(host) {
		if best == nil || cert.Leaf.NotAfter.After(best.Leaf.NotAfter) {
			best = &cert
		}
	}
	if best == nil {
		return nil
	}
	return &best.Certificate
}

// event takes what the library tells of attempts.
func (a *authority) event(ctx context.Context, name string, data map[string]any) error {
	host, _ := data["identifier"].(string)
	renewal, _ := data["renewal"].(bool)
	switch name {
	case "cert_obtained":
		a.log.Info("Certificate obtained", "host", host, "renewal", renewal)
		a.certs.note(host, nil)
	case "cert_obtaining":
		if renewal {
			if err := a.certs.mayRenew(ctx, host); err != nil {
				a.certs.note(host, err)
				return certmagic.ErrNoRetry{Err: err}
			}
		}
	case "cert_failed":
		err, _ := data["error"].(error)
		if t, ok := ctx.Value(tryKey{}).(*try); ok {
			t.err = err
			t.end()
		}
		if renewal {
			a.log.Error("Certificate not renewed; the one before is served, and it is tried again", "host", host, "error", err)
			a.certs.note(host, err)
		}
	}
	return nil
}

// readStored returns the certificate that the storage has for a host, nil when there is none that can be used. It is served
// from the first moment, without asking anybody.
func readStored(key authorityKey, host string) *tls.Certificate {
	issuer := (&certmagic.ACMEIssuer{CA: key.directory}).IssuerKey()
	in := func(k string) string { return filepath.Join(key.storage, filepath.FromSlash(k)) }
	pair, err := readPair(in(certmagic.StorageKeys.SiteCert(issuer, host)), in(certmagic.StorageKeys.SitePrivateKey(issuer, host)))
	if err != nil {
		return readAutocert(key, host)
	}
	return pair
}

// readRoots returns nil for the system's certificates.
func readRoots(path string) (*x509.CertPool, error) {
	if path == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading --acme-ca-root: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("--acme-ca-root: %s holds no certificate in PEM form", path)
	}
	return pool, nil
}

// isRateLimited tells whether an authority asks to be left alone for a while.
func isRateLimited(err error) bool {
	var problem acme.Problem
	return errors.As(err, &problem) && problem.Type == acme.ProblemTypeRateLimited
}
