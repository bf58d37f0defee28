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

// Commanded is what a command about proxies or their routes has done.
type Commanded struct {
	App     state.App      `json:"app"`
	Command string         `json:"command"`
	Done    []CommandedOn  `json:"done"` // in the file's order
	Skipped []plan.Skipped `json:"skipped,omitempty"`
	// Cordoned are hosts that are left out on purpose.
	Cordoned []plan.Skipped `json:"cordoned,omitempty"`
}

// CommandedOn is what it did on one host, to one role's route there or to the proxy.
type CommandedOn struct {
	Host      string   `json:"host"`
	Role      string   `json:"role,omitempty"`
	Did       string   `json:"did,omitempty"`
	Unchanged bool     `json:"unchanged,omitempty"` // it was so already
	Notes     []string `json:"notes,omitempty"`     // what to know about it
	Error     string   `json:"error,omitempty"`
}

// work is a command under way, on every host of its scope.
type work struct {
	c          *Controller
	desired    release.Release
	scope      plan.Filter
	verb, past string // "proxy reboot", "Rebooted proxy"
	ofProxy    bool   // it is about the container that all apps share: its lock is taken, too
	rolling    bool   // one host after another, and none after one that failed
	stages     int    // of its deeds, beside the first
	ordered    bool   // what there is to do on a host is one thing: nothing after what failed

	deeds func(host string) []deed
	do    func(ctx context.Context, on release.Host, d deed) (CommandedOn, error)

	hooks [2]string // the moments before and after each group of hosts; "" for none

	after func(ctx context.Context, done []CommandedOn) error // under the locks, when all is done; nil: nothing

	registry *credentials // what is shown where a proxy's image comes from; nil unless ofProxy
	seen     state.Snapshot
	locks    *Locks
	proxies  *Locks // nil unless ofProxy
}

// concerned are the hosts on which there is something to do.
func (w *work) concerned() []release.Host {
	return slices.DeleteFunc(slices.Clone(w.desired.Hosts), func(on release.Host) bool { return len(w.deeds(on.Name)) == 0 })
}

// carryOut looks, locks the hosts that can be reached, notes what is to be done, and does it. The error names each host where it
// failed; what it did elsewhere is in the result.
func (w *work) carryOut(ctx context.Context) (result Commanded, err error) {
	result = Commanded{App: w.desired.App(), Command: w.verb, Done: []CommandedOn{}}
	if w.seen, _, err = w.c.look(ctx, w.desired, false); err != nil {
		return result, err
	}
	var hosts []release.Host
	cordoned := plan.CordonedIn(w.seen, w.c.now())
	for _, on := range w.concerned() {
		host, _ := w.seen.Host(on.Name)
		switch {
		case cordoned[on.Name] != "":
			result.Cordoned = append(result.Cordoned, plan.Skipped{Host: on.Name, Reason: cordoned[on.Name]})
		case host.Unreachable != "":
			result.Skipped = append(result.Skipped, plan.Skipped{Host: on.Name, Reason: host.Unreachable})
		default:
			hosts = append(hosts, on)
		}
	}
	if len(hosts) == 0 {
		return result, noHost(w.verb, result.Skipped, result.Cordoned)
	}
	return w.locked(ctx, hosts, result)
}

// noHost says that there is no host on which a command could be carried out, why, and what to do.
func noHost(command string, skipped, cordoned []plan.Skipped) error {
	next := "mend that, and do the same again; `kamald doctor` looks closer"
	if len(skipped) == 0 {
		next = "`kamald server uncordon` takes a host in again"
	}
	return fmt.Errorf("no host could be reached for %s:%s\n  next: %s", command, reasons(append(skipped, cordoned...)), next)
}

func reasons(hosts []plan.Skipped) (text string) {
	for _, host := range hosts {
		text += "\n  " + host.Host + ": " + host.Reason
	}
	return text
}

// locked takes the locks, and does it.
func (w *work) locked(ctx context.Context, hosts []release.Host, result Commanded) (_ Commanded, err error) {
	scoped := Planned{Desired: w.desired, Snapshot: w.seen, Plan: plan.Plan{Filter: w.scope}}
	if w.locks, err = w.c.lock(ctx, w.desired, lockable(scoped), w.seen, w.verb); err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, w.locks.release(ctx)) }()
	running := w.locks.run
	if w.ofProxy {
		if w.proxies, err = w.c.lockProxy(ctx, w.desired, hosts, w.verb); err != nil {
			return result, err
		}
		defer func() { err = errors.Join(err, w.proxies.release(ctx)) }()
		var both context.CancelFunc
		running, both = joined(running, w.proxies.run)
		defer both()
	}
	notes := w.c.journal(w.desired.App())
	var deeds []deed
	for _, on := range hosts {
		deeds = append(deeds, w.deeds(on.Name)...)
	}
	if err := notes.intend(deeds...); err != nil {
		return result, err
	}
	done, errs := w.each(running, hosts, notes)
	result.Done = slices.Concat(done...)
	if w.after != nil {
		errs = append(errs, w.after(context.WithoutCancel(running), result.Done))
	}
	return result, errors.Join(append(errs, notes.write())...)
}

