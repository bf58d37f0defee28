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
// from the registry (asked by the first reachable host) or this machine's own engine, else from hosts that have it. The zero Pin means it is
// nowhere; the error is for a registry that refused or could not be asked.
func (c *Controller) pin(ctx context.Context, desired release.Release, observed state.Snapshot, held *state.Record) (plan.Pin, error) {
	if pin, ok := pinFromRecord(desired, held); ok {
		return pin, nil
	}
	if pin, ok := pinFromPartials(desired, observed, held); ok {
		return pin, nil
	}
	// A version that was never released may have been built anew under its tag since a host got it: its source decides.
	here, onHosts := pinFromHosts(desired, observed)
	if onHosts && released(desired, observed) {
		return here, nil
	}
	found, err := c.pinFromSource(ctx, desired, observed)
	if onHosts && found.Value() == "" {
		return here, nil // the source does not have it, or does not answer: what the hosts have is what there is
	}
	return found, err
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

func (c *Controller) pinFromSource(ctx context.Context, desired release.Release, observed state.Snapshot) (plan.Pin, error) {
	if desired.Registry != nil {
		return c.pinFromRegistry(ctx, desired, observed)
	}
	return c.pinFromHere(ctx, desired.Image())
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

func (c *Controller) pinFromRegistry(ctx context.Context, desired release.Release, observed state.Snapshot) (plan.Pin, error) {
	auth, err := c.auth(desired)
	if err != nil {
		return plan.Pin{}, err
	}
	for _, host := range observed.Hosts {
		on, ours := desired.Host(host.Name)
		if host.Unreachable != "" || !ours {
			continue
		}
		conn, err := c.fleet.Connection(ctx, on)
		if err != nil {
			continue // it was reachable a moment ago; another may still be
		}
		digest, err := conn.Engine.ResolveDigest(ctx, desired.Image(), auth)
		switch {
		case err == nil:
			return plan.Pin{Digest: digest, From: "registry"}, nil
		case errors.Is(err, state.ErrNotFound):
			return plan.Pin{}, nil
		case errors.Is(err, state.ErrDenied):
			return plan.Pin{}, fmt.Errorf("the registry %s refuses to show %s: %w; check registry.username and the secret of registry.password", orHub(desired.Registry.Server), desired.Image(), err)
		default:
			return plan.Pin{}, fmt.Errorf("the registry cannot be asked for %s from %s: %w", desired.Image(), host.Name, err)
		}
	}
	return plan.Pin{}, nil
}

// pinFromHere asks this machine's own engine, from which images are carried when there is no registry.
func (c *Controller) pinFromHere(ctx context.Context, ref string) (plan.Pin, error) {
	conn, err := c.fleet.Connection(ctx, release.Host{Name: release.LocalHost, Address: release.LocalHost})
	if err != nil {
		return plan.Pin{}, nil // no engine here: then there is no image here
	}
	image, err := conn.Engine.Image(ctx, ref)
	if errors.Is(err, state.ErrNotFound) {
		return plan.Pin{}, nil
	}
	return plan.Pin{ID: image.ID, From: "this machine"}, err
}

// auth looks up what the registry wants to see.
func (c *Controller) auth(desired release.Release) (release.Auth, error) {
	registry := desired.Registry
	if registry == nil {
		return release.Auth{}, nil
	}
	auth := release.Auth{Server: registry.Server, Username: registry.Username}
	if registry.UsernameSecret != "" {
		name, err := c.secret(registry.UsernameSecret, "registry.username")
		if err != nil {
			return release.Auth{}, err
		}
		auth.Username = name.Reveal()
	}
	if registry.PasswordSecret != "" {
		password, err := c.secret(registry.PasswordSecret, "registry.password")
		if err != nil {
			return release.Auth{}, err
		}
		auth.Password = password
	}
	return auth, nil
}

// secret looks one secret up that cannot be done without.
func (c *Controller) secret(name, use string) (release.Secret, error) {
	value, ok, err := c.Secrets.Secret(name)
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
