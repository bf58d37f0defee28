package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// pin finds out which image the release means: from the record of a release of that version, else from hosts that serve it, else
// from the registry (asked by the first host that it answers) or this machine's own engine, else from hosts that have it. The zero Pin
// means it is nowhere, or that neither the registry nor this machine's engine answered: unpinned says why, as far as there is more to
// say.
// The error is for what no host is to blame for.
func (c *Controller) pin(ctx context.Context, k *credentials, observed state.Snapshot, held *state.Record) (pin plan.Pin, unpinned plan.Unpinned, err error) {
	desired := k.desired
	if pin, ok := pinFromRecord(desired, held); ok {
		return pin, plan.Unpinned{}, nil
	}
	if pin, ok := pinFromPartials(desired, observed, held); ok {
		return pin, plan.Unpinned{}, nil
	}
	// A version that was never released may have been built anew under its tag since a host got it: its source decides.
	here, onHosts := pinFromHosts(desired, observed)
	if onHosts && released(desired, observed) {
		return here, plan.Unpinned{}, nil
	}
	found, unpinned, err := c.pinFromSource(ctx, k, observed)
	if onHosts && found.Value() == "" {
		return here, plan.Unpinned{}, nil // the source does not have it, or does not answer: what the hosts have is what there is
	}
	return found, unpinned, err
}

// pinWithoutAsking is what can be told from a snapshot alone.
func pinWithoutAsking(desired release.Release, observed state.Snapshot, held *state.Record) plan.Pin {
	if pin, ok := pinFromRecord(desired, held); ok {
		return pin
	}
	if pin, ok := pinFromPartials(desired, observed, held); ok {
		return pin
	}
	pin, _ := pinFromHosts(desired, observed)
	return pin
}

func pinFromRecord(desired release.Release, held *state.Record) (plan.Pin, bool) {
	if held == nil || held.Version != desired.Version || held.Image != desired.Image() || held.Digest == "" && held.ImageID == "" {
		return plan.Pin{}, false
	}
	return plan.Pin{Digest: held.Digest, ID: held.ImageID, From: fmt.Sprintf("release %d", held.Number)}, true
}

// released tells whether the wanted version already marks what some host serves, or every host's container bears it.
func released(desired release.Release, observed state.Snapshot) bool {
	return slices.ContainsFunc(observed.Hosts, func(host state.Host) bool {
		image, ok := host.Image(desired.Image())
		return ok && image.ID == host.Latest
	})
}

func (c *Controller) pinFromSource(ctx context.Context, k *credentials, observed state.Snapshot) (plan.Pin, plan.Unpinned, error) {
	if k.desired.Registry != nil {
		return k.pinFromRegistry(ctx, observed)
	}
	pin, err := c.pinFromHere(ctx, k.desired.Image())
	if err != nil && ctx.Err() == nil { // it may be there all the same
		return plan.Pin{}, plan.Unpinned{Here: notAskedHere(k.desired, err)}, nil
	}
	return pin, plan.Unpinned{}, err
}

// pinFromHosts takes what the hosts have under the version's tag, when they agree.
func pinFromHosts(desired release.Release, observed state.Snapshot) (plan.Pin, bool) {
	var pin plan.Pin
	for _, host := range observed.Hosts {
		image, ok := host.Image(desired.Image())
		if !ok {
			continue
		}
		found := plan.Pin{ID: image.ID, From: "host " + host.Name}
		if desired.Registry != nil {
			found.Digest = manifestDigest(image, desired.ImageName())
			found.ID = ""
			if found.Digest == "" {
				continue // it did not come from the registry
			}
		}
		if pin.Value() != "" && pin.Value() != found.Value() {
			return plan.Pin{}, false // the hosts differ: the registry decides
		}
		if pin.Value() == "" {
			pin = found
		}
	}
	return pin, pin.Value() != ""
}

// manifestDigest is the digest under which an image came from its repository, "" when it did not.
func manifestDigest(image state.Image, name string) string {
	i := slices.IndexFunc(image.Digests, func(d string) bool { return strings.HasPrefix(d, name+"@") })
	if i < 0 {
		return ""
	}
	return strings.TrimPrefix(image.Digests[i], name+"@")
}

