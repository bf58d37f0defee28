package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// certificateNote lies in kamald's own directory on a host, beside the certificate of a role that kamald wrote.
type certificateNote struct {
	Private bool `json:"private,omitempty"` // 0600 in directories of 0700
	Pending bool `json:"pending,omitempty"` // no route was deployed since
}

// readCertificates reads the certificates of the roles and accessories on the host, as secrets: they become digests and are dropped.
func (l *look) readCertificates(ctx context.Context, group crew) {
	for _, role := range l.desired.Proxied() {
		if !slices.Contains(role.Hosts, l.on.Name) || len(role.CertificateSecrets()) == 0 {
			continue
		}
		name, values := state.CertificateName(role.Name), map[string]release.Secret{}
		l.envs[name] = values
		group.Go(func() error {
			read, note, err := readCertificate(ctx, l.conn.Files, l.paths, role.Name)
			for part, value := range read {
				values[part] = value
			}
			l.notes.Store(name, note)
			return err
		})
	}
}

// readCertificate reads a role's certificate and key, as far as they are there.
func readCertificate(ctx context.Context, f Files, paths layout, role string) (map[string]release.Secret, certificateNote, error) {
	certificate, key := paths.certificate(role)
	var read [3][]byte
	group, ctx := crewWithin(ctx)
	for i, file := range []string{certificate, key, paths.certificateNote(role)} {
		group.Go(func() (err error) { read[i], err = f.Read(ctx, file); return unless(err, fs.ErrNotExist) })
	}
	var note certificateNote
	if err := group.Wait(); err != nil {
		return nil, note, err
	}
	if err := json.Unmarshal(read[2], &note); len(read[2]) > 0 && err != nil {
		note.Pending = true // written in half: telling the proxy once more is harmless
	}
	values := map[string]release.Secret{}
	for i, part := range parts {
		if text := pem(string(read[i])); text != "" {
			values[part] = release.NewSecret(text)
		}
	}
	return values, note, nil
}

// pem is the form in which certificates are compared and written: an editor's or a shell's empty lines around it say nothing.
func pem(text string) string {
	if text = strings.TrimSpace(text); text == "" {
		return ""
	}
	return text + "\n"
}

// certificateAtHand gives a role's certificate and key from the secrets that are at hand here.
func (c *Controller) certificateAtHand(role release.Role) (map[string]release.Secret, error) {
	values := map[string]release.Secret{}
	for i, secret := range role.CertificateSecrets() {
		value, ok, err := c.Secrets.Secret(secret)
		if err != nil {
			return nil, fmt.Errorf("secret %s: %w", secret, err)
		}
		text := pem(value.Reveal())
		switch {
		case !ok:
			continue
		case !strings.HasPrefix(text, "-----BEGIN "):
			return nil, fmt.Errorf("secret %s is no PEM: it does not begin with -----BEGIN; %s of %s is the text of the file, and not its path", secret, parts[i], role.Name)
		}
		values[parts[i]] = release.NewSecret(text)
	}
	return values, nil
}

// parts are those of a certificate, in the order of Role.CertificateSecrets.
var parts = []string{state.Certificate, state.PrivateKey}

// pushCertificate writes a role's certificate and key. What is not at hand keeps what lies on the host, unless all must be. A note
// that the proxy has to be told lies there before the files do: a run that ends here leaves it to the next.
func (c *Controller) pushCertificate(ctx context.Context, conn *Connection, desired release.Release, roleName string, private, all bool) error {
	paths := layoutOf(desired)
	role, _ := desired.Role(roleName)
	values, err := c.certificateAtHand(role)
	if err != nil {
		return err
	}
	if len(values) < len(parts) && !all {
		there, _, err := readCertificate(ctx, conn.Files, paths, roleName)
		if err != nil {
			return err
		}
		for part, value := range there {
			if _, atHand := values[part]; !atHand {
				values[part] = value
			}
		}
	}
	for i, secret := range role.CertificateSecrets() {
		if _, ok := values[parts[i]]; !ok {
			return fmt.Errorf("secret %s is neither in %s nor on the host", secret, sources(c.Secrets))
		}
	}
	if err := noteCertificate(ctx, conn.Files, paths, roleName, certificateNote{Private: private, Pending: true}); err != nil {
		return err
	}
	return writeCertificate(ctx, conn.Files, paths, roleName, values, private)
}

func noteCertificate(ctx context.Context, f Files, paths layout, role string, note certificateNote) error {
	text, err := json.Marshal(note)
	if err != nil {
		return err
	}
	return f.Write(ctx, paths.certificateNote(role), append(text, '\n'), 0o600)
}

// writeCertificate writes the pair: 0600 in directories of 0700 for a proxy that reads as root. For one with a user of its own the
// files and the directories that its container has are open to all, and the directory above them, which it has not, to nobody.
func writeCertificate(ctx context.Context, f Files, paths layout, role string, values map[string]release.Secret, private bool) error {
	certificate, key := paths.certificate(role)
	mode := fs.FileMode(0o600)
	if !private {
		mode = 0o644
		if err := openFor(ctx, f, paths, path.Dir(certificate)); err != nil {
			return err
		}
	}
	for i, file := range []string{certificate, key} {
		if err := f.Write(ctx, file, []byte(values[parts[i]].Reveal()), mode); err != nil {
			return whyNotOurs(err, paths)
		}
	}
	return nil
}

