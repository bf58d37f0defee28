package reconcile

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// BootstrapOptions are what the caller of a bootstrap may ask for.
type BootstrapOptions struct {
	Hosts, Roles []string // names or globs that limit it; none: every host of the release
	FromDistro   bool     // the distribution's package instead of Docker's own script
	// SkipUnreachable leaves hosts out that cannot be reached, and names them; it is an error still when none can be.
	SkipUnreachable bool
}

const (
	// bootstrapAtOnce is how many hosts are made ready at once: each fetches packages from the same few places.
	bootstrapAtOnce = 16
	// engineComes is how long an engine may take to answer once it was started.
	engineComes = 45 * time.Second
	engineEvery = 500 * time.Millisecond
)

// Bootstrap makes hosts ready: Docker is there, it runs, and the SSH user may use it. A host that is so already is left untouched.
// What fails on one host abandons no other; the error names each, and the result says what was done everywhere. It takes no lock:
// it touches nothing that a release does.
func (c *Controller) Bootstrap(ctx context.Context, desired release.Release, options BootstrapOptions) (Commanded, error) {
	result := Commanded{App: desired.App(), Command: "server bootstrap", Done: []CommandedOn{}}
	scope, err := plan.FilterOf(desired, options.Hosts, options.Roles)
	if err != nil {
		return result, err
	}
	known, _, err := c.Store.Snapshot(desired.App())
	if err != nil {
		return result, err
	}
	cordoned := plan.CordonedIn(known, c.now())
	var hosts []release.Host
	for _, on := range desired.Hosts {
		switch reason := cordoned[on.Name]; {
		case !scope.Wants(desired, on.Name):
		case reason != "":
			result.Cordoned = append(result.Cordoned, plan.Skipped{Host: on.Name, Reason: reason})
		default:
			hosts = append(hosts, on)
		}
	}
	if len(hosts) == 0 {
		return result, fmt.Errorf("there is no host to make ready: all are left out:%s", reasons(result.Cordoned))
	}
	made := make([]madeReady, len(hosts))
	group := newCrew()
	group.SetLimit(bootstrapAtOnce)
	for i, on := range hosts {
		group.Go(func() error {
			err := c.safely(func() error { made[i] = c.bootstrap(ctx, desired, on, options); return nil })
			if err != nil { // it is not known how far it came
				made[i] = madeReady{on: CommandedOn{Host: on.Name}, err: err}
			}
			return nil
		})
	}
	_ = group.Wait() // no member fails
	var errs []error
	for i, one := range made {
		if one.skipped != "" {
			result.Skipped = append(result.Skipped, plan.Skipped{Host: hosts[i].Name, Reason: one.skipped})
			continue
		}
		result.Done, errs = append(result.Done, one.on), append(errs, one.err)
	}
	if len(result.Done) == 0 {
		return result, fmt.Errorf("no host could be reached to be made ready:%s", reasons(append(result.Skipped, result.Cordoned...)))
	}
	if err := errors.Join(errs...); err != nil {
		return result, err
	}
	about := HookAbout{}
	for _, on := range hosts {
		about.Hosts = append(about.Hosts, on.Name)
	}
	return result, c.RunHooks(ctx, desired, release.HookDockerSetup, about)
}

// madeReady is what has come of one host.
type madeReady struct {
	on      CommandedOn
	skipped string // why it was left out; "" when it was not
	err     error
}

// bootstrap makes one host ready.
func (c *Controller) bootstrap(ctx context.Context, desired release.Release, on release.Host, options BootstrapOptions) madeReady {
	if err := context.Cause(ctx); err != nil {
		return madeReady{on: CommandedOn{Host: on.Name, Error: "not begun: " + err.Error()}, err: named(on.Name, "make it ready", err)}
	}
	b := &bootstrapping{c: c, desired: desired, on: on, fromDistro: options.FromDistro}
	version, err := b.carryOut(ctx)
	one := CommandedOn{Host: on.Name, Unchanged: err == nil && len(b.did) == 0}
	did := strings.Join(b.did, ", ")
	switch {
	case err != nil && options.SkipUnreachable && ctx.Err() == nil && b.unreached(err):
		return madeReady{skipped: why(err, on.Name)}
	case err != nil:
		one.Error = why(err, on.Name)
		if did != "" {
			one.Notes = append(one.Notes, "done before that: "+did)
		}
		return madeReady{on: one, err: named(on.Name, "make it ready", err)}
	case one.Unchanged:
		one.Did = fmt.Sprintf("was ready: Docker %s answers", version)
	default:
		one.Did = fmt.Sprintf("%s; Docker %s answers", did, version)
		b.audit(ctx, "Made the server ready: "+did)
	}
	return madeReady{on: one}
}

