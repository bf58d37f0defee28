package reconcile

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"sync"
	"time"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// image gets the pinned image to a host, by digest from the registry or carried from this machine, under its version's tag.
func (r *run) image(ctx context.Context, conn *Connection, s plan.Step) error {
	if r.tagged(ctx, conn, s) {
		return nil
	}
	if r.plan.Pin.Digest != "" {
		return r.pull(state.WithPulled(ctx, r.pulling(s)), conn, s)
	}
	return r.carry(ctx, conn, s)
}

// pulling says now and then how much of a step's image has come.
func (r *run) pulling(s plan.Step) state.Pulled {
	var mu sync.Mutex
	var said time.Time
	return func(come, total int64) {
		mu.Lock()
		defer mu.Unlock()
		now := r.c.now()
		if now.Sub(said) < bytesEvery {
			return
		}
		said = now
		message := describe(s) + ": " + plan.Size(come)
		if total > 0 {
			message += " of " + plan.Size(total)
		}
		r.c.report(Progress{Kind: "bytes", Host: s.Host, Role: s.Role, Step: s.ID, Phase: s.Phase.String(), Bytes: come, Total: total, Message: message})
	}
}

// tagged tells whether the host has the very image under another name, and has given it the version's tag: it need not come
// again, and may not be at the registry any more.
func (r *run) tagged(ctx context.Context, conn *Connection, s plan.Step) bool {
	seen, _ := r.seen.Host(s.Host)
	image, there := pinned(seen, r.desired, r.plan.Pin)
	return there && conn.Engine.Tag(ctx, image.ID, s.Name) == nil
}

// create makes a container from its spec, with the secrets that lie on the host; they are in memory for this call only. One
// that is there with the wanted name and spec is adopted.
func (r *run) create(ctx context.Context, conn *Connection, s plan.Step) error {
	spec := *s.Spec
	values, err := r.secretsFor(ctx, conn, s.Host, s.Role, &spec)
	if err != nil {
		return err
	}
	if err := r.contentsFor(ctx, conn, s, &spec); err != nil {
		return err
	}
	labels := map[string]string{
		state.LabelSpec:     spec.JSON(),
		state.LabelSpecHash: spec.Hash(),
		state.LabelRelease:  strconv.Itoa(r.record.Number),
		state.LabelFence:    strconv.Itoa(r.record.Fence),
		state.LabelRunDir:   r.runDir(s.Host),
	}
	if a, is := r.accessory(s); is {
		labels[state.LabelAccessory] = r.record.App.OwnedAs(a.Name)
		if a.Shared {
			labels[state.LabelShared] = "true"
		}
	}
	id, err := conn.Engine.Create(ctx, s.Name, spec, labels, values)
	if errors.Is(err, state.ErrConflict) || errors.Is(err, state.ErrUnreachable) {
		id, err = r.adopt(ctx, s, spec, err)
	}
	if err != nil {
		return err
	}
	r.made(s.Host, s.Name, id)
	return nil
}

// adopt looks whether the container is there all the same: an earlier reply was lost.
func (r *run) adopt(ctx context.Context, s plan.Step, spec state.Spec, cause error) (string, error) {
	conn, err := r.connection(ctx, s.Host)
	if err != nil {
		return "", cause
	}
	there, err := conn.Engine.Inspect(ctx, s.Name, state.View{})
	if err != nil || there.Asked == nil || there.Asked.Hash() != spec.Hash() {
		return "", cause
	}
	return there.ID, nil
}

func (r *run) runDir(host string) string {
	seen, _ := r.seen.Host(host)
	return seen.RunDir
}

// secretsFor reads the role's secrets from the host and puts their digests into the spec.
func (r *run) secretsFor(ctx context.Context, conn *Connection, host, role string, spec *state.Spec) (map[string]release.Secret, error) {
	if len(spec.Secrets) == 0 {
		return nil, nil
	}
	var key []byte
	var have map[string]release.Secret
	group, ctx := crewWithin(ctx)
	group.Go(func() (err error) { key, err = r.key(ctx, conn, host); return })
	group.Go(func() (err error) { have, err = readEnv(ctx, conn.Files, r.paths, role); return })
	if err := group.Wait(); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, errors.New("the host has no secrets file for the role: run `kamald env push`")
		}
		return nil, err
	}
	values, digests := map[string]release.Secret{}, map[string]string{}
	for name := range spec.Secrets {
		value, ok := have[name]
		if !ok {
			return nil, fmt.Errorf("the host's secrets file lacks %s: run `kamald env push`", name)
		}
		values[name], digests[name] = value, state.SecretDigest(key, value.Reveal())
	}
	if err := secretsStand(role, spec.Secrets, digests); err != nil {
		return nil, err
	}
	spec.Secrets = digests
	return values, nil
}

// key is the host's digest key, made where there is none: the first container that is made there needs it.
func (r *run) key(ctx context.Context, conn *Connection, host string) ([]byte, error) {
	key, err := conn.Files.Read(ctx, r.paths.key())
	if len(key) > 0 || unless(err, fs.ErrNotExist) != nil {
		return key, err
	}
	return r.c.makeKey(ctx, conn, r.paths, host)
}
