package main

import (
	"context"
	"errors"
	"path/filepath"

	"github.com/rs/zerolog"

	"github.com/kamald/kamald/drivers/git"
	"github.com/kamald/kamald/drivers/hooks"
	"github.com/kamald/kamald/drivers/image"
	"github.com/kamald/kamald/drivers/secrets"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
)

// session is what a command works with that looks at servers.
type session struct {
	*reconcile.Controller
	desired  release.Release
	progress *progress

	log       zerolog.Logger
	connector *connector
	counter   *reconcile.Counter
	inFlight  *reconcile.InFlight
}

// open reads the file and wires everything; nothing is reached yet.
func (p *program) open(ctx context.Context, n need) (*session, error) {
	desired, err := p.load(ctx, n)
	if err != nil {
		return nil, err
	}
	store, err := p.openStore()
	if err != nil {
		return nil, err
	}
	values, err := secrets.Load(filepath.Dir(p.flags.file), desired.SecretFiles, desired.SecretFetches, nil)
	if err != nil {
		return nil, err
	}
	s := &session{desired: desired, log: p.newLogger(), counter: &reconcile.Counter{}, inFlight: &reconcile.InFlight{}}
	s.connector = newConnector(desired, values)
	reach := p.reach
	if reach == nil {
		reach = s.connector
	}
	fleet := s.fleet(reach)
	s.Controller = reconcile.NewController(fleet, store, values)
	s.NewSpool = func() reconcile.Spool { return &image.Spool{} }
	hooked(s.Controller, values, p.words)
	if len(desired.Hooks.List) > 0 {
		s.Performer = git.Email(ctx, filepath.Dir(p.flags.file))
	}
	s.PreConnect(desired)
	if p.owner != nil {
		s.Owner = *p.owner
	}
	s.progress = p.newProgress(desired, s.inFlight.Calls)
	s.Report, s.Planned = p.listen(s.progress.report), s.progress.plan
	return s, nil
}

// hooked lets a controller run hooks on this machine.
func hooked(c *reconcile.Controller, values *secrets.Lookup, command string) {
	c.Hooks, c.Command = hooks.Runner{}, command
	c.AllSecrets = func() (map[string]release.Secret, []error) {
		all, lacking := values.All()
		named := make(map[string]release.Secret, len(all))
		for _, one := range all {
			named[one.Name] = one.Secret
		}
		return named, lacking
	}
}

// fleet counts, logs and watches every call to the servers that it reaches.
func (s *session) fleet(reach reconcile.Connector) *reconcile.Fleet {
	return reconcile.NewFleet(s.inFlight.Connecting(reach), s.counter.Intercept, trace(s.log), s.inFlight.Intercept)
}

// listen keeps what is news: another's release is said in JSON, too, which has no progress.
func (p *program) listen(report func(reconcile.Progress)) func(reconcile.Progress) {
	return func(event reconcile.Progress) {
		if event.Kind == "news" {
			p.news = append(p.news, event.Message) // one at a time: by a look that has ended
		}
		report(event)
	}
}

// changes says that something is going to be changed from here on, and shows what is under way.
func (p *program) changes(s *session) {
	p.interrupt.mutating(s.progress.left)
	s.progress.watch()
}

// close ends every connection, and says what the run has cost.
func (s *session) close() error {
	s.progress.end()
	opened := s.connector.stats()
	err := errors.Join(s.Controller.Close(), s.Store.Close())
	logCounters(s.log, s.counter.Calls(), opened)
	return err
}

// with opens a session, does the work, and closes it whatever happened.
func (p *program) with(ctx context.Context, n need, work func(*session) error) error {
	s, err := p.open(ctx, n)
	if err != nil {
		return err
	}
	err = work(s)
	if closed := s.close(); err == nil && closed != nil {
		p.note("a connection did not end well: %v", closed) // what was to be done is done
	}
	return err
}