// bootstrapping is one host on its way.
type bootstrapping struct {
	c          *Controller
	desired    release.Release
	on         release.Host
	fromDistro bool

	ground  state.Ground
	reached bool // a connection was made
	begun   bool // something was begun there, whatever came of it
	did     []string
}

// unreached tells whether the host could not be reached, and that is all: nothing was begun there.
func (b *bootstrapping) unreached(err error) bool {
	var engine *state.EngineError
	return !b.begun && !errors.As(err, &engine) && (!b.reached || errors.Is(err, state.ErrUnreachable))
}

// carryOut does what is missing, and gives the version of the engine that answers then.
func (b *bootstrapping) carryOut(ctx context.Context) (string, error) {
	version, err := b.engine(ctx)
	if err == nil {
		return version, nil
	}
	var engine *state.EngineError
	if errors.As(err, &engine) && engine.Trouble == state.EngineOld {
		return "", fmt.Errorf("%w\n  next: upgrade Docker there; what runs on it is not kamald's to restart", engine)
	}
	conn, lost := b.c.fleet.Connection(ctx, b.on)
	if lost != nil {
		return "", lost
	}
	if b.ground, lost = conn.Installer.Look(ctx); lost != nil {
		return "", errors.Join(err, lost)
	}
	if err := b.mayBegin(err); err != nil {
		return "", err
	}
	if !b.ground.Engine && !b.ground.Client {
		if err := b.install(ctx); err != nil {
			return "", err
		}
	}
	return b.finish(ctx)
}

// mayBegin refuses what could not be brought to an end. trouble is why the engine does not answer.
func (b *bootstrapping) mayBegin(trouble error) error {
	switch g := b.ground; {
	case g.Busy != "": // half of it may be there: whatever is missing yet tells nothing
		return fmt.Errorf("an installation is under way there; its log is %s/log\n  next: do the same again when it is through", g.Busy)
	case g.Client && !g.Engine && !g.Socket:
		return fmt.Errorf("there is a command docker and no engine (dockerd): it is the client alone, or another program's stand-in: remove it, or install the engine by hand\n  %w", whyNoEngine(trouble))
	case g.Become == "":
		return fmt.Errorf("user %s is not root, and cannot become root without a password: %s\n  next: log in as root (user in the ssh block), or let this user do it, as root there:\n    echo '%s ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/kamald",
			g.User, g.Refused, g.User)
	}
	return nil
}

// install puts Docker there.
func (b *bootstrapping) install(ctx context.Context) error {
	from := "by its official script (https://get.docker.com)"
	if b.fromDistro {
		from = "from the distribution's package"
	}
	return b.step(ctx, "install", "install Docker "+from, "installed Docker "+from, func(conn *Connection) error {
		return conn.Installer.Install(ctx, b.fromDistro, b.say)
	})
}

// finish sees that the user may use the engine and that it runs, and waits for it to answer.
func (b *bootstrapping) finish(ctx context.Context) (string, error) {
	installed := len(b.did) > 0
	if !b.ground.Admitted() {
		if err := b.admit(ctx); err != nil {
			return "", err
		}
	}
	if !installed { // one that was just installed is enabled for every boot, too
		if version, err := b.engine(ctx); err == nil {
			return version, nil
		}
	}
	err := b.step(ctx, "start", "start the engine", "started the engine", func(conn *Connection) error {
		return conn.Installer.Start(ctx, b.say)
	})
	if err != nil {
		return "", b.withLog(ctx, err)
	}
	// A connection that has met a dead socket may have taken the way round it for good.
	if err := b.c.fleet.Renew(ctx, b.on.Name); err != nil {
		return "", err
	}
	version, err := b.awaitEngine(ctx)
	if err != nil {
		return "", b.withLog(ctx, fmt.Errorf("the engine of the installed Docker does not answer: %w", whyNoEngine(err)))
	}
	return version, nil
}

