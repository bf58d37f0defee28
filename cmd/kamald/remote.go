package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/kamald/kamald/console"
	"github.com/kamald/kamald/reconcile/loop"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// tokenVariable is the environment variable that has the token for a daemon elsewhere.
const tokenVariable = "KAMALD_TOKEN"

// remote is a daemon that drives the app, and is asked instead of acting from here.
type remote struct {
	*console.Client
	app    state.App
	status loop.Status
	close  func()
}

// serverFlag lets a command ask a daemon elsewhere.
func (p *program) serverFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&p.server, "server", "", "the `URL` of a daemon that drives the app (https://…, its token in "+tokenVariable+"; or ssh://user@bastion[/socket])")
}

// daemon gives the daemon that drives the app: the one that --server names, else one of this machine that has the same store, or that the
// system runs. nil: there is none, and the command acts by itself.
func (p *program) daemon(ctx context.Context, app state.App) (*remote, error) {
	if p.server != "" {
		return p.daemonAt(ctx, app, p.server)
	}
	path, err := p.storeFile()
	if err != nil {
		return nil, err
	}
	sockets := []string{path + ".sock"}
	if p.flags.store == "" {
		sockets = append(sockets, bastionSocket)
	}
	for _, socket := range sockets {
		if !answers(socket) {
			continue
		}
		r, err := p.daemonAt(ctx, app, socket)
		if failed := (*console.Error)(nil); errors.As(err, &failed) && failed.Status == http.StatusNotFound {
			continue // it drives others
		}
		return r, err
	}
	return nil, nil
}

func (p *program) daemonAt(ctx context.Context, app state.App, address string) (*remote, error) {
	r, err := p.dialDaemon(ctx, address)
	if err != nil {
		return nil, err
	}
	r.app = app
	if r.status, err = r.Status(ctx, app); err != nil {
		r.close()
		return nil, fmt.Errorf("the daemon at %s: %w", p.serverName(address), err)
	}
	return r, nil
}

// answers tells whether a daemon listens on a socket; one that is gone leaves the file behind.
func answers(socket string) bool {
	conn, err := net.DialTimeout("unix", socket, time.Second)
	if err != nil {
		return false
	}
	return conn.Close() == nil
}

func (p *program) dialDaemon(ctx context.Context, address string) (*remote, error) {
	if isSSH(address) {
		return p.dialBastion(ctx, address)
	}
	client, err := console.NewClient(address, release.NewSecret(os.Getenv(tokenVariable)))
	if err != nil {
		return nil, err
	}
	return &remote{Client: client, close: client.Close}, nil
}

// serverName is how the daemon is named in messages; no token is in it.
func (p *program) serverName(address string) string {
	if p.server == "" {
		return "the socket " + address
	}
	return address
}

// ownFlags are asked of a command's own run, and of no daemon.
var ownFlags = []string{"hosts", "roles", "retain", "skip-unreachable", "ignore", "bandwidth", "lock-wait", "with-current-config", "no-cancel"}

// driver is the daemon that drives the file's app; nil: none does, or the command is asked for what only its own run can do.
func (p *program) driver(cmd *cobra.Command) (*remote, error) {
	for _, name := range ownFlags {
		if flag := cmd.Flags().Lookup(name); flag == nil || !flag.Changed {
			continue
		}
		if p.server != "" {
			return nil, fmt.Errorf("--%s is for a run from here, and --server names a daemon: leave one of them out", name)
		}
		return nil, nil
	}
	desired, err := p.load(cmd.Context(), needsHosts)
	if err != nil {
		return nil, err
	}
	return p.daemon(cmd.Context(), desired.App())
}

// withDaemon has the app's daemon do something; where none drives it the error says how there would be one.
func (p *program) withDaemon(cmd *cobra.Command, do func(*remote) error) error {
	r, err := p.driver(cmd)
	if err != nil {
		return err
	}
	if r == nil {
		return errors.New("no daemon of this machine drives this app\n  next: `kamald run` starts one, --server URL names one elsewhere")
	}
	defer r.close()
	return do(r)
}

// order has a daemon carry something out. Without wait it is enough that it was taken.
func (p *program) order(ctx context.Context, r *remote, order loop.Order, wait bool) error {
	order.App = r.app
	ticket, err := r.Order(ctx, order)
	if err != nil {
		return err
	}
	if !wait {
		if p.flags.json {
			return p.writeJSON(map[string]any{"schema": schema, "ticket": ticket})
		}
		p.printf("Order %s was taken: %s of %s.\nnext: `kamald %s --wait` would have waited for its end; the daemon's history shows it\n", ticket.ID, order.Verb, r.app, p.running)
		return nil
	}
	shown := p.newProgress(release.Release{}, nil)
	ticket, err = r.Await(ctx, ticket, shown.report)
	shown.end()
	if err != nil {
		return fmt.Errorf("the daemon goes on with order %s, which cannot be followed from here any more: %w", ticket.ID, err)
	}
	if ticket.Report != nil {
		if ticket.Error != "" {
			return p.showReport(r.app, *ticket.Report, errors.New(ticket.Error))
		}
		return p.showReport(r.app, *ticket.Report, nil)
	}
	if ticket.Error != "" {
		return errors.New(ticket.Error)
	}
	return nil
}
