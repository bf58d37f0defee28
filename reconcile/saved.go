package reconcile

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// marksKept is how many marks of applied plans stay on a server.
const marksKept = 50

// StaleError: the servers are not as they were when a saved plan was made. Nothing was changed.
type StaleError struct {
	Made  time.Time
	Moves []plan.Move
	By    string // the release that was made in between, "" when none is known
}

func (e *StaleError) Error() string {
	var text strings.Builder
	fmt.Fprintf(&text, "the plan of %s is stale, and nothing was changed: since it was made", e.Made.UTC().Format(time.RFC3339))
	for _, move := range e.Moves {
		where := ""
		if move.Host != "" {
			where = move.Host + ": "
		}
		fmt.Fprintf(&text, "\n  %s%s", where, move.What)
	}
	if e.By != "" {
		fmt.Fprintf(&text, "\n  %s", e.By)
	}
	return text.String() + "\n  next: look at what moved, and save a new plan with `kamald plan -o FILE`"
}

// UsedError: a saved plan was begun before, and is carried out once only.
type UsedError struct{ How string }

func (e *UsedError) Error() string {
	return fmt.Sprintf("the plan was used already: %s; a saved plan is applied once\n  next: save a new one with `kamald plan -o FILE`", e.How)
}

// SavePlan gives what a file keeps of a plan, for ApplySaved. version is kamald's own.
func (c *Controller) SavePlan(planned Planned, version string) plan.Saved {
	saved := plan.Save(planned.Plan, planned.Desired, planned.Snapshot)
	saved.At = c.now().UTC().Round(0)
	saved.Nonce = saved.At.Format("20060102T150405Z") + "-" + strings.ToLower(rand.Text()[:12])
	saved.Kamald, saved.Who, saved.Where, saved.Secrets = version, c.Owner.Who, c.Owner.Where(), planned.secrets
	if planned.Held != nil {
		saved.Held = planned.Held.Number
	}
	return saved
}

// ApplySaved carries out exactly the steps of a saved plan, or refuses: with a StaleError when the servers have moved since, with
// a UsedError when it was begun before. current says how hosts are reached today; what is released is the plan's own. An empty
// plan takes no lock. Problems that the ignored checks find on the servers as they are now are only warned of.
func (c *Controller) ApplySaved(ctx context.Context, saved plan.Saved, current release.Release, ignore ...plan.Check) (_ Report, err error) {
	defer c.survive(&err)
	began := c.now()
	if app := current.App(); app != saved.App {
		return Report{}, fmt.Errorf("the plan is for %s, and this is %s: apply it with the deploy.hcl and the destination (-d) that it was made with", appName(saved.App), appName(app))
	}
	if err := problems(saved.Plan); err != nil {
		return Report{Kind: saved.Plan.Kind, Version: saved.Plan.Version, Skipped: saved.Plan.Unreachable, Plan: saved.Plan}, err
	}
	if saved.Plan.Waits != "" {
		return Report{}, fmt.Errorf("the plan waits, so nothing was changed: %s", saved.Plan.Waits)
	}
	if err := c.usedHere(saved); err != nil {
		return Report{}, err
	}
	a := &savedApply{c: c, saved: saved, desired: reachedAs(saved.Release, current)}
	snapshot, keys, err := c.look(ctx, a.desired, false)
	if err != nil {
		return Report{}, err
	}
	if err := a.check(a.lockedAsSeen(snapshot), keys); err != nil {
		return Report{}, err
	}
	if saved.Plan.Empty() {
		return c.done(Report{Outcome: state.OutcomeSucceeded, Kind: plan.KindNone}, a.planned(snapshot), snapshot, began), nil
	}
	if refused, err := a.preflight(ctx, snapshot, ignore); err != nil {
		return Report{Kind: saved.Plan.Kind, Version: saved.Plan.Version, Skipped: saved.Plan.Unreachable, Plan: refused}, err
	}
	report, err := a.locked(ctx, snapshot)
	report.Took = c.now().Sub(began)
	return report, err
}

// savedApply is one saved plan being applied.
type savedApply struct {
	c       *Controller
	saved   plan.Saved
	desired release.Release
}

// planned is the saved plan as if it had been made from what is seen now: it was made from the same.
func (a *savedApply) planned(snapshot state.Snapshot) Planned {
	return Planned{Plan: a.saved.Plan, Desired: a.desired, Snapshot: snapshot, Held: newestRecord(snapshot), registry: a.c.credentials(a.desired)}
}

