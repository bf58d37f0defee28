package reconcile

import (
	"context"
	"errors"
	"fmt"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// ErrNothingHeld: no release of the app is recorded on any host that can be reached, so there is nothing to boot.
var ErrNothingHeld = errors.New("no release of the app is recorded on its hosts\n  next: `kamald adopt` takes what runs as released, `kamald apply` releases what the file says")

// StartApp starts what was stopped on purpose, or by a hand, in scope: with the held release, proven healthy and routed before the note
// that it was stopped is taken back. What runs is left as it is. On servers without a record it starts the version that they ran.
func (c *Controller) StartApp(ctx context.Context, file release.Release, options Options) (Report, error) {
	options.start, options.only = true, true
	return c.ofHeld(ctx, file, options, "start")
}

// BootApp makes the roles in scope run what is held, also where they were stopped or removed on purpose.
func (c *Controller) BootApp(ctx context.Context, file release.Release, options Options) (Report, error) {
	options.start = true
	return c.ofHeld(ctx, file, options, "boot")
}

// BootVersion is Apply of a release, also where its roles were stopped or removed on purpose.
func (c *Controller) BootVersion(ctx context.Context, desired release.Release, options Options) (Report, error) {
	options.start = true
	report, err := c.Apply(ctx, desired, options)
	return report, err
}

// RestartApp makes every container in scope anew from the held release, one host after the other: a new one beside the old, proven
// and switched to before that ends. A singleton ends first. What was stopped on purpose stays so.
func (c *Controller) RestartApp(ctx context.Context, file release.Release, options Options) (Report, error) {
	options.restart = true
	return c.ofHeld(ctx, file, options, "restart")
}

// ofHeld carries out what is asked for of the held release.
func (c *Controller) ofHeld(ctx context.Context, file release.Release, options Options, command string) (Report, error) {
	snapshot, _, err := c.look(ctx, file, false)
	if err != nil {
		return Report{}, err
	}
	var report Report
	if away := skipped(snapshot); len(away) == len(snapshot.Hosts) {
		return Report{}, noHost(command, away, nil)
	}
	if held := newestRecord(snapshot); held != nil {
		report, err = c.Heal(ctx, file, *held, options)
	} else if file.Version = stoodAt(file, snapshot); !options.only || file.Version == "" {
		return Report{}, ErrNothingHeld
	} else {
		options.Pin = &plan.Pin{}
		report, err = c.Apply(ctx, file, options)
	}
	report.Command = command
	if errors.Is(err, ErrSuperseded) {
		err = fmt.Errorf("%w\n  next: do the same again", err)
	}
	return report, err
}

// stoodAt is the version that servers without a record ran: that of the newest container of the primary role.
func stoodAt(file release.Release, seen state.Snapshot) string {
	app, newest := file.App(), state.Container{}
	for _, host := range seen.Hosts {
		for _, c := range host.Containers {
			if c.Service == app.Service && c.Destination == app.Destination && c.Role == file.PrimaryRole && c.Created.After(newest.Created) {
				newest = c
			}
		}
	}
	return newest.Version()
}

// liftStop takes back that a role was stopped on purpose.
func (r *run) liftStop(ctx context.Context, conn *Connection, s plan.Step) error {
	seen, _ := r.seen.Host(s.Host)
	known, _ := seen.Stop(s.Role)
	lifted := r.c.intentFor(s.Host, state.IntentStop)
	lifted.Role, lifted.Serial, lifted.Lifted = s.Role, known.Serial+1, true
	return writeRoleIntent(ctx, conn, r.paths, lifted)
}
