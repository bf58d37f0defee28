package reconcile

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// run is one plan being carried out, under the locks.
type run struct {
	c        *Controller
	plan     plan.Plan
	desired  release.Release
	hosts    map[string]release.Host
	paths    layout
	seen     state.Snapshot
	record   state.Record
	locks    *Locks
	notes    *journal
	audit    *auditFiles
	restarts bool // it makes anew what runs
	retain   int  // older versions that are kept; 0: as many as the release says
	old      oldRecords
	registry *credentials
	cargo    *cargo   // the image, where it is carried from this machine
	beside   branches // what is done beside the steps, and nobody waits for but the end

	mu   sync.Mutex
	last state.Record // as it lies on the hosts, with its text; nil text until the first is written
	text []byte
	ids  map[string]string // host/name → ID of a container that was made or adopted

	notUpgraded string   // the host whose proxy could not be upgraded, "" for none
	remarks     []string // what did not fail the run, and a person should know

	files  map[string][]keptFile // step → what it has written over
	hooked []hookMade            // containers of hooks that have ended well

	inUse map[string]bool // step → its image was to go and stays
}

// do carries out one step and reports it.
func (r *run) do(ctx context.Context, s plan.Step) error {
	if err := r.locks.lostOn(s.Host); err != nil {
		return err // another may hold the lock: no call begins
	}
	if err := r.locks.enter(s.Phase); err != nil {
		return err
	}
	if s.Kind == plan.StepGate {
		return nil
	}
	r.c.report(Progress{Kind: "begin", Host: s.Host, Role: s.Role, Step: s.ID, Phase: s.Phase.String(), Message: describe(s)})
	began := time.Now()
	err := r.c.safely(func() error { return r.act(ctx, s) })
	r.audit.step(s, err)
	if errors.Is(err, errInUse) {
		r.stays(s)
		return nil
	}
	if errors.Is(err, errAbandoned) || err != nil && endsInside(s) && ctx.Err() != nil { // nobody waits: its context has ended
		r.c.report(Progress{Kind: "skipped", Host: s.Host, Role: s.Role, Step: s.ID, Phase: s.Phase.String(), Message: describe(s) + ": nobody waits for it any more", Took: time.Since(began)})
		return err
	}
	if err != nil {
		err = named(s.Host, describe(s), err)
		r.c.report(Progress{Kind: "failed", Host: s.Host, Role: s.Role, Step: s.ID, Phase: s.Phase.String(), Message: err.Error(), Took: time.Since(began), Err: err})
		return err
	}
	r.c.report(Progress{Kind: "done", Host: s.Host, Role: s.Role, Step: s.ID, Phase: s.Phase.String(), Message: describe(s), Took: time.Since(began)})
	return nil
}

// act does what a step is for, when what it needs is still so.
func (r *run) act(ctx context.Context, s plan.Step) error {
	switch s.Kind {
	case plan.StepBarrier, plan.StepGate:
		return nil
	case plan.StepWait:
		return sleep(ctx, s.Wait)
	case plan.StepHold:
		return r.hold(ctx, s)
	case plan.StepHook:
		if s.Host == "" {
			return r.localHook(ctx, s)
		}
	}
	conn, err := r.connection(ctx, s.Host)
	if err != nil {
		return err
	}
	if err := r.precondition(ctx, conn, s); err != nil {
		return err
	}
	return r.full(ctx, conn, s, moved(s, r.perform(ctx, conn, s)))
}

// perform dispatches on the closed set of kinds.
func (r *run) perform(ctx context.Context, conn *Connection, s plan.Step) error {
	switch s.Kind {
	case plan.StepNetwork:
		return conn.Engine.CreateNetwork(ctx, s.Name)
	case plan.StepEnv:
		return r.c.pushEnv(ctx, conn, r.desired, r.hosts[s.Host], s.Role, false)
	case plan.StepCertificate:
		return r.c.pushCertificate(ctx, conn, r.desired, s.Role, s.Private, false)
	case plan.StepAssets:
		return r.assets(ctx, conn, s)
	case plan.StepPages:
		return r.pages(ctx, conn, s)
	case plan.StepPull:
		return r.fetch(ctx, conn, s)
	case plan.StepPlace:
		return r.place(ctx, conn, s)
	case plan.StepPermit:
		return r.permit(ctx, conn, s)
	case plan.StepImage:
		return r.image(ctx, conn, s)
	case plan.StepProxy:
		return r.proxyServer(ctx, conn, s)
	case plan.StepTag:
		return conn.Engine.Tag(ctx, r.desired.Image(), s.Name)
	case plan.StepRecord:
		err := r.writeRecord(ctx, conn)
		if err == nil {
			r.tidyRecords(ctx, conn, s.Host)
		}
		return err
	case plan.StepKeep:
		return r.keepHeld(ctx, conn, s.Host)
	case plan.StepHook:
		return r.containerHook(ctx, s)
	case plan.StepClean:
		return conn.Files.Remove(ctx, s.Name)
	case plan.StepUntag:
		err := unless(conn.Engine.RemoveImage(ctx, s.Name), state.ErrNotFound)
		if errors.Is(err, state.ErrConflict) {
			return errInUse
		}
		return err
	}
	return r.performOnContainer(ctx, conn, s)
}