// preflight looks for what is in the way of the file's steps today: room, ports and registries are no part of what a plan was made from.
func (a *savedApply) preflight(ctx context.Context, snapshot state.Snapshot, ignore []plan.Check) (plan.Plan, error) {
	planned := a.planned(snapshot)
	planned.Plan.Warnings = nil // they were of another day
	a.c.examine(ctx, &planned, ignore)
	for _, warning := range planned.Plan.Warnings {
		a.c.report(Progress{Kind: "warn", Message: warning})
	}
	return planned.Plan, problems(planned.Plan)
}

// locked takes the locks, looks again, and carries the file's own steps out when all is as it was.
func (a *savedApply) locked(ctx context.Context, snapshot state.Snapshot) (report Report, err error) {
	locks, err := a.c.lock(ctx, wide(a.desired, snapshot), lockable(a.planned(snapshot)), snapshot, string(a.saved.Plan.Kind))
	if err != nil {
		return Report{}, err
	}
	defer func() { err = errors.Join(err, locks.release(ctx)) }()
	snapshot, keys, err := a.c.observeAgain(ctx, 0, a.desired, snapshot)
	if err != nil {
		return Report{}, err
	}
	for i := range snapshot.Hosts {
		snapshot.Hosts[i].Lock = nil // it is ours now
	}
	if err := a.check(snapshot, keys); err != nil {
		return Report{}, err
	}
	planned := a.planned(snapshot)
	if err := a.mark(ctx, locks, reachable(planned)); err != nil {
		return Report{}, err
	}
	if err := locks.seal(ctx, snapshot); err != nil {
		return Report{}, err
	}
	return a.c.carryOut(ctx, planned, locks, Options{nonce: a.saved.Nonce})
}

// check refuses a plan that was used, or that the world has left behind.
func (a *savedApply) check(now state.Snapshot, keys keys) error {
	for _, host := range now.Hosts {
		if host.Record != nil && host.Record.Plan == a.saved.Nonce {
			return &UsedError{How: "it is " + releaseBy(*host.Record)}
		}
	}
	moves := a.saved.Moved(now)
	secrets, err := a.secretsMoved(now, keys)
	if err != nil {
		return err
	}
	held := newestRecord(now)
	newer := held != nil && held.Number > a.saved.Held
	moves = append(moves, hooksMoved(a.saved.Plan, a.desired)...)
	if moves = append(moves, secrets...); len(moves) == 0 && newer {
		moves = append(moves, plan.Move{What: "another release was recorded"})
	}
	if len(moves) == 0 { // a hold that was set since moves nothing else
		planned := Planned{Plan: a.saved.Plan, Desired: a.desired, Held: held}
		if held != nil {
			was, err := decodeRelease(*held, a.desired)
			planned.same = err == nil && release.Digest(was) == a.saved.Plan.Desired
		}
		return planned.waits(Options{}).refused()
	}
	stale := &StaleError{Made: a.saved.At, Moves: moves}
	if newer {
		stale.By = "in between there was " + releaseBy(*held)
	}
	return stale
}

// secretsMoved compares the secrets that the plan pushes with those that are at hand here.
func (a *savedApply) secretsMoved(now state.Snapshot, keys keys) ([]plan.Move, error) {
	if !slices.ContainsFunc(a.saved.Plan.Steps, func(s plan.Step) bool { return secretsOf(s) != "" }) {
		return nil, nil
	}
	all, err := a.c.digests(a.desired, now, keys)
	if err != nil {
		return nil, err
	}
	var moves []plan.Move
	for _, s := range a.saved.Plan.Steps {
		pushes := secretsOf(s)
		if pushes == "" {
			continue
		}
		was, here := a.saved.Secrets[s.Host][pushes], all[s.Host][pushes]
		for _, name := range sortedKeys(was) {
			digest, atHand := here[name]
			switch {
			case !atHand:
				moves = append(moves, plan.Move{Host: s.Host, What: fmt.Sprintf("the plan pushes secret %s of %s, which is not at hand here", name, s.Role)})
			case !state.ComparableSecrets(digest, was[name]):
				moves = append(moves, plan.Move{Host: s.Host, What: fmt.Sprintf("secret %s of %s that is at hand here cannot be compared with the one that the plan pushes: the host's digest key was made or removed since", name, s.Role)})
			case digest != was[name]:
				moves = append(moves, plan.Move{Host: s.Host, What: fmt.Sprintf("secret %s of %s that is at hand here is another than the plan pushes", name, s.Role)})
			}
		}
		for _, name := range sortedKeys(here) {
			if _, had := was[name]; !had {
				moves = append(moves, plan.Move{Host: s.Host, What: fmt.Sprintf("secret %s of %s is at hand here, and was not where the plan was made", name, s.Role)})
			}
		}
	}
	return moves, nil
}

