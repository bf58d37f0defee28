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

// ArrivedError: what a host has after a pull is not the image that was planned. Nothing was tagged.
type ArrivedError struct {
	Host  string
	Image string // as it was pulled: repository@sha256:…
	Found string // what the host has in its place
}

func (e *ArrivedError) Error() string {
	return fmt.Sprintf("what came to %s is not the image that was planned: wanted %s, found %s; nothing was tagged\n  next: the host's engine or a mirror of its gives something else than it was asked for: look there, then do the same again", e.Host, e.Image, e.Found)
}

// pull gets the pinned image from the registry, and gives it the version's tag when it is that very image.
func (r *run) pull(ctx context.Context, conn *Connection, s plan.Step) error {
	ref := r.desired.ImageName() + "@" + r.plan.Pin.Digest
	if err := r.registry.pull(ctx, conn, ref, plan.PullPlatform(r.desired, s.Host)); err != nil {
		return advised(imageOf(r.desired), s.Host, err)
	}
	image, err := conn.Engine.Image(ctx, ref)
	switch {
	case errors.Is(err, state.ErrNotFound):
		return &ArrivedError{Host: s.Host, Image: ref, Found: "no image of that digest"}
	case err != nil:
		return err
	case !slices.ContainsFunc(image.Digests, func(d string) bool { return strings.HasSuffix(d, "@"+r.plan.Pin.Digest) }):
		return &ArrivedError{Host: s.Host, Image: ref, Found: fmt.Sprintf("%s (%s)", image.ID, strings.Join(image.Digests, ", "))}
	}
	return conn.Engine.Tag(ctx, image.ID, s.Name)
}

// notGiven is the problem of a host that a registry does not give what it was asked for.
func notGiven(desired release.Release, host, what string, err error) plan.Problem {
	next := "mend that, or go back to another release of `kamald history`"
	if fault, ok := errors.AsType[*state.RegistryError](err); ok {
		next = imageOf(desired).advice(host, fault)
	}
	from := "the registry"
	if desired.Registry != nil {
		from += " " + orHub(desired.Registry.Server)
	}
	return plan.Problem{Host: host, Summary: fmt.Sprintf("%s is not on the host, and %s cannot give it: %s", what, from, why(err, host)), Next: next}
}

// advised is an error with what to do about it, where a registry is at fault.
func advised(asked wanted, host string, err error) error {
	fault, ok := errors.AsType[*state.RegistryError](err)
	if !ok || fault.Fault == state.FaultRoom { // a full disk is told of by itself
		return err
	}
	return fmt.Errorf("%w\n  next: %s", err, asked.advice(host, fault))
}

// wanted is what a registry was asked for.
type wanted struct {
	ref    string
	server string            // the setting that names its server
	all    string            // those that name it
	ours   bool              // it is of the release's registry
	login  *release.Registry // that is shown then
}

// imageOf is the release's own image.
func imageOf(desired release.Release) wanted {
	return wanted{ref: desired.Image(), server: "registry.server", all: "`image` and registry.server", ours: true, login: desired.Registry}
}

// proxyImageOf is the image that its proxies are made from.
func proxyImageOf(k *credentials) wanted {
	ref := k.desired.ProxyServer.Image
	return wanted{ref: ref, server: "proxy_server.image", all: "proxy_server.image", ours: k.knows(ref), login: k.desired.Registry}
}

// advice says what to do about a registry's fault.
func (w wanted) advice(host string, fault *state.RegistryError) string {
	at := fault.Registry
	switch fault.Fault {
	case state.FaultUnreached:
		return fmt.Sprintf("see that the registry runs and that %s reaches it: `curl -i https://%s/v2/` there", host, at)
	case state.FaultStalled:
		return fmt.Sprintf("look at the line between %s and %s, at a mirror or a proxy in between, and at the engine there (journalctl -u docker); then do the same again", host, at)
	case state.FaultName:
		return fmt.Sprintf("correct %s, or what %s resolves names with: `getent hosts %s` there", w.server, host, strings.Split(at, ":")[0])
	case state.FaultCertificate:
		return fmt.Sprintf("put the certificate of the authority that signed the registry's into /etc/docker/certs.d/%s/ca.crt on %s; the engine need not be restarted", at, host)
	case state.FaultPlain:
		return fmt.Sprintf("the registry speaks HTTP: give it a certificate, or list %q in insecure-registries of /etc/docker/daemon.json on %s and reload Docker there (systemctl reload docker)", at, host)
	case state.FaultDenied:
		return w.deniedAdvice()
	case state.FaultLimit:
		return w.limitAdvice()
	case state.FaultRepository, state.FaultReference:
		return fmt.Sprintf("push %s, or correct %s", w.ref, w.all)
	case state.FaultPlatform:
		return fmt.Sprintf("build and push it for the platform of %s too", host)
	case state.FaultDamaged:
		return "what came is not what its digest says, and nothing was tagged: the copy at the registry or at a mirror is damaged, or the way there is; push the image again, and do the same again"
	case state.FaultRoom:
		return fmt.Sprintf("make room on %s: `kamald prune` removes what no rollback needs", host)
	case state.FaultBroken:
		return "the registry met an error of its own, three times: its log says which"
	}
	return "mend that, and do the same again"
}

func (w wanted) deniedAdvice() string {
	switch {
	case !w.ours:
		return fmt.Sprintf("it wants to know who asks, and the release's credentials are for its own registry alone: push %s there, and say so in %s", w.ref, w.all)
	case w.login == nil || w.login.PasswordSecret == "":
		return "the registry wants to know who asks: set registry.username and registry.password"
	}
	name, _, _ := cutLast(w.ref, ":")
	return fmt.Sprintf("check registry.username and the secret %s, which was looked up anew before this was said; who logs in needs the right to pull %s", w.login.PasswordSecret, name)
}

func (w wanted) limitAdvice() string {
	if w.ours && (w.login == nil || w.login.PasswordSecret == "") {
		return "log in, with registry.username and registry.password: what is pulled without is counted by the server's address; or wait until the limit is over"
	}
	return "wait until the limit of that account is over, or give the hosts' engines a mirror (registry-mirrors in /etc/docker/daemon.json)"
}
