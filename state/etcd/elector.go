package etcd

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"github.com/kamald/kamald/state"
)

// Elector gives terms. What it holds hangs on one lease, for however many apps: when that is lost, every term ends, and campaigns go on
// with another.
type Elector struct {
	s    *core
	name string
	ttl  time.Duration
	life context.Context
	end  context.CancelFunc
	all  sync.WaitGroup
	once sync.Once

	mu       sync.Mutex
	session  *session // nil: there was no need of one yet
	standing map[state.App]bool

	leaders leaders
}

// NewElector gives an elector of this daemon, under a name that tells people which that is. A leader that nobody hears of any more is
// followed by another after ttl, in whole seconds; etcd takes none below two or so. Close ends it.
func (s *Store) NewElector(name string, ttl time.Duration) *Elector {
	e := &Elector{s: s.core, name: name, ttl: max(ttl.Round(time.Second), time.Second), standing: map[state.App]bool{}}
	e.life, e.end = context.WithCancel(s.life)
	e.all.Go(e.follow)
	return e
}

// Campaign waits until this daemon leads an app, however long that takes and whatever becomes of the cluster meanwhile. The error is that
// of the context, or one that no waiting overcomes: etcd refuses the user, the elector is closed, or the app has a campaign or a term of
// this elector already.
func (e *Elector) Campaign(ctx context.Context, app state.App) (*Term, error) {
	if err := e.begin(app); err != nil {
		return nil, err
	}
	defer e.ends(app)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(e.life, cancel)()
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
		term, err := e.campaign(ctx, app)
		switch {
		case err == nil:
			return term, nil
		case e.life.Err() != nil:
			return nil, e.s.misuse("the elector is closed")
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case !errors.Is(err, errOver) && !errors.Is(err, context.Canceled) && !passing(err) && !is(err, rpctypes.ErrGRPCNoSpace):
			return nil, e.s.explain(err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

// Leader tells who leads an app now, as the cluster told last; not ok: nobody does, or the cluster does not answer.
func (e *Elector) Leader(app state.App) (name string, ok bool) { return e.leaders.of(app) }

// Close gives up every term and campaign at once, so that others can take over without waiting. The error tells that they have to wait
// after all: the cluster could not be told.
func (e *Elector) Close() error {
	var err error
	e.once.Do(func() {
		e.mu.Lock()
		s := e.session
		e.end()
		e.mu.Unlock()
		if s != nil {
			s.over()
		}
		e.all.Wait()
		if s != nil {
			err = s.revoke()
		}
	})
	return err
}

func (e *Elector) begin(app state.App) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.standing[app] {
		return e.s.misuse("%s stands for %s already", e.name, app)
	}
	e.standing[app] = true
	return nil
}

func (e *Elector) ends(app state.App) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.standing, app)
}

// campaign stands once, with the session that there is or a new one.
func (e *Elector) campaign(ctx context.Context, app state.App) (*Term, error) {
	s, err := e.open(ctx)
	if err != nil {
		return nil, err
	}
	return s.stand(ctx, app)
}

// open gives the session, and another where that is over.
func (e *Elector) open(ctx context.Context) (*session, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.life.Err() != nil {
		return nil, errClosed
	}
	if e.session != nil && e.session.holds() {
		return e.session, nil
	}
	s, err := e.newSession(ctx)
	if err != nil {
		return nil, err
	}
	e.session = s
	e.all.Go(s.keep)
	return s, nil
}
