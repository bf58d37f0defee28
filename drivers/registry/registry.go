// Package registry asks image registries which tags a repository has. It does so over whatever connection it is given, a host's:
// the hosts are who pulls, and a registry may be reachable from nowhere else.
package registry

import (
	"context"
	"fmt"
	"net"
	"regexp"
	"slices"
	"sync"

	"github.com/distribution/reference"
	oras "oras.land/oras-go/v2/registry"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/retry"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// Files reads what a host trusts.
type Files interface {
	Read(ctx context.Context, path string) ([]byte, error)
	List(ctx context.Context, path string) ([]string, error)
}

// Options are what a host knows of registries. The zero value trusts whom this machine trusts, and asks over TLS only.
type Options struct {
	// Host names the host in errors.
	Host string
	// Settings says how the host's engine reaches registries; nil: straight, and all of them securely.
	Settings func(context.Context) (state.RegistrySettings, error)
	// Files has the certificates that the host's engine and the host itself trust; nil: none.
	Files Files

	policy retry.Policy // nil: the usual one
}

// Client asks registries from one host. It is safe for concurrent use.
type Client struct {
	dial func(ctx context.Context, network, address string) (net.Conn, error)
	o    Options

	mu       sync.Mutex
	settings *state.RegistrySettings // as they were read; nil: not yet
}

// New makes a client on a dial function, which is called with "tcp". No call is made yet.
func New(dial func(ctx context.Context, network, address string) (net.Conn, error), o Options) *Client {
	if o.policy == nil {
		o.policy = patience
	}
	return &Client{dial: dial, o: o}
}

const (
	// pageSize is how many tags are asked for at once: the most that every registry gives.
	pageSize = 1000
	// mostPages and mostBytes (of a page) bound what a registry can make this machine read.
	mostPages = 500
	mostBytes = 16 << 20
)

// tagName is what a tag may be: anything else is left out, for it can be no part of a reference.
var tagName = regexp.MustCompile(`^\w[\w.-]{0,127}$`)

// Tags lists the tags of a repository (server/repo), sorted. The error is state.ErrNotFound when there is no such repository, and
// state.ErrDenied when the registry refused who asked.
func (c *Client) Tags(ctx context.Context, repository string, who release.Auth) ([]string, error) {
	named, err := reference.ParseNormalizedNamed(repository)
	if err != nil {
		return nil, c.failure(err, "list the tags of %q", repository)
	}
	ref := oras.Reference{Registry: reference.Domain(named), Repository: reference.Path(named)}
	settings, err := c.known(ctx)
	if err != nil {
		return nil, err
	}
	var tags []string
	for w := c.way(ctx, ref, settings); w != nil; w = c.other(ctx, *w, err) {
		if tags, err = c.list(ctx, ref, who, *w); err == nil {
			break
		}
	}
	if err != nil {
		return nil, c.failure(err, "list the tags of %s", named.Name())
	}
	tags = slices.DeleteFunc(tags, func(tag string) bool { return !tagName.MatchString(tag) })
	slices.Sort(tags)
	return slices.Compact(tags), nil
}

// known reads the engine's settings once.
func (c *Client) known(ctx context.Context) (state.RegistrySettings, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.settings == nil && c.o.Settings != nil {
		settings, err := c.o.Settings(ctx)
		if err != nil {
			return settings, err
		}
		c.settings = &settings
	}
	if c.settings == nil {
		return state.RegistrySettings{}, nil
	}
	return *c.settings, nil
}

// list asks for every page, by one way.
func (c *Client) list(ctx context.Context, ref oras.Reference, who release.Auth, w way) ([]string, error) {
	transport := c.transport(w)
	defer transport.CloseIdleConnections()
	repository := &remote.Repository{
		Reference: ref, PlainHTTP: w.plain, TagListPageSize: pageSize, TagListMaxPages: mostPages, MaxMetadataBytes: mostBytes,
		Client: client(ref, who, &guard{next: &retry.Transport{Base: transport, Policy: func() retry.Policy { return c.o.policy }}, plain: w.insecure}),
	}
	var all []string
	err := repository.Tags(ctx, "", func(tags []string) error {
		all = append(all, tags...)
		return nil
	})
	return all, err
}

// client answers what a registry asks: nothing, a name and a password, or a token that a server of its own gives for those.
func client(ref oras.Reference, who release.Auth, g *guard) *auth.Client {
	c := &auth.Client{Client: g.client(), Cache: auth.NewCache()}
	c.SetUserAgent("kamald")
	if who.Username != "" || who.Password.Reveal() != "" {
		c.Credential = auth.StaticCredential(ref.Host(), auth.Credential{Username: who.Username, Password: who.Password.Reveal()})
	}
	return c
}

func (c *Client) prefix() string {
	if c.o.Host == "" {
		return ""
	}
	return c.o.Host + ": "
}

func (c *Client) failure(err error, format string, args ...any) error {
	what := c.prefix() + fmt.Sprintf(format, args...)
	if kind := kindOf(err); kind != nil {
		return fmt.Errorf("%s: %w: %w", what, kind, err)
	}
	return fmt.Errorf("%s: %w%s", what, err, hint(err))
}