// openFor makes the directories that the proxy's container has, readable for its own user, below one that nobody else may enter.
func openFor(ctx context.Context, f Files, paths layout, dir string) error {
	if err := unless(f.Mkdir(ctx, dir), fs.ErrExist); err != nil {
		return whyNotOurs(err, paths)
	}
	if err := f.Chmod(ctx, path.Dir(paths.appsConfig()), 0o700); err != nil {
		return whyNotOurs(err, paths)
	}
	for at := dir; len(at) >= len(paths.appsConfig()); at = path.Dir(at) {
		if err := f.Chmod(ctx, at, 0o755); err != nil {
			return whyNotOurs(err, paths)
		}
	}
	return nil
}

// openCertificates makes what a proxy that reads as root has of this app readable for one with a user of its own that is to take its
// place: without it that one would refuse the routes, and the change would be taken back.
func openCertificates(ctx context.Context, f Files, desired release.Release, host string) error {
	paths := layoutOf(desired)
	for _, role := range desired.Proxied() {
		if len(role.CertificateSecrets()) == 0 || !slices.Contains(role.Hosts, host) {
			continue
		}
		values, note, err := readCertificate(ctx, f, paths, role.Name)
		if err != nil {
			return err
		}
		if !note.Private || len(values) < len(parts) {
			continue
		}
		if err := writeCertificate(ctx, f, paths, role.Name, values, false); err != nil {
			return err
		}
		note.Private = false
		if err := noteCertificate(ctx, f, paths, role.Name, note); err != nil {
			return err
		}
	}
	return nil
}

// whyNotOurs: an engine makes a directory that it is to mount and that lacks as root's.
func whyNotOurs(err error, paths layout) error {
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return fmt.Errorf("%w; the SSH user may not write below %s, which the engine may have made as root: give it to the user there (chown -R)", err, paths.appsConfig())
}

// told notes that the proxy has read a role's certificate: its route was deployed.
func (r *run) told(ctx context.Context, conn *Connection, host string, role release.Role) error {
	if len(role.CertificateSecrets()) == 0 {
		return nil
	}
	seen, _ := r.seen.Host(host)
	file, _ := seen.EnvFile(state.CertificateName(role.Name))
	private, pushed := file.Private, false
	for _, s := range r.plan.Steps {
		if s.Kind == plan.StepCertificate && s.Host == host && s.Role == role.Name {
			private, pushed = s.Private, true
		}
	}
	if !pushed && !file.Pending {
		return nil
	}
	return noteCertificate(ctx, conn.Files, r.paths, role.Name, certificateNote{Private: private})
}

// makeAppsConfig makes the directory that every proxy's container has, as the SSH user's: the engine would make it as root's.
func makeAppsConfig(ctx context.Context, f Files, paths layout, private bool) error {
	err := unless(f.Mkdir(ctx, paths.appsConfig()), fs.ErrExist)
	if err != nil || private {
		return err
	}
	return unless(f.Chmod(ctx, paths.appsConfig(), 0o755), fs.ErrPermission) // one that the engine made is open already
}

// pushRole pushes all that a role's secrets are on a host: its secrets file, and its certificate.
func (c *Controller) pushRole(ctx context.Context, conn *Connection, desired release.Release, on release.Host, roleName string) error {
	role, _ := desired.Role(roleName)
	if len(desired.EnvOn(role, on).Secrets) > 0 {
		if err := c.pushEnv(ctx, conn, desired, on, roleName, true); err != nil {
			return err
		}
	}
	if len(role.CertificateSecrets()) == 0 {
		return nil
	}
	image := desired.ProxyServer.Image
	proxy, err := conn.Engine.Inspect(ctx, desired.ProxyServer.Name, state.View{})
	if unless(err, state.ErrNotFound) != nil {
		return err
	}
	if err == nil {
		image = proxy.Live.Image
	}
	return c.pushCertificate(ctx, conn, desired, roleName, plan.OwnProxy(image), true)
}

// certificateDigests are the keyed digests of a role's certificate and key that are at hand here.
func (c *Controller) certificateDigests(key digestKey, role release.Role) (map[string]string, error) {
	values, err := c.certificateAtHand(role)
	if err != nil {
		return nil, err
	}
	digests := map[string]string{}
	for part, value := range values {
		digests[part] = key.of(part, value)
	}
	return digests, nil
}

// secretsOf names the file of secrets that a step writes, "" for one that writes none.
func secretsOf(s plan.Step) string {
	switch s.Kind {
	case plan.StepEnv:
		return s.Role
	case plan.StepCertificate:
		return state.CertificateName(s.Role)
	}
	return ""
}
