package proxy

import (
	"cmp"
	"crypto/x509"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"
)

// CertificateState says whether a host can be served over HTTPS.
type CertificateState string

// The states of a certificate.
const (
	CertificateObtaining CertificateState = "obtaining" // the first attempt is under way
	CertificateValid     CertificateState = "valid"
	CertificateExpired   CertificateState = "expired" // and still served, for there is no other
	CertificateFailed    CertificateState = "failed"  // there is none, and LastError says why
)

// CertificateInfo is what list and inspect say of a host's certificate. A LastError beside a valid one is of its renewal.
type CertificateInfo struct {
	Host      string           `json:"host"`
	Source    string           `json:"source"` // file, acme or on-demand
	State     CertificateState `json:"state"`
	Issuer    string           `json:"issuer,omitempty"`
	NotAfter  *time.Time       `json:"not_after,omitempty"`
	LastError string           `json:"last_error,omitempty"`
	NextTry   *time.Time       `json:"next_try,omitempty"`
	Directory string           `json:"acme_directory,omitempty"`
	Warnings  []string         `json:"warnings,omitempty"`

	shortLived bool
}

func (i *CertificateInfo) describe(leaf *x509.Certificate, now time.Time) {
	until := leaf.NotAfter
	i.NotAfter, i.Issuer, i.State = &until, leaf.Issuer.String(), CertificateValid
	i.shortLived = leaf.NotAfter.Sub(leaf.NotBefore) < 30*24*time.Hour
	if now.After(until) {
		i.State = CertificateExpired
	}
}

// Certificates returns how the certificates of a service stand, in the order of their hosts; of all services when service
// is empty.
func (r *Router) Certificates(service string) []CertificateInfo {
	now := time.Now()
	infos := r.certs.infos(service, now)
	for name, dep := range r.deployments() {
		if dep.certificate != nil && (service == "" || name == service) {
			infos = append(infos, dep.certificate.info(now)...)
		}
	}
	slices.SortFunc(infos, func(a, b CertificateInfo) int { return strings.Compare(a.Host, b.Host) })
	return infos
}

// CertificateExpiries returns for each host with a certificate in use when it ends.
func (r *Router) CertificateExpiries() map[string]time.Time {
	expiries := map[string]time.Time{}
	for _, i := range r.Certificates("") {
		if i.NotAfter != nil {
			expiries[i.Host] = *i.NotAfter
		}
	}
	return expiries
}

// deployments returns what each service serves by now.
func (r *Router) deployments() map[string]*deployment {
	deps := map[string]*deployment{}
	for _, routes := range *r.table.Load() {
		for _, one := range routes {
			if dep, _ := one.service.current(); dep != nil {
				deps[one.service.name] = dep
			}
		}
	}
	return deps
}

// watchCertificates looks at the files of certificates, and at what is about to expire, until done is closed.
func (r *Router) watchCertificates(done <-chan struct{}) {
	ticker := time.NewTicker(certificatePoll)
	defer ticker.Stop()
	said, looked := expirySaid{}, time.Time{}
	for {
		select {
		case <-done:
			return
		case now := <-ticker.C:
			r.refreshCertificates()
			if now.Sub(looked) >= expiryPoll {
				said.warn(r.log, r.Certificates(""), now)
				looked = now
			}
		}
	}
}

func (r *Router) refreshCertificates() {
	deps := r.deployments()
	for _, name := range slices.Sorted(maps.Keys(deps)) {
		dep := deps[name]
		if dep.certificate == nil {
			continue
		}
		changed, err := dep.certificate.refresh()
		if err != nil {
			r.log.Warn("TLS certificate cannot be read again; what was in use before stays in use", "service", name, "error", err)
		}
		if changed {
			r.log.Info("TLS certificate read again", "service", name, "path", dep.certificate.certPath)
			r.warnCertificate(name, dep)
		}
	}
}

// warnCertificate logs what clients will hold against a certificate from a file, or that there is none.
func (r *Router) warnCertificate(service string, dep *deployment) {
	if dep.certificate == nil {
		return
	}
	for _, i := range dep.certificate.info(time.Now()) {
		if i.LastError != "" {
			r.log.Error("TLS certificate cannot be used; the service is served over HTTP until it can",
				"service", service, "host", i.Host, "error", i.LastError)
		}
		for _, w := range i.Warnings {
			r.log.Warn("TLS certificate: "+w, "service", service, "host", i.Host, "path", dep.certificate.certPath)
		}
	}
}

// expiryPoll is how often it is looked whether a certificate is about to end.
const expiryPoll = time.Hour

// Days before the end of a certificate at which the log says so. One from an authority is renewed by itself long before: that
// it is still the same with seven days to go is worth a line.
var (
	fileExpiryDays = []int{30, 7, 1, 0}
	acmeExpiryDays = []int{7, 1, 0}
)

// expirySaid remembers what was said of which certificate, so that each is said once.
type expirySaid map[string]expiryNotice

type expiryNotice struct {
	notAfter time.Time
	days     int
}

func (said expirySaid) warn(log *slog.Logger, infos []CertificateInfo, now time.Time) {
	for _, i := range infos {
		if i.NotAfter == nil {
			continue
		}
		days, near := expiryStage(i, now)
		notice := expiryNotice{*i.NotAfter, days}
		if !near || said[i.Host] == notice {
			continue
		}
		said[i.Host] = notice
		text := "TLS certificate expires soon"
		if days == 0 {
			text = "TLS certificate has expired"
		}
		log.Warn(text, "host", i.Host, "source", i.Source, "not_after", i.NotAfter.UTC(), "last_error", i.LastError)
	}
}

// expiryStage returns the least of the days that are not exceeded by what is left. The short-lived certificates that some
// authorities give (six days) are told of only when they have expired.
func expiryStage(i CertificateInfo, now time.Time) (days int, near bool) {
	stages := fileExpiryDays
	if i.Source != "file" {
		stages = acmeExpiryDays
		if i.shortLived {
			stages = []int{0}
		}
	}
	left := i.NotAfter.Sub(now)
	for _, d := range stages {
		if left <= time.Duration(d)*24*time.Hour {
			days, near = d, true
		}
	}
	return days, near
}

// tlsText is what the table says of a service's TLS: yes or no, as kamal-proxy does, and what is wrong with it.
func tlsText(enabled bool, certificates []CertificateInfo) string {
	if !enabled {
		return "no"
	}
	for _, i := range certificates {
		if i.State != CertificateValid {
			return "yes (" + cmp.Or(i.Host, "*") + ": " + string(i.State) + ")"
		}
	}
	return "yes"
}

// startCertificates begins to obtain automatic certificates and to look after those from files.
func (r *Router) startCertificates(ports challengePorts) {
	r.certs.start(ports)
	r.watch = make(chan struct{})
	go r.watchCertificates(r.watch)
}

// stopCertificates ends both; what is at hand is still served. It may be called twice, and without a start.
func (r *Router) stopCertificates() {
	r.certs.stop()
	if r.watch != nil {
		close(r.watch)
		r.watch = nil
	}
}
