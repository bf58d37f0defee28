package proxy

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// certificatePoll is how often files of certificates are looked at.
const certificatePoll = 3 * time.Second

// certificateFile is a certificate and its key in two files. It is read again when a file has changed; a pair that does not
// fit together, as while it is being written, leaves the one before in use.
type certificateFile struct {
	certPath, keyPath string
	hosts             []string

	mu      sync.Mutex
	pair    *tls.Certificate // nil while none could be read
	seen    [2]fileMark
	problem error // why the files as they are now cannot be used
}

// fileMark tells whether a file was replaced or written to.
type fileMark struct {
	modified time.Time
	size     int64
}

// openCertificate reads the pair. Why it could not be read is what get says.
func openCertificate(o ServiceOptions) *certificateFile {
	f := &certificateFile{certPath: o.TLSCertificatePath, keyPath: o.TLSPrivateKeyPath, hosts: o.Hosts}
	_, _ = f.refresh()
	return f
}

// checkCertificate says why the files of a deployment's certificate cannot be used. A deploy is refused for it; a service
// that is restored is served over HTTP until they can be.
func (d *deployment) checkCertificate() error {
	if d.certificate == nil {
		return nil
	}
	_, err := d.certificate.get()
	return err
}

// get returns the pair in use.
func (f *certificateFile) get() (*tls.Certificate, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.pair == nil {
		return nil, f.problem
	}
	return f.pair, nil
}

// refresh reads the files if they have changed since they were last read. It says whether another certificate is in use
// now, and why the files cannot be used, once for each change of them.
func (f *certificateFile) refresh() (changed bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	marks := [2]fileMark{markOf(f.certPath), markOf(f.keyPath)}
	if marks == f.seen && (f.pair != nil || f.problem != nil) {
		return false, nil
	}
	f.seen = marks // taken before the files are read: what is written meanwhile is a change to the next look
	pair, err := readPair(f.certPath, f.keyPath)
	f.problem = err
	if err != nil {
		return false, err
	}
	changed = f.pair == nil || !bytes.Equal(f.pair.Certificate[0], pair.Certificate[0])
	f.pair = pair
	return changed, nil
}

// info says how the certificate stands, for each of the service's hosts.
func (f *certificateFile) info(now time.Time) []CertificateInfo {
	f.mu.Lock()
	defer f.mu.Unlock()
	var infos []CertificateInfo
	for _, host := range f.hosts {
		i := CertificateInfo{Host: host, Source: "file", State: CertificateFailed}
		if f.problem != nil {
			i.LastError = f.problem.Error()
		}
		if f.pair != nil {
			i.describe(f.pair.Leaf, now)
			i.Warnings = certificateWarnings(f.pair.Leaf, host, now)
		}
		infos = append(infos, i)
	}
	return infos
}

func markOf(path string) fileMark {
	info, err := os.Stat(path)
	if err != nil {
		return fileMark{}
	}
	return fileMark{info.ModTime(), info.Size()}
}

// readPair returns the certificate with its leaf parsed.
func readPair(certPath, keyPath string) (*tls.Certificate, error) {
	certPEM, err := os.ReadFile(certPath)
	if err != nil {
		return nil, fmt.Errorf("reading the TLS certificate: %w (the path is one where the proxy runs)", err)
	}
	keyPEM, err := os.ReadFile(keyPath)
	if err != nil {
		return nil, fmt.Errorf("reading the private key of the TLS certificate: %w (the path is one where the proxy runs)", err)
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return nil, fmt.Errorf("the TLS certificate %s and the private key %s cannot be used: %w", certPath, keyPath, err)
	}
	if pair.Leaf == nil {
		if pair.Leaf, err = x509.ParseCertificate(pair.Certificate[0]); err != nil {
			return nil, fmt.Errorf("the TLS certificate %s: %w", certPath, err)
		}
	}
	return &pair, nil
}

// certificateWarnings says what clients will hold against a certificate that can be used nevertheless. Who signed it is not
// looked at: only clients know whom they trust.
func certificateWarnings(leaf *x509.Certificate, host string, now time.Time) []string {
	var warnings []string
	if now.After(leaf.NotAfter) {
		warnings = append(warnings, "it expired on "+day(leaf.NotAfter))
	}
	if now.Before(leaf.NotBefore) {
		warnings = append(warnings, "it is valid only from "+day(leaf.NotBefore))
	}
	if host != "" {
		var wrong x509.HostnameError
		if err := leaf.VerifyHostname(wildcardExample(host)); errors.As(err, &wrong) {
			warnings = append(warnings, fmt.Sprintf("it is for %s and not for %s", namesOf(leaf), host))
		}
	}
	return warnings
}

// wildcardExample returns a name that the pattern stands for.
func wildcardExample(host string) string {
	if parent, ok := strings.CutPrefix(host, "*."); ok {
		return "any." + parent
	}
	return host
}

func namesOf(leaf *x509.Certificate) string {
	names := slices.Clone(leaf.DNSNames)
	for _, ip := range leaf.IPAddresses {
		names = append(names, ip.String())
	}
	if len(names) == 0 {
		return "no name"
	}
	return strings.Join(names, ", ")
}

func day(t time.Time) string { return t.UTC().Format(time.RFC3339) }
