package reconcile

import (
	"context"
	"fmt"
	"slices"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// EnvChange is how a secret differs.
type EnvChange string

const (
	EnvMissing   EnvChange = "missing"     // the host's file lacks it
	EnvOther     EnvChange = "other"       // the host's file has another value than the one at hand
	EnvExtra     EnvChange = "extra"       // the host's file has it, and the release does not name it
	EnvNotAtHand EnvChange = "not-at-hand" // the value is not here, so nothing can be said
	EnvStale     EnvChange = "stale"       // what runs was started with another value than the host's file has
	EnvUnread    EnvChange = "unread"      // a certificate lies on the host, and the proxy has not read it yet
)

// EnvDifference is one variable of a role on a host whose value is not everywhere the same. It has names only.
type EnvDifference struct {
	Host   string    `json:"host"`
	Role   string    `json:"role"`
	Name   string    `json:"name"`
	Secret string    `json:"secret,omitempty"` // the secret's name where it is another one
	Change EnvChange `json:"change"`
}

// EnvDiff compares, by digest, the secrets at hand with the files on the hosts, and those with what runs. A host that cannot be
// reached is among the skipped.
func (c *Controller) EnvDiff(ctx context.Context, desired release.Release, scope plan.Filter) (differences []EnvDifference, skipped []plan.Skipped, err error) {
	seen, keys, err := c.look(ctx, desired, false) // the whole release's: the look is kept
	if err != nil {
		return nil, nil, err
	}
	desired = within(desired, scope)
	atHand, err := c.digests(desired, seen, keys)
	if err != nil {
		return nil, nil, err
	}
	for _, on := range desired.Hosts {
		if !slices.ContainsFunc(desired.Tenants(), func(r release.Role) bool { return slices.Contains(r.Hosts, on.Name) }) {
			continue
		}
		host, _ := seen.Host(on.Name)
		if host.Unreachable != "" {
			skipped = append(skipped, plan.Skipped{Host: on.Name, Reason: host.Unreachable})
			continue
		}
		for _, role := range desired.Tenants() {
			if slices.Contains(role.Hosts, on.Name) {
				differences = append(differences, envDifferences(desired, host, on, role, atHand[on.Name][role.Name])...)
				differences = append(differences, certificateDifferences(host, role, atHand[on.Name][state.CertificateName(role.Name)])...)
			}
		}
	}
	return differences, skipped, nil
}

func envDifferences(desired release.Release, host state.Host, on release.Host, role release.Role, atHand map[string]string) []EnvDifference {
	wanted := desired.EnvOn(role, on).Secrets
	file, _ := host.EnvFile(role.Name)
	runs, _ := plan.CurrentOf(desired.App(), host, role.Name)
	var found []EnvDifference
	add := func(name string, change EnvChange) {
		d := EnvDifference{Host: on.Name, Role: role.Name, Name: name, Change: change}
		if wanted[name] != name {
			d.Secret = wanted[name]
		}
		found = append(found, d)
	}
	for _, name := range sortedKeys(wanted) {
		local, here := atHand[name]
		there, has := file.Digests[name]
		running, started := runs.Live.Secrets[name]
		switch {
		case !has:
			add(name, EnvMissing)
		case !here:
			add(name, EnvNotAtHand)
		case !state.SameSecret(local, there):
			add(name, EnvOther)
		}
		if has && started && !state.SameSecret(running, there) {
			add(name, EnvStale)
		}
	}
	for _, name := range sortedKeys(file.Digests) {
		if _, named := wanted[name]; !named {
			add(name, EnvExtra)
		}
	}
	return found
}

// certificateDifferences compares a role's certificate and key at hand with those on the host, and says when the proxy has still to read
// them.
func certificateDifferences(host state.Host, role release.Role, atHand map[string]string) (found []EnvDifference) {
	file, _ := host.EnvFile(state.CertificateName(role.Name))
	for i, secret := range role.CertificateSecrets() {
		local, here := atHand[parts[i]]
		there, has := file.Digests[parts[i]]
		d := EnvDifference{Host: host.Name, Role: role.Name, Name: parts[i], Secret: secret}
		switch {
		case !has:
			d.Change = EnvMissing
		case !here:
			d.Change = EnvNotAtHand
		case !state.SameSecret(local, there):
			d.Change = EnvOther
		case file.Pending:
			d.Change = EnvUnread
		default:
			continue
		}
		found = append(found, d)
	}
	return found
}

// String says it to a person, without where it is.
func (d EnvDifference) String() string {
	name := d.Name
	if d.Secret != "" {
		name = fmt.Sprintf("%s (secret %s)", d.Name, d.Secret)
	}
	switch d.Change {
	case EnvMissing:
		return name + " is not on the host"
	case EnvOther:
		return name + " has another value on the host"
	case EnvExtra:
		return name + " is on the host, and the file names it no more"
	case EnvNotAtHand:
		return name + " is on the host, and not at hand here to compare"
	case EnvStale:
		return name + " was another when what runs was started"
	case EnvUnread:
		return name + " is on the host, and the proxy has not read it yet: the next `kamald apply` tells it"
	}
	return name
}
