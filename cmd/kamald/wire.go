package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	_ "time/tzdata" // freezes name time zones, and a bastion may know none

	"github.com/kamald/kamald/drivers/bootstrap"
	"github.com/kamald/kamald/drivers/docker"
	"github.com/kamald/kamald/drivers/environ"
	"github.com/kamald/kamald/drivers/files"
	"github.com/kamald/kamald/drivers/hooks"
	"github.com/kamald/kamald/drivers/image"
	"github.com/kamald/kamald/drivers/probe"
	"github.com/kamald/kamald/drivers/proxy"
	"github.com/kamald/kamald/drivers/registry"
	"github.com/kamald/kamald/drivers/secrets"
	"github.com/kamald/kamald/drivers/ssh"
	"github.com/kamald/kamald/drivers/traefik"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
	"github.com/kamald/kamald/state/bolt"
	"github.com/kamald/kamald/state/etcd"
)

// The drivers fulfil what reconcile asks for.
var (
	_ reconcile.Connector = (*connector)(nil)
	_ reconcile.Engine    = (*docker.Engine)(nil)
	_ reconcile.Files     = (*files.Local)(nil)
	_ reconcile.Files     = (*files.SFTP)(nil)
	_ reconcile.Prober    = (*probe.Prober)(nil)
	_ reconcile.Proxy     = (*proxy.Driver)(nil)
	_ reconcile.Proxy     = (*traefik.Driver)(nil)
	_ reconcile.Installer = (*bootstrap.Installer)(nil)
	_ reconcile.Shell     = ssh.Shell{}
	_ reconcile.Shell     = ssh.LocalShell{}
	_ reconcile.Secrets   = (*secrets.Lookup)(nil)
	_ reconcile.Hooks     = hooks.Runner{}
	_ reconcile.Spool     = (*image.Spool)(nil)
	_ reconcile.Registry  = (*registry.Client)(nil)
	_ storage             = (*bolt.Store)(nil)
	_ storage             = (*etcd.Store)(nil)
)

// connector reaches hosts: this machine straight, others by SSH.
type connector struct {
	secrets reconcile.Secrets
	limiter *ssh.Limiter
	server  release.ProxyServer
	run     string // the run directory

	mu      sync.Mutex
	clients []*ssh.Client // every one that was made, for the counters
}

func newConnector(desired release.Release, secrets reconcile.Secrets) *connector {
	return &connector{secrets: secrets, limiter: ssh.NewLimiter(desired.SSH.DialLimit), server: desired.ProxyServer, run: desired.RunDirectory}
}

// Connect implements reconcile.Connector.
func (c *connector) Connect(ctx context.Context, host release.Host) (*reconcile.Connection, error) {
	if host.Name == release.LocalHost || host.Address == release.LocalHost {
		return c.connectLocal(ctx, host)
	}
	return c.connectSSH(ctx, host)
}

// stats sums what was opened on every SSH connection.
func (c *connector) stats() ssh.Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	var sum ssh.Stats
	for _, client := range c.clients {
		s := client.Stats()
		sum.Connections += s.Connections
		sum.UnixChannels += s.UnixChannels
		sum.TCPChannels += s.TCPChannels
		sum.SFTPChannels += s.SFTPChannels
		sum.Sessions += s.Sessions
	}
	return sum
}

func (c *connector) connectLocal(ctx context.Context, host release.Host) (*reconcile.Connection, error) {
	socket, err := docker.LocalSocket(ctx)
	if err != nil {
		return nil, err
	}
	engine := docker.New(docker.DialLocal, docker.Options{Host: host.Name, Socket: socket})
	var dialer net.Dialer
	local, prober := files.NewLocal(), probe.New(dialer.DialContext)
	return &reconcile.Connection{
		Engine:   engine,
		Files:    local,
		Prober:   prober,
		Proxy:    c.proxy(engine, local, prober),
		Environ:  environ.Local{},
		Registry: registry.New(dialer.DialContext, registry.Options{Host: host.Name, Settings: engine.RegistrySettings, Files: local}),

		Installer: bootstrap.New(bootstrap.Here{}),
		Shell:     ssh.LocalShell{},
		Close:     engine.Close,
	}, nil
}

func (c *connector) connectSSH(ctx context.Context, host release.Host) (*reconcile.Connection, error) {
	keys, err := c.keys(host)
	if err != nil {
		return nil, err
	}
	client, engine, err := c.engineBySSH(ctx, keys, host)
	if err != nil {
		return nil, err
	}
	sftp, prober := files.NewSFTP(client.SFTP), probe.New(client.Dial)
	return &reconcile.Connection{
		Engine:    engine,
		Files:     sftp,
		Prober:    prober,
		Proxy:     c.proxy(engine, sftp, prober, proxy.WithHostFiles(engine.HostPath, sftp.Read)),
		Environ:   environ.NewRemote(client.Session),
		Registry:  registry.New(fromHost(client), registry.Options{Host: host.Name, Settings: engine.RegistrySettings, Files: sftp}),
		Installer: bootstrap.New(client),
		Shell:     ssh.Shell{Client: client},
		Close:     func() error { return errors.Join(engine.Close(), client.Close()) },
		Bulk: func(ctx context.Context) (reconcile.Engine, func() error, error) {
			client, engine, err := c.engineBySSH(ctx, keys, host)
			if err != nil {
				return nil, nil, err
			}
			return engine, func() error { return errors.Join(engine.Close(), client.Close()) }, nil
		},
	}, nil
}

// engineBySSH makes a connection to a host, and an engine on it.
func (c *connector) engineBySSH(ctx context.Context, keys []release.Secret, host release.Host) (*ssh.Client, *docker.Engine, error) {
	client, err := ssh.Dial(ctx, ssh.Options{KeyData: keys, Limiter: c.limiter}, host)
	if err != nil {
		return nil, nil, err
	}
	c.mu.Lock()
	c.clients = append(c.clients, client)
	c.mu.Unlock()
	return client, docker.New(client.Dial, docker.Options{Host: host.Name, Session: client.Session}), nil
}

// fromHost dials from the host, and where its sshd forwards no TCP from here: what a registry has can be asked from either.
func fromHost(client *ssh.Client) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := client.Dial(ctx, network, address)
		if errors.Is(err, state.ErrDenied) {
			var here net.Dialer
			return here.DialContext(ctx, network, address)
		}
		return conn, err
	}
}

// proxy is the driver of the proxy that the file asks for.
func (c *connector) proxy(engine *docker.Engine, on reconcile.Files, prober *probe.Prober, options ...proxy.Option) reconcile.Proxy {
	if c.server.Traefik() {
		return traefik.New(engine, on, prober, c.run)
	}
	return proxy.New(engine, options...)
}

// keys looks up the private keys that the file names as secrets.
func (c *connector) keys(host release.Host) ([]release.Secret, error) {
	var keys []release.Secret
	for _, name := range host.SSH.KeySecrets {
		key, ok, err := c.secrets.Secret(name)
		if err != nil {
			return nil, fmt.Errorf("secret %s (ssh.key_data): %w", name, err)
		}
		if !ok {
			return nil, fmt.Errorf("secret %s (ssh.key_data) is not at hand here: none of %v has it", name, c.secrets.Sources())
		}
		keys = append(keys, key)
	}
	return keys, nil
}