// admit lets the user use the engine. That counts for logins from then on, so the next connection is a new one.
func (b *bootstrapping) admit(ctx context.Context) error {
	what := fmt.Sprintf("user %s to the group %s", b.ground.User, state.DockerGroup)
	err := b.step(ctx, "admit", "add "+what, "added "+what, func(conn *Connection) error { return conn.Installer.Admit(ctx) })
	if err != nil {
		return err
	}
	if b.on.Name == release.LocalHost || b.on.Address == release.LocalHost {
		return fmt.Errorf("user %s was added to the group %s, and that counts from the next login on: log in again, and do the same again", b.ground.User, state.DockerGroup)
	}
	return b.c.fleet.Renew(ctx, b.on.Name)
}

// step notes what is about to be done, does it, and notes how it ended.
func (b *bootstrapping) step(ctx context.Context, name, message, did string, do func(*Connection) error) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	conn, err := b.c.fleet.Connection(ctx, b.on)
	if err != nil {
		return err
	}
	d := deed{kind: "bootstrap", host: b.on.Name, step: "bootstrap/" + name + "/" + b.on.Name, message: message}
	b.c.report(Progress{Kind: "begin", Host: b.on.Name, Step: d.step, Message: message})
	b.begun = true
	began := b.c.now()
	if err := b.c.noted(b.desired.App(), d, func() error { return do(conn) }); err != nil {
		err = named(b.on.Name, message, err)
		b.c.report(Progress{Kind: "failed", Host: b.on.Name, Step: d.step, Message: err.Error(), Err: err})
		return err
	}
	b.did = append(b.did, did)
	b.c.report(Progress{Kind: "done", Host: b.on.Name, Step: d.step, Message: message, Took: b.c.now().Sub(began)})
	return nil
}

func (b *bootstrapping) say(line string) {
	b.c.report(Progress{Kind: "said", Host: b.on.Name, Message: line})
}

// engine asks the engine once, the way a release does.
func (b *bootstrapping) engine(ctx context.Context) (version string, err error) {
	conn, err := b.c.fleet.Connection(ctx, b.on)
	if err != nil {
		return "", err
	}
	b.reached = true
	info, err := conn.Engine.Info(ctx)
	return info.Version, err
}

// awaitEngine asks until the engine answers; what more time does not change ends it.
func (b *bootstrapping) awaitEngine(ctx context.Context) (string, error) {
	for began := b.c.now(); ; {
		version, err := b.engine(ctx)
		var engine *state.EngineError
		switch {
		case err == nil:
			return version, nil
		case errors.As(err, &engine) && engine.Trouble != state.EngineStopped,
			b.c.now().Sub(began) >= engineComes:
			return "", err
		}
		if err := sleep(ctx, engineEvery); err != nil {
			return "", err
		}
	}
}

// whyNoEngine is an error without the call that met it, where it is of the engine.
func whyNoEngine(err error) error {
	var engine *state.EngineError
	if errors.As(err, &engine) {
		return engine
	}
	return err
}

// withLog adds what the engine has logged last.
func (b *bootstrapping) withLog(ctx context.Context, err error) error {
	conn, lost := b.c.fleet.Connection(ctx, b.on)
	if lost != nil {
		return err
	}
	lines, lost := conn.Installer.Said(ctx)
	if lost != nil || len(lines) == 0 {
		return err
	}
	return fmt.Errorf("%w\n  the engine's last log lines:\n  | %s", err, strings.Join(lines, "\n  | "))
}

// audit writes into the host's audit file, best effort.
func (b *bootstrapping) audit(ctx context.Context, message string) {
	if conn, err := b.c.fleet.Connection(ctx, b.on); err == nil {
		b.c.auditOn(context.WithoutCancel(ctx), conn, b.desired, "", message)
	}
}
