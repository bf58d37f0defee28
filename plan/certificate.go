package plan

import (
	"fmt"
	"strings"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// certificate is what has to happen to a role's certificate on one host.
type certificate struct {
	push   bool
	fields []Field // by the names of the secrets
	reason string
	lacks  []string // secrets that are neither at hand nor there
	tell   bool     // the proxy has to read it again
}

// decideCertificate compares the certificate that is at hand with the one on the host. What is not at hand keeps what lies there,
// and so does a release that is gone back to.
func (s *slot) decideCertificate(in Input) {
	secrets := s.role.CertificateSecrets()
	if len(secrets) == 0 || s.kept {
		return
	}
	name := state.CertificateName(s.role.Name)
	local, file := in.Secrets[s.host.Name][name], fileOf(s.host, name)
	c := &s.certificate
	for i, part := range []string{state.Certificate, state.PrivateKey} {
		digest, atHand := local[part]
		there, has := file.Digests[part]
		switch {
		case !has && !atHand:
			c.lacks = append(c.lacks, secrets[i])
		case !has || atHand && !in.Options.Back && !state.SameSecret(digest, there):
			c.fields = append(c.fields, secretField(secrets[i], has))
		}
	}
	private := keepsPrivate(in.Desired, s.host)
	switch {
	case len(c.lacks) > 0:
		c.fields = nil
		s.items = append(s.items, Item{Action: Update, Cause: Drift, Resource: ResourceCertificate, Host: s.host.Name, Role: s.role.Name, Risk: Safe,
			Name: strings.Join(secrets, ", "), Reason: "its certificate is not there", Class: DriftSecretsFile,
			Deferred: fmt.Sprintf("`kamald env push --hosts %s` brings it", s.host.Name)})
	case len(c.fields) > 0:
		c.push, c.reason = true, "its certificate is another than the one at hand"
		if len(file.Digests) == 0 {
			c.reason = "its certificate is not there"
		}
	case file.Private && !private:
		c.push, c.reason = true, "the proxy's own user cannot read its certificate"
	}
	c.tell = c.push || file.Pending
	if c.push {
		s.items = append(s.items, Item{Action: Update, Cause: Change, Resource: ResourceCertificate, Host: s.host.Name, Role: s.role.Name,
			Name: strings.Join(secrets, ", "), Reason: c.reason, Class: DriftSecretsFile, Fields: c.fields, Risk: Safe})
	}
}

// keepsPrivate tells whether the proxy on a host reads its files as root: kamald-proxy does, kamal-proxy has a user of its own.
func keepsPrivate(desired release.Release, host state.Host) bool {
	if host.Proxy.ID != "" {
		return host.Proxy.Own || OwnProxy(host.Proxy.Image)
	}
	return OwnProxy(desired.ProxyServer.Image)
}

func fileOf(host state.Host, name string) state.EnvFile {
	file, _ := host.EnvFile(name)
	return file
}

// prepareCertificates plans the files that the switch of a route has the proxy read.
func (b *builder) prepareCertificates(host state.Host, slots []*slot) {
	for _, s := range slots {
		if !s.certificate.push {
			continue
		}
		b.add(Step{ID: "certificate/" + host.Name + "/" + s.role.Name, Kind: StepCertificate, Phase: PhasePrepare, Host: host.Name, Role: s.role.Name,
			Private: keepsPrivate(b.in.Desired, host), Reason: s.certificate.reason})
	}
}

// checkCertificate: without its files the proxy would refuse the route.
func (b *builder) checkCertificate(s *slot) {
	if lacks := s.certificate.lacks; len(lacks) > 0 && s.route != nil {
		b.problem(s.host.Name, s.role.Name, fmt.Sprintf("its certificate needs %s, which is neither at hand nor on the host", strings.Join(lacks, " and ")),
			fmt.Sprintf("put it into the secrets file here, or run `kamald env push --hosts %s` where it is at hand", s.host.Name))
	}
}
