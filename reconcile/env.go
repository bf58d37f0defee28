package reconcile

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"sort"
	"strings"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// PushEnv writes the secrets files of every role in scope, from the secrets that are at hand here, and gives where: host/role. It
// restarts nothing. A secret that is missing is an error before anything is written; a host that cannot be reached keeps the
// others from nothing.
func (c *Controller) PushEnv(ctx context.Context, desired release.Release, scope plan.Filter) ([]string, error) {
	desired = within(desired, scope)
	if err := c.needSecrets(desired); err != nil {
		return nil, err
	}
	var deeds []deed
	for _, on := range desired.Hosts {
		for _, role := range desired.Tenants() {
			if slices.Contains(role.Hosts, on.Name) && len(desired.EnvOn(role, on).Secrets)+len(role.CertificateSecrets()) > 0 {
				deeds = append(deeds, pushDeed(on.Name, role.Name))
			}
		}
	}
	if len(deeds) == 0 {
		return nil, nil
	}
	notes := c.journal(desired.App())
	if err := notes.intend(deeds...); err != nil {
		return nil, err
	}
	pushed, errs := make([][]string, len(desired.Hosts)), make([]error, len(desired.Hosts))
	c.everyHost(desired, func(i int, on release.Host) {
		mine := slices.DeleteFunc(slices.Clone(deeds), func(d deed) bool { return d.host != on.Name })
		if len(mine) > 0 {
			pushed[i], errs[i] = c.pushHost(ctx, desired, on, mine, notes)
		}
	})
	return slices.Concat(pushed...), errors.Join(append(errs, notes.write())...)
}

func pushDeed(host, role string) deed {
	return deed{kind: "env-push", host: host, role: role, step: "env-push/" + host + "/" + role, message: "push the secrets of " + role}
}

// pushHost pushes a host's files, one role after another, as far as it gets.
func (c *Controller) pushHost(ctx context.Context, desired release.Release, on release.Host, deeds []deed, notes *journal) (pushed []string, err error) {
	conn, err := c.fleet.Connection(ctx, on)
	for _, d := range deeds {
		if err != nil {
			notes.end(d, fmt.Errorf("%w: %w", errSkipped, err))
			continue
		}
		err = c.pushRole(ctx, conn, desired, on, d.role)
		notes.end(d, err)
		if err != nil {
			err = fmt.Errorf("%s: secrets of %s: %w", on.Name, d.role, err)
			continue
		}
		pushed = append(pushed, on.Name+"/"+d.role)
		c.auditOn(ctx, conn, desired, d.role, "Pushed the secrets of "+d.role)
	}
	return pushed, err
}

