// Package ssh keeps one SSH connection to a server and opens what others need on it: unix sockets, TCP, SFTP. It starts no
// command on the way, but for the one that the container engine's client needs where forwarding is forbidden.
package ssh

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pkg/sftp"

	"github.com/kamald/kamald/release"
)

// Client is one kept connection. It is safe for concurrent use. It does not reconnect: when Done is closed, dial again.
type Client struct {
	name  string
	wire  *wire
	hops  []*wire
	done  chan struct{}
	count *counters
	agent bool // commands may use the agent here

	failed atomic.Pointer[Error] // why it ended, when it was not Close

	files struct {
		sync.Mutex
		client *sftp.Client
	}
}

// Stats counts what was opened on a connection since it was dialled.
type Stats struct {
	Connections  int // TCP connections, jump hosts' and retries included
	UnixChannels int
	TCPChannels  int
	SFTPChannels int
	Sessions     int // commands
}

type counters struct {
	connections, unix, tcp, sftp, sessions atomic.Int64
}

// Dial connects to a host of the release. An error is an *Error with the stage; retries are inside. Cancelling ctx ends the
// dial; a connection that stands does not depend on ctx.
func Dial(ctx context.Context, o Options, host release.Host) (*Client, error) {
	o = o.withDefaults()
	configs, err := readConfigs(o, host.SSH.Config)
	if err != nil {
		return nil, &Error{Host: host.Name, Stage: StageConfig, Err: err}
	}
	count := &counters{}
	d := &dialer{options: o, ssh: host.SSH, configs: configs, bytes: count}
	w, hops, err := d.reach(ctx, host)
	if err != nil {
		return nil, err
	}
	c := &Client{name: host.Name, wire: w, hops: hops, done: make(chan struct{}), count: count}
	if err := c.forwardAgent(o, host.SSH); err != nil {
		c.Close()
		return nil, err
	}
	go c.watch()
	if host.SSH.Keepalive > 0 {
		go c.keepalive(host.SSH.Keepalive)
	}
	return c, nil
}

// Close ends the connection and all that runs on it.
func (c *Client) Close() error {
	// The raw connection first: closing the SSH layer may wait for a write to a peer that is gone.
	err := c.wire.raw.Close()
	c.wire.Close()
	closeAll(c.hops)
	return err
}

// Done is closed when the connection is over, for whatever reason.
func (c *Client) Done() <-chan struct{} { return c.done }

// Stats counts what was opened.
func (c *Client) Stats() Stats {
	return Stats{
		Connections:  int(c.count.connections.Load()),
		UnixChannels: int(c.count.unix.Load()),
		TCPChannels:  int(c.count.tcp.Load()),
		SFTPChannels: int(c.count.sftp.Load()),
		Sessions:     int(c.count.sessions.Load()),
	}
}

// watch notices the end of the connection.
func (c *Client) watch() {
	err := c.wire.Wait()
	if err != nil {
		c.failed.CompareAndSwap(nil, c.lost(err))
	}
	closeAll(c.hops)
	close(c.done)
}

// keepalive asks sshd for an answer every interval, and gives the connection up when three in a row have not come and nothing
// else either: behind much that is being sent, the answer may take long. The request itself can block for ever on a peer that
// is gone, so it is timed from outside.
func (c *Client) keepalive(interval time.Duration) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	var pending chan error
	var silent silence
	for {
		select {
		case <-c.done:
			return
		case <-pending:
			pending = nil
		case <-ticker.C:
			if pending == nil {
				pending, silent = make(chan error, 1), silence{heard: c.wire.raw.times.Load()}
				go func(answer chan<- error) {
					_, _, err := c.wire.SendRequest("keepalive@openssh.com", true, nil)
					answer <- err
				}(pending)
				continue
			}
			if silent.tooLong(c.wire.raw.times.Load()) {
				c.failed.CompareAndSwap(nil, c.lost(fmt.Errorf("no answer to a keepalive for %s", time.Duration(misses)*interval)))
				c.Close()
				return
			}
		}
	}
}

func (c *Client) lost(err error) *Error { return &Error{Host: c.name, Stage: StageLost, Err: err} }
