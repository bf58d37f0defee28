package reconcile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// image gets the pinned image to a host, by digest from the registry or carried from this machine, under its version's tag.
func (r *run) image(ctx context.Context, conn *Connection, s plan.Step) error {
	pin := r.plan.Pin
	if pin.Digest != "" {
		ref := r.desired.ImageName() + "@" + pin.Digest
		if r.tagged(ctx, conn, s) {
			return nil
		}
		if err := conn.Engine.Pull(ctx, ref, r.auth); err != nil {
			return err
		}
		return conn.Engine.Tag(ctx, ref, s.Name)
	}
	if r.tagged(ctx, conn, s) {
		return nil
	}
	if err := r.carry(ctx, conn, s.Name); err != nil {
		return err
	}
	image, err := conn.Engine.Image(ctx, s.Name)
	if err == nil && image.ID != pin.ID {
		return fmt.Errorf("%s arrived as %s instead of %s: the tag was moved on this machine meanwhile; plan again", s.Name, image.ID, pin.ID)
	}
	return err
}

// tagged tells whether the host has the very image under another name, and has given it the version's tag: it need not come
// again, and may not be at the registry any more.
func (r *run) tagged(ctx context.Context, conn *Connection, s plan.Step) bool {
	seen, _ := r.seen.Host(s.Host)
	image, there := pinned(seen, r.desired, r.plan.Pin)
	return there && conn.Engine.Tag(ctx, image.ID, s.Name) == nil
}

// carry streams the image from this machine's own engine to the host's.
func (r *run) carry(ctx context.Context, conn *Connection, ref string) error {
	here, err := r.c.fleet.Connection(ctx, release.Host{Name: release.LocalHost, Address: release.LocalHost})
	if err != nil {
		return fmt.Errorf("without a registry the image is carried from this machine, whose engine is not there: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, callLimits["Engine.Load"]) // of both ends together
	defer cancel()
	archive, err := here.Engine.Save(ctx, ref)
	if err != nil {
		return err
	}
	err = conn.Engine.Load(ctx, archive)
	return errors.Join(err, archive.Close())
}

// create makes a container from its spec, with the secrets that lie on the host; they are in memory for this call only. One
// that is there with the wanted name and spec is adopted.
func (r *run) create(ctx context.Context, conn *Connection, s plan.Step) error {
	spec := *s.Spec
	values, err := r.secretsFor(ctx, conn, s.Host, s.Role, &spec)
	if err != nil {
		return err
	}
	labels := map[string]string{
		state.LabelSpec:     spec.JSON(),
		state.LabelSpecHash: spec.Hash(),
		state.LabelRelease:  strconv.Itoa(r.record.Number),
		state.LabelFence:    strconv.Itoa(r.record.Fence),
		state.LabelRunDir:   r.runDir(s.Host),
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
	group, ctx := errgroup.WithContext(ctx)
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

// proxyServer boots the proxy of a host: its image, its container, attached and started, and answering.
func (r *run) proxyServer(ctx context.Context, conn *Connection, s plan.Step) error {
	seen, _ := r.seen.Host(s.Host)
	if s.Container == "" {
		if err := r.makeProxy(ctx, conn, seen); err != nil {
			return err
		}
	} else if !slices.Contains(seen.Proxy.Networks, r.desired.Network) {
		if err := conn.Engine.ConnectNetwork(ctx, r.desired.Network, s.Name, nil); err != nil {
			return err
		}
	}
	if err := conn.Engine.Start(ctx, s.Name); err != nil {
		return fmt.Errorf("%w%s", err, portHint(err, r.desired.ProxyServer))
	}
	return r.proxyAnswers(ctx, conn, s.Name)
}

// portHint: the usual reason that a proxy does not start is another server on its ports.
func portHint(err error, server release.ProxyServer) string {
	if text := err.Error(); strings.Contains(text, "already allocated") || strings.Contains(text, "already in use") {
		return fmt.Sprintf("; something else listens on port %d or %d: stop it, or set proxy_server.http_port and https_port", server.HTTPPort, server.HTTPSPort)
	}
	return ""
}

// proxyAnswers waits until the proxy's own command reaches it.
func (r *run) proxyAnswers(ctx context.Context, conn *Connection, name string) error {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	for {
		result, err := conn.Engine.Exec(ctx, name, []string{"kamal-proxy", "list"})
		if err == nil && result.Code == 0 {
			return nil
		}
		if sleep(ctx, probeEvery) != nil {
			return errors.Join(fmt.Errorf("the proxy started and does not answer: %s", firstLine(result.Stderr+result.Stdout)), err)
		}
	}
}

func (r *run) makeProxy(ctx context.Context, conn *Connection, seen state.Host) error {
	server := r.desired.ProxyServer
	if _, err := conn.Engine.Image(ctx, server.Image); errors.Is(err, state.ErrNotFound) {
		if err := r.proxyImage(ctx, conn, server.Image, seen.Engine.Arch); err != nil {
			return err
		}
	} else if err != nil {
		return err
	}
	labels := map[string]string{state.LabelRunDir: seen.RunDir}
	_, err := conn.Engine.Create(ctx, server.Name, plan.ProxySpec(r.desired, seen), labels, nil)
	return unless(err, state.ErrConflict) // another service's run made it meanwhile: it is shared
}

// proxyImage loads the image that kamald makes itself, or pulls another.
func (r *run) proxyImage(ctx context.Context, conn *Connection, ref, arch string) error {
	archive, err := conn.Proxy.Image(ctx, ref, arch)
	if errors.Is(err, fs.ErrNotExist) {
		return conn.Engine.Pull(ctx, ref, release.Auth{})
	}
	if err != nil {
		return err
	}
	defer func(archive io.Closer) { _ = archive.Close() }(archive)
	return conn.Engine.Load(ctx, archive)
}
