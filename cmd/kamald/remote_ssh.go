package main

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os/user"
	"strconv"
	"strings"

	"github.com/kamald/kamald/console"
	"github.com/kamald/kamald/drivers/ssh"
	"github.com/kamald/kamald/release"
)

// bastionSocket is where a daemon that the system runs listens.
const bastionSocket = "/run/kamald.sock"

func isSSH(address string) bool { return strings.HasPrefix(address, "ssh://") }

// dialBastion reaches a daemon's socket through an SSH connection: who asks is the user there.
func (p *program) dialBastion(ctx context.Context, address string) (*remote, error) {
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" {
		return nil, fmt.Errorf("%q is no address such as ssh://deploy@bastion.example.com", address)
	}
	desired, err := p.load(ctx, needsHosts)
	if err != nil {
		return nil, err
	}
	on := release.Host{Name: u.Hostname(), Address: u.Hostname(), SSH: desired.SSH}
	on.SSH.User = u.User.Username()
	if on.SSH.User == "" {
		if here, err := user.Current(); err == nil {
			on.SSH.User = here.Username
		}
	}
	if on.SSH.Port = 22; u.Port() != "" {
		if on.SSH.Port, err = strconv.Atoi(u.Port()); err != nil {
			return nil, fmt.Errorf("%q: the port is no number", address)
		}
	}
	client, err := ssh.Dial(ctx, ssh.Options{Limiter: ssh.NewLimiter(1)}, on)
	if err != nil {
		return nil, err
	}
	socket := u.Path
	if socket == "" || socket == "/" {
		socket = bastionSocket
	}
	asks, err := console.NewClientOver(u.Hostname(), func(ctx context.Context) (net.Conn, error) { return client.Dial(ctx, "unix", socket) })
	if err != nil {
		return nil, err
	}
	return &remote{Client: asks, close: func() { asks.Close(); _ = client.Close() }}, nil
}