// performOnContainer does what a step does to a container or to its route.
func (r *run) performOnContainer(ctx context.Context, conn *Connection, s plan.Step) error {
	switch s.Kind {
	case plan.StepRename:
		return conn.Engine.Rename(ctx, s.Container, s.NewName)
	case plan.StepCreate:
		return r.create(ctx, conn, s)
	case plan.StepStart:
		return conn.Engine.Start(ctx, r.id(s))
	case plan.StepProve:
		return r.prove(ctx, s)
	case plan.StepSwitch:
		return r.switchTo(ctx, conn, s)
	case plan.StepCanary:
		return r.canary(ctx, conn, s)
	case plan.StepEndCanary:
		return r.endRollout(ctx, conn, s.Name)
	case plan.StepResume:
		return r.resume(ctx, conn, s)
	case plan.StepLift:
		return r.liftStop(ctx, conn, s)
	case plan.StepUnroute:
		return r.unroute(ctx, conn, s.Host, s.Name)
	case plan.StepStop:
		return stop(ctx, conn, s.Container, s.Grace)
	case plan.StepUpdate:
		return conn.Engine.Update(ctx, r.id(s), s.Options)
	case plan.StepConnect:
		return conn.Engine.ConnectNetwork(ctx, s.NewName, r.id(s), nil)
	case plan.StepRemove:
		return conn.Engine.Remove(ctx, s.Container)
	}
	return fmt.Errorf("the plan has a step of the kind %q, which this kamald does not know", s.Kind)
}

func (r *run) connection(ctx context.Context, host string) (*Connection, error) {
	return r.locks.connection(ctx, r.hosts[host])
}

// id is the container that a step is about: one that was observed, or one that the run made.
func (r *run) id(s plan.Step) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if id, ok := r.ids[s.Host+"/"+s.Container]; ok {
		return id
	}
	return s.Container
}

func (r *run) made(host, name, id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ids[host+"/"+name] = id
}

// proxyName finds the proxy's container on any host: a name is unique there.
func (r *run) proxyName() string { return r.desired.ProxyServer.Name }

// stop asks a container to end; the call lasts as long as its grace, and no longer than a little more.
func stop(ctx context.Context, conn *Connection, container string, grace time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, grace+20*time.Second)
	defer cancel()
	return unless(conn.Engine.Stop(ctx, container, grace), state.ErrNotFound)
}

func (r *run) prove(ctx context.Context, s plan.Step) error {
	role, _ := r.desired.Role(s.Role)
	proof := r.proof(s, role, r.id(s))
	host, _ := r.seen.Host(s.Host)
	for _, c := range host.Containers {
		if c.ID == s.Container && c.Running() { // it was not started by this run: an engine counts from each start
			proof.past = c.RestartCount
		}
	}
	proof.tell = func(what string) {
		r.c.report(Progress{Kind: "waiting", Host: s.Host, Role: s.Role, Step: s.ID, Phase: s.Phase.String(), Message: describe(s) + ": " + what})
	}
	err := proof.prove(ctx)
	if err == nil && proof.redirected != "" {
		r.c.report(Progress{Kind: "warn", Host: s.Host, Role: s.Role, Step: s.ID, Message: s.Name + ": " + proof.redirected})
	}
	return err
}

// proof watches a step's container, by whatever connection there is at the time.
func (r *run) proof(s plan.Step, role release.Role, container string) *proof {
	reach := func(ctx context.Context) (*Connection, error) { return r.connection(ctx, s.Host) }
	p := &proof{reach: reach, desired: r.desired, role: role, host: s.Host, container: container, name: s.Name}
	if a, is := r.accessory(s); is {
		proofOf(p, a)
	}
	return p
}

// switchTo routes traffic to the container. A reply that was lost is read back: what the proxy keeps is what happened.
func (r *run) switchTo(ctx context.Context, conn *Connection, s plan.Step) error {
	role, _ := r.desired.Role(s.Role)
	route := *s.Route
	route.Targets = []string{fmt.Sprintf("%s:%d", state.ShortID(r.id(s)), role.Proxy.AppPort)}
	if err := r.deploy(ctx, conn, s.Host, route); err != nil {
		return err
	}
	if s.OldRoute == nil && route.Stopped { // a proxy that lost it does not know that it was stopped
		if err := conn.Proxy.Stop(ctx, r.proxyName(), route.Name, route.StopMessage, 0); err != nil {
			return err
		}
	}
	if s.OldRoute != nil && s.OldRoute.Stopped && !route.Stopped { // nor one that serves again that it does
		if err := conn.Proxy.Resume(ctx, r.proxyName(), route.Name); err != nil {
			return err
		}
	}
	if s.EndsRollout {
		if err := r.endRollout(ctx, conn, s.Name); err != nil {
			return err
		}
	}
	return r.told(ctx, conn, s.Host, role)
}

func (r *run) deploy(ctx context.Context, conn *Connection, host string, route state.Route) error {
	limit := r.desired.DeployTimeout + r.desired.DrainTimeout + 15*time.Second
	bounded, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err := conn.Proxy.Deploy(bounded, r.proxyName(), route, r.desired.DeployTimeout, r.desired.DrainTimeout)
	if err == nil || errors.Is(err, ErrLeaseLost) || !errors.Is(err, state.ErrUnreachable) && bounded.Err() == nil {
		return err
	}
	return r.switchedAfterAll(ctx, host, route, err)
}

// named says first where, then what, then why; drivers name the host themselves, which is said once.
func named(host, what string, err error) error {
	if host == "" {
		return fmt.Errorf("%s: %w", what, err)
	}
	return &namedError{where: host, what: what, why: err}
}

type namedError struct {
	where, what string
	why         error
}

// Error implements error.
func (e *namedError) Error() string {
	return e.where + ": " + e.what + ": " + strings.TrimPrefix(e.why.Error(), e.where+": ")
}

// Unwrap implements errors.Is and errors.As.
func (e *namedError) Unwrap() error { return e.why }