// usedHere asks this machine's store; the servers are asked with the look.
func (c *Controller) usedHere(saved plan.Saved) error {
	plans, err := c.Store.Plans(saved.App, 0)
	if err != nil {
		return err
	}
	for _, p := range plans {
		if p.Nonce == saved.Nonce {
			return &UsedError{How: "from here, at " + p.At.UTC().Format(time.RFC3339)}
		}
	}
	return nil
}

// mark notes the plan's nonce on the host whose lock is taken first, before anything else is changed: whoever comes with the same
// plan, from whatever machine and after whatever end, meets it there.
func (a *savedApply) mark(ctx context.Context, locks *Locks, hosts []release.Host) error {
	if len(hosts) == 0 {
		return errors.New("no host of the plan can be reached")
	}
	host := lockOrder(a.desired, hosts)[0]
	conn, err := locks.connection(ctx, host)
	if err != nil {
		return err
	}
	marking := deed{kind: "mark", host: host.Name, step: "mark", message: "note that the plan " + a.saved.Nonce + " is used"}
	return a.c.noted(a.desired.App(), marking, func() error { return a.markOn(ctx, host, conn) })
}

func (a *savedApply) markOn(ctx context.Context, host release.Host, conn *Connection) error {
	dir := layoutOf(a.desired).plans()
	var old []string
	group, grouped := crewWithin(ctx)
	group.Go(func() error { return conn.Files.Mkdir(grouped, path.Join(dir, a.saved.Nonce)) })
	group.Go(func() error {
		old, _ = conn.Files.List(grouped, dir) // only for tidying up
		return nil
	})
	err := group.Wait()
	if errors.Is(err, fs.ErrExist) {
		return &UsedError{How: "it was begun before, from wherever, as " + host.Name + " knows"}
	}
	if err != nil {
		return named(host.Name, "note that the plan is used", err)
	}
	for len(old) > marksKept { // their names sort by time; best effort
		_ = conn.Files.Remove(ctx, path.Join(dir, old[0]))
		old = old[1:]
	}
	return nil
}

// reachedAs is a kept release with today's ways to its hosts: keys, addresses and the registry's account may have changed.
func reachedAs(desired, current release.Release) release.Release {
	desired.SSH, desired.SecretFiles, desired.SecretFetches = current.SSH, current.SecretFiles, current.SecretFetches
	desired.Hooks = current.Hooks
	desired.Hosts = slices.Clone(desired.Hosts)
	for i, on := range desired.Hosts {
		if now, ok := current.Host(on.Name); ok {
			desired.Hosts[i].Address, desired.Hosts[i].SSH, desired.Hosts[i].HostKey = now.Address, now.SSH, now.HostKey
		}
	}
	if desired.Registry != nil && current.Registry != nil && desired.Registry.Server == current.Registry.Server {
		desired.Registry = current.Registry
	}
	return desired
}

// lockedAsSeen leaves locks that others hold now out of the comparison: taking the lock waits for them, or names their owners.
func (a *savedApply) lockedAsSeen(now state.Snapshot) state.Snapshot {
	now.Hosts = slices.Clone(now.Hosts)
	for i, host := range now.Hosts {
		if host.Lock == nil {
			continue
		}
		now.Hosts[i].Lock = nil
		for _, seen := range a.saved.Seen {
			if seen.Name == host.Name {
				now.Hosts[i].Lock = seen.Lock
			}
		}
	}
	return now
}

// releaseBy names a release and who made it.
func releaseBy(r state.Record) string {
	return fmt.Sprintf("release %d (%s of version %s) by %s from %s at %s", r.Number, r.Kind, r.Version, r.Who, r.Where, r.Started.UTC().Format(time.RFC3339))
}

func appName(app state.App) string {
	if app.Destination == "" {
		return app.Service + " without a destination"
	}
	return fmt.Sprintf("%s, destination %s", app.Service, app.Destination)
}
