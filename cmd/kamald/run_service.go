package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"sync"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"github.com/kamald/kamald/release"
)

// defaultImageWait is how long an image may be missing before anybody is told.
const defaultImageWait = 30 * time.Minute

// service is the daemon's process: its store, its place among other processes, its log.
type service struct {
	p     *program
	store storage
	place place
	path  string // the store's file, or the one beside which lies what is this machine's own
	lock  *os.File
	share *share // with other daemons; nil: the store is this one's alone
	log   zerolog.Logger

	conditions conditions // those that the log has said to hold
	socket     socket
	manager    manager
}

// newService takes the store for this process. No other daemon can have it; commands still can.
func (p *program) newService(bastion release.Bastion) (*service, error) {
	at, err := placeIn(bastion.Store)
	if p.flags.store != "" {
		at, err = p.storePlace()
	}
	if err != nil {
		return nil, err
	}
	path := at.file
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("the store's directory cannot be made: %w", err)
	}
	lock, err := lockFile(path + ".lock")
	if err != nil {
		return nil, err
	}
	store, err := at.open()
	if err == nil {
		err = store.Writable() // before anything else begins that would have to be kept
	}
	if err != nil {
		if store != nil {
			err = errors.Join(err, store.Close())
		}
		return nil, errors.Join(err, lock.Close())
	}
	s := &service{p: p, store: store, place: at, path: path, lock: lock, log: p.daemonLogger(bastion.Log)}
	if s.share, err = newShare(store, at.cluster, s.log); err != nil {
		s.close()
		return nil, err
	}
	var unused []string
	if s.socket, unused, err = givenSocket(); err != nil {
		s.close()
		return nil, err
	}
	if len(unused) > 0 {
		s.log.Warn().Strs("sockets", unused).Msg("the service manager gave sockets that are not used: one of AF_UNIX is taken, and where else it listens says `listen`")
	}
	return s, nil
}

// lockFile is held as long as the process lives: the kernel gives it back, whatever becomes of the process.
func lockFile(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("the store's directory cannot be written: %w; run as the user who owns it, or give another store with --store FILE", err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("%w (%s is locked): end that one first, or give this one another store with --store FILE", errAnother, path), file.Close())
	}
	return file, nil
}

func (s *service) close() {
	s.socket.close()
	_ = errors.Join(s.share.close(), s.store.Close(), s.lock.Close())
}

// daemonLogger writes a JSON object a line, or lines for people.
func (p *program) daemonLogger(log release.Log) zerolog.Logger {
	zerolog.TimeFieldFormat = "2006-01-02T15:04:05.000Z07:00"
	level, err := zerolog.ParseLevel(cmp.Or(log.Level, "info"))
	if err != nil {
		level = zerolog.InfoLevel
	}
	if p.flags.verbose {
		level = zerolog.DebugLevel
	}
	var w io.Writer = p.err
	if log.Format != "json" && !p.flags.json {
		w = zerolog.ConsoleWriter{Out: p.err, NoColor: !p.err.color, TimeFormat: "15:04:05.000"}
	}
	return zerolog.New(w).Level(level).With().Timestamp().Logger()
}

// serve drives the apps of a bastion's file until the context ends, or until the file says something else: then that is given.
func (s *service) serve(ctx context.Context, bastion release.Bastion, hangups <-chan os.Signal, read func() (release.Bastion, error)) (*release.Bastion, error) {
	life, end := context.WithCancel(ctx)
	defer end()
	d, err := s.assemble(life, bastion)
	if err != nil {
		return nil, err
	}
	var all sync.WaitGroup
	for _, server := range d.servers {
		all.Go(func() { d.listen(life, server, s.log) })
	}
	all.Go(func() { d.metrics.Run(life) })
	shared, apart := context.WithCancel(context.WithoutCancel(ctx)) // others are shown what is under way until that has ended, too
	defer apart()
	if d.group != nil {
		all.Go(func() { d.group.Run(shared) })
		all.Go(func() { s.away(life) })
	}
	all.Go(func() { d.loop.Run(life); end(); apart() })
	s.log.Info().Str("version", version).Int("apps", len(d.loop.Statuses())).Stringer("store", s.place).Msg("kamald runs")
	s.manager.runs(d.loop)
	var again *release.Bastion
	for again == nil && life.Err() == nil {
		select {
		case <-life.Done():
		case <-hangups:
			again = s.reload(bastion, read)
		}
	}
	if again == nil {
		s.manager.ends()
		s.log.Info().Msg("asked to end: what is under way ends first")
		s.socket.close() // who asks from here on is not kept waiting for an answer
	}
	end()
	all.Wait()
	d.close()
	return again, nil
}

// reload reads the file again; nil: it has mistakes, and what runs goes on.
func (s *service) reload(before release.Bastion, read func() (release.Bastion, error)) *release.Bastion {
	s.manager.reloads()
	bastion, err := read()
	if err != nil {
		s.log.Error().Err(err).Msg("the file has mistakes; what it said before goes on to hold")
		s.manager.goesOn()
		return nil
	}
	s.log.Info().Msg("the file was read again")
	if !reflect.DeepEqual(bastion.Store, before.Store) {
		s.log.Warn().Stringer("store", s.place).Msg("the store stays the one it was until kamald is started anew")
	}
	s.log = s.p.daemonLogger(bastion.Log)
	return &bastion
}

// served is a server and where it listens.
type served struct {
	*http.Server
	net.Listener
	certificate, key string // of HTTPS
}
