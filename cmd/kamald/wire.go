package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/kamald/kamald/drivers/docker"
	"github.com/kamald/kamald/drivers/environ"
	"github.com/kamald/kamald/drivers/files"
	"github.com/kamald/kamald/drivers/probe"
	"github.com/kamald/kamald/drivers/proxy"
	"github.com/kamald/kamald/drivers/secrets"
	"github.com/kamald/kamald/drivers/ssh"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
	"github.com/kamald/kamald/state/bolt"
)

// The drivers fulfil what reconcile asks for.
var (
	_ reconcile.Connector = (*connector)(nil)
	_ reconcile.Engine    = (*docker.Engine)(nil)
	_ reconcile.Files     = (*files.Local)(nil)
	_ reconcile.Files     = (*files.SFTP)(nil)
	_ reconcile.Prober    = (*probe.Prober)(nil)
	_ reconcile.Proxy     = (*proxy.Driver)(nil)
	_ reconcile.Secrets   = (*secrets.Lookup)(nil)
	_ state.Store         = (*bolt.Store)(nil)
)

// connector reaches hosts: this machine straight, others by SSH.
type connector struct {
	secrets reconcile.Secrets
	limiter *ssh.Limiter

	mu      sync.Mutex
	clients []*ssh.Client // every one that was made, for the counters
}

func newConnector(desired release.Release, secrets reconcile.Secrets) *connector {
	return &connector{secrets: secrets, limiter: ssh.NewLimiter(desired.SSH.DialLimit)}
}

// Connect implements reconcile.Connector.
func (c *connector) Connect(ctx context.Context, host release.Host) (*reconcile.Connection, error) {
	if host.Name == release.LocalHost || host.Address == release.LocalHost {
		return connectLocal(host)
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

func connectLocal(host release.Host) (*reconcile.Connection, error) {
	socket, err := docker.LocalSocket()
	if err != nil {
		return nil, err
	}
	engine := docker.New(docker.DialLocal, docker.Options{Host: host.Name, Socket: socket})
	var dialer net.Dialer
	return &reconcile.Connection{
		Engine:  engine,
		Files:   files.NewLocal(),
		Prober:  probe.New(dialer.DialContext),
		Proxy:   proxy.New(engine),
		Environ: environ.Local{},
		Close:   engine.Close,
	}, nil
}

func (c *connector) connectSSH(ctx context.Context, host release.Host) (*reconcile.Connection, error) {
	keys, err := c.keys(host)
	if err != nil {
		return nil, err
	}
	client, err := ssh.Dial(ctx, ssh.Options{KeyData: keys, Limiter: c.limiter}, host)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	c.clients = append(c.clients, client)
	c.mu.Unlock()
	engine := docker.New(client.Dial, docker.Options{Host: host.Name, Session: client.Session})
	sftp := files.NewSFTP(client.SFTP)
	return &reconcile.Connection{
		Engine:  engine,
		Files:   sftp,
		Prober:  probe.New(client.Dial),
		Proxy:   proxy.New(engine, proxy.WithHostFiles(engine.HostPath, sftp.Read)),
		Environ: environ.NewRemote(client.Session),
		Close:   func() error { return errors.Join(engine.Close(), client.Close()) },
	}, nil
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