// pinFromRegistry lets the first host ask, and where the registry does not answer that one, all others at once.
func (k *credentials) pinFromRegistry(ctx context.Context, observed state.Snapshot) (plan.Pin, plan.Unpinned, error) {
	desired := k.desired
	if _, err := k.get(); err != nil {
		return plan.Pin{}, plan.Unpinned{}, err
	}
	var hosts []release.Host
	for _, host := range observed.Hosts {
		if on, ours := desired.Host(host.Name); ours && host.Unreachable == "" {
			hosts = append(hosts, on)
		}
	}
	unpinned := plan.Unpinned{Hosts: map[string]plan.Problem{}}
	first := min(1, len(hosts))
	for _, asked := range [][]release.Host{hosts[:first], hosts[first:]} {
		for i, reply := range k.askAll(ctx, asked, desired.Image()) {
			switch {
			case reply.err == nil:
				k.pinnedOn, k.pinned = asked[i].Name, reply.manifest
				return plan.Pin{Digest: reply.manifest.Digest, From: "registry"}, plan.Unpinned{}, nil
			case errors.Is(reply.err, state.ErrNotFound):
				return plan.Pin{}, nowhere(asked[i].Name, reply.err), nil
			}
			unpinned.Hosts[asked[i].Name] = notGiven(desired, asked[i].Name, "the image "+desired.Image(), reply.err)
		}
	}
	return plan.Pin{}, unpinned, nil
}

// nowhere is what a registry has told a host that has no such image, where that is more than that there is no such tag. What one host is
// told is true of all.
func nowhere(asked string, err error) plan.Unpinned {
	fault, ok := errors.AsType[*state.RegistryError](err)
	if !ok || fault.Fault != state.FaultRepository {
		return plan.Unpinned{}
	}
	return plan.Unpinned{Nowhere: why(err, asked), Next: fmt.Sprintf("correct `image`, or make the repository at %s and push to it", fault.Registry)}
}

// pinFromHere asks this machine's own engine, from which images are carried when there is no registry.
func (c *Controller) pinFromHere(ctx context.Context, ref string) (plan.Pin, error) {
	image, err := c.imageHere(ctx, ref)
	if err != nil || image.ID == "" {
		return plan.Pin{}, err
	}
	return plan.Pin{ID: image.ID, From: "this machine", Arch: image.Arch, Bytes: image.Size}, nil
}

// auth looks up what the registry wants to see.
func (c *Controller) auth(desired release.Release, lookup lookup) (release.Auth, error) {
	registry := desired.Registry
	if registry == nil {
		return release.Auth{}, nil
	}
	auth := release.Auth{Server: registry.Server, Username: registry.Username}
	if registry.UsernameSecret != "" {
		name, err := c.secretBy(lookup, registry.UsernameSecret, "registry.username")
		if err != nil {
			return release.Auth{}, err
		}
		auth.Username = name.Reveal()
	}
	if registry.PasswordSecret != "" {
		password, err := c.secretBy(lookup, registry.PasswordSecret, "registry.password")
		if err != nil {
			return release.Auth{}, err
		}
		auth.Password = password
	}
	return auth, nil
}

// secret looks one secret up that cannot be done without.
func (c *Controller) secret(name, use string) (release.Secret, error) {
	return c.secretBy(c.Secrets.Secret, name, use)
}

// lookup is a way to look a secret up: Secrets.Secret or Secrets.Renew.
type lookup func(name string) (release.Secret, bool, error)

func (c *Controller) secretBy(lookup lookup, name, use string) (release.Secret, error) {
	value, ok, err := lookup(name)
	if err != nil {
		return release.Secret{}, fmt.Errorf("secret %s (%s): %w", name, use, err)
	}
	if !ok {
		return release.Secret{}, fmt.Errorf("secret %s (%s) is in none of: %s; add a line %s=… or %s=$(command) to one of them", name, use, sources(c.Secrets), name, name)
	}
	return value, nil
}

func sources(s Secrets) string {
	list := s.Sources()
	if len(list) == 0 {
		return "no secrets file is there"
	}
	return strings.Join(list, ", ")
}

func orHub(server string) string {
	if server == "" {
		return "Docker Hub"
	}
	return server
}