// joined ends with either of two.
func joined(a, b context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(a)
	stop := context.AfterFunc(b, func() { cancel(context.Cause(b)) })
	return ctx, func() { stop(); cancel(nil) }
}

// each does it on every host, at once or one after another.
func (w *work) each(ctx context.Context, hosts []release.Host, notes *journal) ([][]CommandedOn, []error) {
	done, errs := make([][]CommandedOn, len(hosts)), make([]error, len(hosts))
	if !w.rolling {
		before := slices.Repeat([]error{w.hook(ctx, w.hooks[0], hosts...)}, len(hosts))
		for stage := range w.stages + 1 {
			var all branches
			for i, on := range hosts {
				all.Go(func() {
					list, err := w.host(ctx, on, notes, stage, before[i])
					done[i], errs[i] = append(done[i], list...), errors.Join(errs[i], err)
					if err != nil && w.ordered && before[i] == nil {
						before[i] = errors.New("what comes before it failed")
					}
				})
			}
			all.Wait()
		}
		if errors.Join(errs...) == nil {
			errs = append(errs, w.hook(ctx, w.hooks[1], hosts...))
		}
		return done, errs
	}
	var before error
	for i, on := range hosts {
		if before == nil {
			before = w.hook(ctx, w.hooks[0], on)
		}
		done[i], errs[i] = w.host(ctx, on, notes, 0, before)
		switch {
		case errs[i] != nil && before == nil:
			before = fmt.Errorf("it failed on %s", on.Name)
		case errs[i] == nil:
			before = w.hook(ctx, w.hooks[1], on)
			errs[i] = before
		}
	}
	return done, errs
}

// hook runs the hooks of a moment for some hosts.
func (w *work) hook(ctx context.Context, moment string, hosts ...release.Host) error {
	if moment == "" {
		return nil
	}
	about := HookAbout{Locked: true}
	for _, on := range hosts {
		about.Hosts = append(about.Hosts, on.Name)
	}
	return w.c.RunHooks(ctx, w.desired, moment, about)
}

// host does what there is to do on one at a stage, and goes on after a failure where each is for itself. before is why it is not begun.
func (w *work) host(ctx context.Context, on release.Host, notes *journal, stage int, before error) (list []CommandedOn, err error) {
	var errs []error
	for _, d := range w.deeds(on.Name) {
		if d.stage != stage {
			continue
		}
		failed := before
		one := CommandedOn{Host: on.Name, Role: d.role}
		if failed == nil && ctx.Err() != nil {
			failed = context.Cause(ctx)
		}
		if failed != nil {
			failed = fmt.Errorf("%w: %w", errSkipped, failed)
		} else {
			w.c.report(Progress{Kind: "begin", Host: on.Name, Role: d.role, Step: d.step, Message: d.message})
			one, failed = w.do(ctx, on, d)
			w.tell(ctx, on, d, one, failed)
		}
		notes.end(d, failed)
		if failed != nil && w.ordered && before == nil {
			before = fmt.Errorf("%s failed", d.message)
		}
		if failed != nil {
			one.Error = why(failed, on.Name)
			errs = append(errs, named(on.Name, d.message, failed))
		}
		list = append(list, one)
	}
	return list, errors.Join(errs...)
}

// tell writes how it ended into the progress and the host's audit file.
func (w *work) tell(ctx context.Context, on release.Host, d deed, one CommandedOn, failed error) {
	if failed != nil {
		err := named(on.Name, d.message, failed)
		w.c.report(Progress{Kind: "failed", Host: on.Name, Role: d.role, Step: d.step, Message: err.Error(), Err: err})
	} else {
		w.c.report(Progress{Kind: "done", Host: on.Name, Role: d.role, Step: d.step, Message: d.message})
	}
	conn, err := w.c.fleet.Connection(context.WithoutCancel(ctx), on)
	if err != nil || one.Unchanged || d.silent {
		return
	}
	line := w.past
	if failed != nil {
		line = fmt.Sprintf("Failed: %s: %s", w.verb, Brief(failed))
	}
	w.c.auditOn(context.WithoutCancel(ctx), conn, w.desired, d.role, line)
}
