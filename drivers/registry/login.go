package registry

import (
	"context"

	oras "oras.land/oras-go/v2/registry"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/retry"

	"github.com/kamald/kamald/release"
)

// hub is Docker Hub's name in references.
const hub = "docker.io"

// Login asks the registry whether it lets in who comes; nothing is kept of it. The error is state.ErrDenied when it does not.
func (c *Client) Login(ctx context.Context, who release.Auth) error {
	ref := oras.Reference{Registry: who.Server}
	if ref.Registry == "" {
		ref.Registry = hub
	}
	settings, err := c.known(ctx)
	if err != nil {
		return err
	}
	for w := c.way(ctx, ref, settings); w != nil; w = c.other(ctx, *w, err) {
		if err = c.ping(ctx, ref, who, *w); err == nil {
			return nil
		}
	}
	return c.failure(err, "log in at %s", ref.Registry)
}

func (c *Client) ping(ctx context.Context, ref oras.Reference, who release.Auth, w way) error {
	transport := c.transport(w)
	defer transport.CloseIdleConnections()
	asked := &remote.Registry{RepositoryOptions: remote.RepositoryOptions{
		Reference: ref, PlainHTTP: w.plain,
		Client: client(ref, who, &guard{next: &retry.Transport{Base: transport, Policy: func() retry.Policy { return c.o.policy }}, plain: w.insecure}),
	}}
	return asked.Ping(ctx)
}
