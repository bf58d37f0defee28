package reconcile

import (
	"cmp"
	"context"
	"errors"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// RemoveApp takes the roles in scope away: their routes, their containers; and where a host has no other of the app's roles, the app's
// images, secrets, certificates and assets there. That this is on purpose is on the host before anything ends, with the release records:
// nobody heals it, until BootApp. Volumes stay, and are named.
func (c *Controller) RemoveApp(ctx context.Context, desired release.Release, reason string, hosts, roles []string) (Commanded, error) {
	scope, err := plan.FilterOf(desired, hosts, roles)
	if err != nil {
		return Commanded{}, err
	}
	r := &removal{work: &work{c: c, desired: desired, scope: scope, verb: "remove", past: "Removed app", ordered: true}, reason: StopReason{Reason: cmp.Or(reason, "app remove")}}
	r.work.deeds = func(host string) (list []deed) {
		mine := rolesOn(desired, scope, host)
		for _, role := range mine {
			list = append(list, removalDeed(host, role, "remove "+role))
		}
		if len(mine) > 0 && len(mine) == len(rolesOn(desired, plan.Filter{}, host)) {
			list = append(list, removalDeed(host, "", removeImages), removalDeed(host, "", removeFiles))
		}
		return list
	}
	r.work.do = r.do
	if len(r.concerned()) == 0 {
		return Commanded{}, noRole(desired, scope)
	}
	return r.carryOut(ctx)
}

// RemoveService takes all of an app away from every host that can be reached, also from those that left the file: routes, containers, then
// those of its accessories but for shared ones, images, secrets, records, its audit file, and the proxy where no other app uses it. What
// accessories have kept, and volumes, go with data alone. What is gone already is no failure, so that a removal that was interrupted goes
// on from there.
func (c *Controller) RemoveService(ctx context.Context, desired release.Release, data bool) (Commanded, error) {
	seen, _, err := c.look(ctx, desired, false)
	if err != nil {
		return Commanded{}, err
	}
	desired = wide(desired, seen)
	proxied, _ := ProxyHosts(desired, nil) // none: there is no proxy to ask about
	r := &removal{work: &work{c: c, desired: desired, verb: "remove", past: "Removed", ofProxy: true, ordered: true, stages: 2, registry: c.credentials(desired)},
		reason: StopReason{Reason: "remove"}, whole: true, data: data, left: leftBesides(desired, seen), volumes: map[string][]string{}}
	r.work.deeds = func(host string) (list []deed) {
		for _, role := range rolesOn(desired, plan.Filter{}, host) {
			list = append(list, removalDeed(host, role, "remove "+role))
		}
		list = append(list, r.besideDeeds(host)...)
		last := []string{removeImages, removeVolumes, removeProxy, removeFiles}
		for _, what := range last {
			if what == removeVolumes && !data || what == removeProxy && !slices.Contains(proxied, host) {
				continue
			}
			d := removalDeed(host, "", what)
			d.stage = 2
			list = append(list, d)
		}
		return list
	}
	r.work.do = r.do
	done, err := r.carryOut(ctx)
	if len(done.Done) > 0 {
		_, _, looked := c.look(context.WithoutCancel(ctx), desired, false) // the store knows what is left
		err = errors.Join(err, looked)
	}
	return done, err
}

// What is removed of a host beside its roles.
const (
	removeImages  = "remove the images"
	removeVolumes = "remove the volumes"
	removeProxy   = "remove the proxy"
	removeFiles   = "remove the files"
)

func removalDeed(host, role, what string) deed {
	d := deed{kind: "app-remove", host: host, role: role, message: what, silent: what == removeFiles}
	d.step = "remove/" + host + "/" + cmp.Or(role, strings.ReplaceAll(strings.TrimPrefix(what, "remove the "), " ", "-"))
	return d
}

// removal is an app being taken away.
type removal struct {
	*work
	reason StopReason
	whole  bool                           // nothing of it stays: no record, no note, no proxy that nobody needs
	data   bool                           // nor a volume, nor what accessories have kept
	left   map[string][]release.Accessory // by host, accessories that the file has not there

	mu      sync.Mutex
	volumes map[string][]string // by host, of what was removed there
	unended bool                // a role could not be ended
}

// failed tells whether a role could not be ended somewhere.
func (r *removal) failed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.unended
}

func (r *removal) do(ctx context.Context, on release.Host, d deed) (CommandedOn, error) {
	ctx = withStep(ctx, d.step)
	switch d.message {
	case removeImages:
		return r.images(ctx, on)
	case removeVolumes:
		return r.removeData(ctx, on)
	case removeProxy:
		return r.proxy(ctx, on)
	case removeFiles:
		return r.files(ctx, on)
	}
	if _, is := state.AccessoryOf(d.role); is {
		return r.accessory(ctx, on, d)
	}
	result, err := r.ofRole(ctx, on, d.role)
	if err != nil {
		r.mu.Lock()
		r.unended = true
		r.mu.Unlock()
	}
	return result, err
}

func (r *removal) ofRole(ctx context.Context, on release.Host, name string) (CommandedOn, error) {
	role, err := r.seeRole(ctx, on, name)
	if err != nil {
		return CommandedOn{Host: on.Name, Role: name}, err
	}
	err = r.role(ctx, role)
	return CommandedOn{Host: on.Name, Role: name, Did: role.did, Unchanged: role.unchanged, Notes: role.notes}, err
}

// role takes a role's route and containers away.
func (r *removal) role(ctx context.Context, on *roleOn) error {
	if len(on.own) > 0 || !r.whole { // a removal that goes on leaves no new note behind
		if err := on.note(ctx, r.reason); err != nil {
			return err
		}
	}
	kept, err := r.mounted(ctx, on)
	if err != nil {
		return err
	}
	if err := on.end(ctx); err != nil {
		return err
	}
	for _, c := range on.own {
		if err := on.conn.Engine.Remove(ctx, c.ID); err != nil {
			return err
		}
	}
	on.unchanged, on.did = len(on.own) == 0 && on.did == alreadyStopped, "removed "+containerNames(on.own)
	if len(on.own) == 0 {
		on.did = "nothing of it was there"
	}
	if len(kept) > 0 {
		on.say("its data stays: %s", strings.Join(kept, ", "))
	}
	return nil
}

// mounted notes the volumes of a role's containers, and names what of its data stays: with data, only what is no volume.
func (r *removal) mounted(ctx context.Context, on *roleOn) (stays []string, err error) {
	var volumes []string
	for _, c := range on.own {
		seen, err := on.conn.Engine.Inspect(ctx, c.ID, state.View{})
		if errors.Is(err, state.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		volumes = append(volumes, seen.Live.Volumes...)
	}
	for _, volume := range volumes {
		source, _, _ := strings.Cut(volume, ":")
		if isVolume := !path.IsAbs(source); isVolume && r.data {
			r.remember(on.on.Name, source)
		} else if !slices.Contains(stays, source) {
			stays = append(stays, source)
		}
	}
	return stays, nil
}

func (r *removal) remember(host, volume string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.Contains(r.volumes[host], volume) {
		r.volumes[host] = append(r.volumes[host], volume)
	}
}
