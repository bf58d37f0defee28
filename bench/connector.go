package main

import (
	"context"
	"errors"

	"github.com/kamald/kamald/drivers/docker"
	"github.com/kamald/kamald/drivers/files"
	"github.com/kamald/kamald/drivers/probe"
	"github.com/kamald/kamald/drivers/proxy"
	"github.com/kamald/kamald/drivers/ssh"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
)

// connector reaches hosts by SSH, over the same drivers as kamald.
type connector struct{}

// Connect implements reconcile.Connector.
func (connector) Connect(ctx context.Context, host release.Host) (*reconcile.Connection, error) {
	client, err := ssh.Dial(ctx, ssh.Options{}, host)
	if err != nil {
		return nil, err
	}
	engine := docker.New(client.Dial, docker.Options{Host: host.Name, Session: client.Session})
	sftp := files.NewSFTP(client.SFTP)
	return &reconcile.Connection{
		Engine: engine,
		Files:  sftp,
		Prober: probe.New(client.Dial),
		Proxy:  proxy.New(engine, proxy.WithHostFiles(engine.HostPath, sftp.Read)),
		Close:  func() error { return errors.Join(engine.Close(), client.Close()) },
	}, nil
}
