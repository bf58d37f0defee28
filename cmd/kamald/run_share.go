package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/kamald/kamald/reconcile/group"
	"github.com/kamald/kamald/reconcile/loop"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
	"github.com/kamald/kamald/state/etcd"
)

// share is how this daemon shares its apps with those of other bastions: by the cluster that has their store.
type share struct {
	store   *etcd.Store
	elector *etcd.Elector
	name    string
	log     zerolog.Logger

	mu     sync.Mutex
	unable map[state.App]string // why this daemon could not lead, as it was said last
}

// newShare gives how; nil: by a store that is in no cluster there is nobody to share with.
func newShare(kept state.Store, how release.Store, log zerolog.Logger) (*share, error) {
	store, in := kept.(*etcd.Store)
	if !in {
		return nil, nil
	}
	name := how.Name
	if name == "" {
		machine, err := os.Hostname()
		if err != nil {
			return nil, fmt.Errorf("this machine's name is not known: %w\n  next: give the daemon one, store { name = \"…\" }", err)
		}
		name = machine
	}
	return &share{store: store, elector: store.NewElector(name, how.Lease), name: name, log: log, unable: map[state.App]string{}}, nil
}

// group gives the daemon as one among others. It drives by the loop that it is told of.
func (s *share) group() *group.Group {
	failed := func(err error) {
		event := s.log.Warn()
		if errors.Is(err, etcd.ErrAway) { // of which the log tells once
			event = s.log.Debug()
		}
		event.Err(err).Msg("what the daemons show each other")
	}
	return group.New(group.Options{Board: board{s.elector.Board()}, Election: s, Name: s.name, Stale: s.store.Stale, Failed: failed})
}

// Lead implements group.Election.
func (s *share) Lead(ctx context.Context, app state.App) (loop.Term, error) {
	term, err := s.elector.Campaign(ctx, app)
	if err == nil {
		// What this daemon read of the app may be from before others led it, and a store that is away a moment later gives that. Now nobody
		// else keeps anything of it: what is read once is right for the whole term.
		if _, _, err = s.store.Under(term).Watch(app); err != nil {
			_ = term.Resign() // it is over in any case
		}
	}
	if ctx.Err() == nil {
		s.said(app, err)
	}
	if err != nil {
		return nil, err
	}
	log := s.log.With().Str("app", app.String()).Int64("term", term.Number()).Logger()
	log.Info().Msg("this daemon leads the app")
	return ledTerm{term, s.store.Under(term), log}, nil
}

// said has the log say why this daemon cannot lead an app, once for each reason.
func (s *share) said(app state.App, err error) {
	why := ""
	if err != nil {
		why = err.Error()
	}
	s.mu.Lock()
	news := why != s.unable[app]
	s.unable[app] = why
	s.mu.Unlock()
	if news && err != nil && !errors.Is(err, etcd.ErrAway) { // of which the log tells once
		s.log.Error().Err(err).Str("app", app.String()).Msg("this daemon cannot lead the app: it tries again")
	}
}

// ledTerm is a term, and the store as it is under it.
type ledTerm struct {
	term  *etcd.Term
	store state.Store
	log   zerolog.Logger
}

func (t ledTerm) Over() <-chan struct{}    { return t.term.Done() }
func (t ledTerm) Holds() bool              { return t.term.Holds() }
func (t ledTerm) Number() int64            { return t.term.Number() }
func (t ledTerm) Keep(w state.Watch) error { return t.store.SaveWatch(w) }

// Resign implements loop.Term. The term is over in any case; where the cluster cannot be told, others wait for the lease's end.
func (t ledTerm) Resign() {
	err := t.term.Resign()
	t.log.Info().AnErr("untold", err).Msg("this daemon leads the app no more")
}

// board is the cluster's, with the errors of its user.
type board struct{ *etcd.Board }

// Ask implements group.Board.
func (b board) Ask(ctx context.Context, app state.App, question []byte) ([]byte, error) {
	answer, err := b.Board.Ask(ctx, app, question)
	if errors.Is(err, etcd.ErrNotTaken) {
		err = notTaken{err}
	}
	return answer, err
}

// notTaken is group.ErrNotTaken in the cluster's words.
type notTaken struct{ error }

// Is implements what errors.Is asks for.
func (notTaken) Is(target error) bool { return target == group.ErrNotTaken }

// close gives up what this daemon leads, so that others lead it at once.
func (s *share) close() error {
	if s == nil {
		return nil
	}
	return s.elector.Close()
}

// away says in the log when the cluster does not answer, and when it does again, until the context ends.
func (s *service) away(ctx context.Context) {
	if s.share == nil {
		return
	}
	said := time.Time{}
	for tick := time.NewTicker(time.Second); ; {
		since, err := s.share.store.Stale()
		switch {
		case !since.IsZero() && said.IsZero():
			s.log.Error().Err(err).Time("since", since).Msg("the store cannot be reached: nothing new is begun until it is back, and what is shown is from before")
		case since.IsZero() && !said.IsZero():
			s.log.Info().Str("lasted", time.Since(said).Round(time.Millisecond).String()).Msg("the store is back")
		}
		said = since
		select {
		case <-ctx.Done():
			tick.Stop()
			return
		case <-tick.C:
		}
	}
}