// needSecrets names every secret that is missing, with the roles that want it.
func (c *Controller) needSecrets(desired release.Release) error {
	wanted := map[string]map[string]bool{}
	for _, role := range desired.Tenants() {
		for _, on := range desired.Hosts {
			if !slices.Contains(role.Hosts, on.Name) {
				continue
			}
			for _, secret := range append(slices.Collect(maps.Values(desired.EnvOn(role, on).Secrets)), role.CertificateSecrets()...) {
				if wanted[secret] == nil {
					wanted[secret] = map[string]bool{}
				}
				wanted[secret][role.Name] = true
			}
		}
	}
	var errs []error
	for _, name := range sortedKeys(wanted) {
		if _, err := c.secret(name, "env of "+strings.Join(sortedKeys(wanted[name]), ", ")); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// pushEnv writes one role's secrets file. Unless all must be at hand, those that are not keep the values on the host.
func (c *Controller) pushEnv(ctx context.Context, conn *Connection, desired release.Release, on release.Host, roleName string, all bool) error {
	paths := layoutOf(desired)
	role, _ := desired.Role(roleName)
	values := map[string]release.Secret{}
	var kept map[string]release.Secret
	for name, secret := range desired.EnvOn(role, on).Secrets {
		value, ok, err := c.Secrets.Secret(secret)
		if err != nil {
			return err
		}
		if !ok && kept == nil && !all {
			if kept, err = readEnv(ctx, conn.Files, paths, roleName); unless(err, fs.ErrNotExist) != nil {
				return err
			}
		}
		if !ok {
			if value, ok = kept[name]; !ok {
				return fmt.Errorf("secret %s is neither in %s nor on the host", secret, sources(c.Secrets))
			}
		}
		values[name] = value
	}
	if _, err := c.makeKey(ctx, conn, paths, on.Name); err != nil {
		return err
	}
	plain, lines := release.EncodeEnvFile(values)
	if err := conn.Files.Write(ctx, paths.env(roleName), plain, 0o600); err != nil {
		return err
	}
	if lines == nil {
		return conn.Files.Remove(ctx, paths.envJSON(roleName))
	}
	return conn.Files.Write(ctx, paths.envJSON(roleName), lines, 0o600)
}

// makeKey makes the host's digest key at the first push, and never again: every bastion must compute the same digests. Roles of a
// host are pushed at once: one of them makes it for all.
func (c *Controller) makeKey(ctx context.Context, conn *Connection, paths layout, host string) ([]byte, error) {
	key, err, _ := c.making.Do(host+" "+paths.key(), func() (made any, err error) { // those who wait are not to break with who makes it
		err = Guard(func() (err error) { made, err = makeKeyOn(withStep(ctx, "key"), conn, paths); return })
		return made, err
	})
	if err != nil {
		return nil, err
	}
	return key.([]byte), nil
}

func makeKeyOn(ctx context.Context, conn *Connection, paths layout) ([]byte, error) {
	key, err := conn.Files.Read(ctx, paths.key())
	if err == nil && len(key) > 0 {
		return key, nil
	}
	if unless(err, fs.ErrNotExist) != nil {
		return nil, err
	}
	key = make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		return nil, err
	}
	return key, conn.Files.Write(ctx, paths.key(), key, 0o600)
}

// digests gives, for every host and role, the keyed digest of each variable whose secret is at hand here: what a push would
// put there. A secret that cannot be looked up at all is an error; one that is not here is not.
func (c *Controller) digests(desired release.Release, observed state.Snapshot, keys keys) (map[string]map[string]map[string]string, error) {
	all := map[string]map[string]map[string]string{}
	for _, on := range desired.Hosts {
		host, ok := observed.Host(on.Name)
		if !ok || host.Unreachable != "" {
			continue
		}
		for _, role := range desired.Tenants() {
			names := desired.EnvOn(role, on).Secrets
			certified := len(role.CertificateSecrets()) > 0
			if !slices.Contains(role.Hosts, on.Name) || len(names) == 0 && !certified {
				continue
			}
			if all[on.Name] == nil {
				all[on.Name] = map[string]map[string]string{}
			}
			var err error
			if len(names) > 0 {
				all[on.Name][role.Name], err = c.roleDigests(keys[on.Name], names)
			}
			if err == nil && certified {
				all[on.Name][state.CertificateName(role.Name)], err = c.certificateDigests(keys[on.Name], role)
			}
			if err != nil {
				return nil, err
			}
		}
		if err := c.contentDigests(desired, on, keys, all); err != nil {
			return nil, err
		}
		if _, looked := keys[on.Name]; !looked {
			asThere(host, all[on.Name])
		}
	}
	return all, nil
}

// asThere has what is at hand count as what lies on a host that was not looked at: without its key they cannot be compared.
func asThere(host state.Host, atHand map[string]map[string]string) {
	for role, digests := range atHand {
		file, _ := host.EnvFile(role)
		for name := range digests {
			digests[name] = file.Digests[name]
		}
	}
}

func (c *Controller) roleDigests(key digestKey, names map[string]string) (map[string]string, error) {
	digests := map[string]string{}
	for name, secret := range names {
		value, ok, err := c.Secrets.Secret(secret)
		if err != nil {
			return nil, fmt.Errorf("secret %s: %w", secret, err)
		}
		if !ok {
			continue
		}
		digests[name] = key.of(name, value)
	}
	return digests, nil
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	return keys
}

// readEnv reads a role's secrets file, and the one beside it for values of several lines. fs.ErrNotExist when there is none.
func readEnv(ctx context.Context, f Files, paths layout, role string) (map[string]release.Secret, error) {
	var plain, lines []byte
	group, ctx := crewWithin(ctx)
	group.Go(func() (err error) { plain, err = f.Read(ctx, paths.env(role)); return })
	group.Go(func() (err error) {
		lines, err = f.Read(ctx, paths.envJSON(role))
		return unless(err, fs.ErrNotExist)
	})
	if err := group.Wait(); err != nil {
		return nil, err
	}
	values, err := release.ParseEnv(plain, lines)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", paths.env(role), err)
	}
	return values, nil
}
