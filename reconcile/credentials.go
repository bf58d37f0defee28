package reconcile

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// credentials are what a release shows to its registry: looked up at first need, and once more when the registry refuses them,
// for a token may have expired meanwhile. They are safe for concurrent use.
type credentials struct {
	c       *Controller
	desired release.Release

	mu      sync.Mutex
	auth    release.Auth
	known   bool
	renewed bool // once for all hosts: whoever is refused again is refused

	pinnedOn string // the host that the pin was found out from
	pinned   state.Manifest
}

func (c *Controller) credentials(desired release.Release) *credentials {
	return &credentials{c: c, desired: desired}
}

// get gives them as they were looked up.
func (k *credentials) get() (release.Auth, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.known {
		return k.auth, nil
	}
	auth, err := k.c.auth(k.desired, k.c.Secrets.Secret)
	if err == nil {
		k.auth, k.known = auth, true
	}
	return auth, err
}

// renew gives others than the refused ones; false when there are none. The error is of a command or a fetch that failed.
func (k *credentials) renew(refused release.Auth) (release.Auth, bool, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.auth != refused {
		return k.auth, true, nil // another host was refused before
	}
	if k.renewed {
		return k.auth, false, nil
	}
	k.renewed = true
	auth, err := k.c.auth(k.desired, k.c.Secrets.Renew)
	if err != nil || auth == refused {
		return k.auth, false, err
	}
	k.auth = auth
	return auth, true, nil
}

// show does what needs them. What fails for a passing fault of the registry is done again after a while, and what is refused
// once more with credentials that were looked up anew. The limit is that of patiently.
func (k *credentials) show(ctx context.Context, limit time.Duration, do func(release.Auth) error) error {
	auth, err := k.get()
	if err != nil {
		return err
	}
	err = patiently(ctx, limit, func() error { return do(auth) })
	if !errors.Is(err, state.ErrDenied) {
		return err
	}
	auth, others, failed := k.renew(auth)
	if failed != nil {
		return fmt.Errorf("%w; they were looked up anew, and that failed: %w", err, failed)
	}
	if !others {
		return err
	}
	return patiently(ctx, limit, func() error { return do(auth) })
}

// pauses are how long a fault of a registry is waited for to pass, each time.
var pauses = []time.Duration{time.Second, 4 * time.Second}

// slowFault is how long a question's faults may take altogether: an engine that waits for a registry out of reach has tried it
// several times by then, and every host is asked before a plan can say so.
const slowFault = 5 * time.Second

// patiently does something again as long as a registry's fault may pass, unless the limit is over by then; 0 is none. An engine
// has tried each layer several times by then.
func patiently(ctx context.Context, limit time.Duration, do func() error) error {
	began := time.Now()
	err := do()
	for _, pause := range pauses {
		fault, ok := errors.AsType[*state.RegistryError](err)
		if !ok || !fault.Fault.Passing() || limit > 0 && time.Since(began) > limit {
			return err
		}
		if sleep(ctx, pause) != nil {
			return err
		}
		err = do()
	}
	return err
}

// reply is what the registry said to one host.
type reply struct {
	manifest state.Manifest
	err      error
}

// askAll asks the registry what it has under a reference, from several hosts at once; the replies come in the hosts' order.
func (k *credentials) askAll(ctx context.Context, hosts []release.Host, ref string) []reply {
	replies := make([]reply, len(hosts))
	var asking branches
	for i, on := range hosts {
		asking.Go(func() { replies[i].manifest, replies[i].err = k.ask(ctx, on, ref) })
	}
	asking.Wait()
	return replies
}

func (k *credentials) ask(ctx context.Context, on release.Host, ref string) (found state.Manifest, err error) {
	conn, err := k.c.fleet.Connection(ctx, on)
	if err != nil {
		return found, err
	}
	err = k.show(ctx, slowFault, func(auth release.Auth) (err error) {
		found, err = conn.Engine.Manifest(ctx, ref, auth)
		return err
	})
	if slow, ok := errors.AsType[*DeadlineError](err); ok { // the engine itself waits for the registry
		err = fmt.Errorf("the registry gave the engine there no answer within %s", slow.After)
		return found, &state.RegistryError{Fault: state.FaultUnreached, Registry: orHub(release.ServerOf(ref)), Err: err}
	}
	return found, err
}

// pull gets a reference to a host; of a list what there is for a platform, "" for the host's own.
func (k *credentials) pull(ctx context.Context, conn *Connection, ref, platform string) error {
	return k.show(ctx, 0, func(auth release.Auth) error { return conn.Engine.Pull(ctx, ref, platform, auth) })
}

// of are the credentials for a reference: these where it is of the release's registry, and none for any other.
func (k *credentials) of(ref string) *credentials {
	if k.knows(ref) {
		return k
	}
	return &credentials{c: k.c, desired: k.desired, known: true, renewed: true}
}

// knows tells whether a reference is of the release's registry.
func (k *credentials) knows(ref string) bool {
	registry := k.desired.Registry
	return registry != nil && registry.Server == release.ServerOf(ref)
}
