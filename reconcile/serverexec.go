package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// ServerCommand is a line that is run on hosts, by the SSH user's own shell there.
type ServerCommand struct {
	Line string
	Word string // what is noted of it: nothing that may be a secret
	// Streams gives what a host's input and output are carried between.
	Streams func(host string) state.Streams
}

// ServerHosts are the hosts that patterns select, the primary host first. There is at least one. Without roles nothing has to run there: a
// host may have accessories alone, or nothing yet.
func ServerHosts(desired release.Release, hosts, roles []string) ([]string, error) {
	names, err := plan.HostsOf(desired, hosts)
	if err != nil {
		return nil, err
	}
	if len(roles) > 0 {
		scope, err := plan.FilterOf(desired, hosts, roles)
		if err != nil {
			return nil, err
		}
		names = slices.DeleteFunc(names, func(host string) bool { return !scope.Wants(desired, host) })
	}
	slices.SortStableFunc(names, func(a, b string) int {
		return rankIf(b == desired.PrimaryHost()) - rankIf(a == desired.PrimaryHost())
	})
	return names, nil
}

// ServerExec runs a line on hosts, all at once, and gives how it ended on each, in their order.
func (c *Controller) ServerExec(ctx context.Context, desired release.Release, hosts []string, o ServerCommand) []Executed {
	done := make([]Executed, len(hosts))
	var all branches
	for i, host := range hosts {
		all.Go(func() {
			done[i] = Executed{Place: Place{Host: host}}
			code, err := c.serverExec(ctx, desired, host, o)
			if done[i].Code, done[i].Err = code, err; err != nil {
				done[i].Error = why(err, host)
			}
		})
	}
	all.Wait()
	return done
}

func (c *Controller) serverExec(ctx context.Context, desired release.Release, host string, o ServerCommand) (code int, err error) {
	on, _ := desired.Host(host)
	conn, err := c.fleet.Connection(ctx, on)
	if err != nil {
		return 0, err
	}
	if conn.Shell == nil {
		return 0, errors.New("this connection runs no commands")
	}
	d := deed{kind: "server exec", host: host, step: "server exec/" + host, message: "run " + o.Word + " on the host"}
	err = c.notedOn(ctx, conn, desired, d, "Executed "+o.Word+" on the host", func() (err error) {
		streams := o.Streams(host)
		code, err = conn.Shell.Run(ctx, o.Line, streams)
		over(streams)
		if err != nil && ctx.Err() == nil && errors.Is(err, state.ErrUnreachable) {
			return fmt.Errorf("%w; it may go on there", err)
		}
		return err
	})
	return code, err
}
