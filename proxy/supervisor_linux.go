package proxy

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"
)

const (
	helloTimeout   = 10 * time.Second // for a worker to run at all
	restoreTimeout = time.Minute      // for it to read the state
	turnTimeout    = 10 * time.Second // for a worker to begin or stop taking connections

	// A worker that ends sooner than quickDeath after it began to serve has ended quickly. After maxQuickDeaths of
	// these in a row the supervisor gives up, so that the engine's restart policy shows it.
	quickDeath     = 10 * time.Second
	maxQuickDeaths = 6
	firstBackoff   = 100 * time.Millisecond

	// stopTimeout is what a worker's own shutdown takes, and less than what `docker stop` waits (10 s).
	stopTimeout = shutdownTimeout + 500*time.Millisecond
)

// errTerminated is why whatever the supervisor waits for is given up.
var errTerminated = errors.New("the proxy is stopping")

// supervisor is the first process of the container. It holds every listening socket, so that these outlive the process
// that serves, its worker: one that dies is started again and one that is replaced hands over, and meanwhile clients
// wait in the kernel's queue. Everything happens in one goroutine, which is on the process's first thread: the kernel
// ties a child's fate to the thread that made it, and only the first one lives through the exec of another program.
type supervisor struct {
	log      *slog.Logger
	lines    *lineWriter // where log writes
	program  string      // the path that a restart of the container runs
	exe      string      // what is run as a worker: this very program, whatever lies at the path by now
	settings runSettings
	sockets  []openSocket

	signals  chan os.Signal
	children chan os.Signal
	pings    <-chan time.Time
	events   chan workerEvent

	current    *process
	older      []*process // workers that drain
	next       *process   // the worker of an upgrade that is under way
	follows    map[int64]*followRequest
	lastFollow int64
	due        bool     // this program is to make way for the one on disk
	asked      *process // the worker that asked for an upgrade, and what for
	request    upgradeRequest
	terminated bool
	described  bool
}

// workerEvent is a message of a worker, or the end of its link, or that its time is up.
type workerEvent struct {
	from    *process
	message message
	closed  bool
	overdue bool
}

// supervise runs the proxy as a supervisor with a worker, until SIGTERM or SIGINT.
func (in invocation) supervise(settings runSettings, lines *lineWriter) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	s := &supervisor{
		program: program, exe: "/proc/self/exe",
		log: settings.Log, lines: lines, settings: settings,
		signals: make(chan os.Signal, 2), children: make(chan os.Signal, 1), events: make(chan workerEvent),
		follows: map[int64]*followRequest{},
	}
	signal.Notify(s.signals, syscall.SIGTERM, syscall.SIGINT)
	signal.Notify(s.children, syscall.SIGCHLD)
	ticker := time.NewTicker(pingInterval)
	defer ticker.Stop()
	s.pings = ticker.C
	handed := in.env[handOverVariable]
	_ = os.Unsetenv(handOverVariable)
	if handed != "" {
		if err := s.takeOver(handed); err != nil {
			return fmt.Errorf("taking over from the supervisor before: %w", err)
		}
	} else if err := s.openPatiently(); err != nil {
		return err
	}
	defer func() { _ = os.Remove(settings.SocketPath) }()
	return s.run()
}

func (s *supervisor) run() error {
	quick, backoff := 0, firstBackoff
	for {
		var err error
		began := time.Now()
		if s.current == nil {
			err = s.boot()
		}
		if err == nil {
			err = s.serve()
		}
		if s.terminated {
			return s.stop()
		}
		if time.Since(began) > quickDeath {
			quick, backoff = 0, firstBackoff
		}
		quick++
		if quick >= maxQuickDeaths {
			return fmt.Errorf("the proxy's worker ended %d times in a row soon after its start, the last time because: %w", quick, err)
		}
		s.log.Error("Worker ended, starting another one", "error", err, "in", backoff.String())
		if quick > 1 { // the first death is no habit
			s.wait(backoff)
			backoff *= 2
		}
	}
}

// boot starts the worker that serves.
func (s *supervisor) boot() error {
	p, err := s.spawn(s.exe, -1)
	if err != nil {
		return err
	}
	s.next = p
	defer func() { s.next = nil }()
	err = s.exchange(p, message{}, sayHello, helloTimeout)
	if err == nil {
		err = s.exchange(p, message{Kind: sayRestore}, sayReady, restoreTimeout)
	}
	if err == nil {
		err = s.exchange(p, message{Kind: sayAccept}, sayAccepting, turnTimeout)
	}
	if err != nil {
		s.discard(p)
		return err
	}
	s.current = p
	s.log.Info("Worker serves", "pid", p.pid, "build", p.about.Build)
	if s.described {
		return nil
	}
	s.described = true
	if err := s.describe(); err != nil {
		s.log.Error("Nobody is told what runs", "error", err)
	}
	return nil
}

// serve waits for the worker's end and carries out the upgrades that it asks for.
func (s *supervisor) serve() error {
	for {
		switch {
		case s.terminated:
			return errTerminated
		case s.current.gone():
			err := s.current.cause()
			s.current = nil
			return err
		case s.asked != nil:
			s.carryOut()
		case s.due && len(s.follows) == 0:
			s.due = false
			s.reexec()
		default:
			s.step(nil)
		}
	}
}

// exchange asks a worker for something, unless the message is empty, and waits for the answer.
func (s *supervisor) exchange(p *process, ask message, answer string, limit time.Duration) error {
	if ask.Kind != "" {
		if err := p.link.send(ask); err != nil && !p.gone() {
			return fmt.Errorf("asking the worker to %s: %w", ask.Kind, err)
		}
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	p.answer = nil
	for {
		switch {
		case s.terminated:
			return errTerminated
		case p.answer != nil && p.answer.Kind == answer:
			return p.answer.err()
		case p.answer != nil && p.answer.Kind == sayFailed:
			return p.answer.err()
		case p.gone():
			return p.cause()
		case !s.step(timer.C):
			return fmt.Errorf("the worker was not %s within %s", answer, limit)
		}
	}
}

func (m message) err() error {
	if m.Error == "" {
		return nil
	}
	return errors.New(m.Error)
}

// wait lets time pass, unless the supervisor is told to end.
func (s *supervisor) wait(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	for !s.terminated && s.step(timer.C) {
	}
}

// step waits for one thing to happen and deals with it. It is false when the deadline came first.
func (s *supervisor) step(deadline <-chan time.Time) bool {
	select {
	case <-s.signals:
		s.terminated = true
	case <-s.children:
		s.reap()
	case e := <-s.events:
		s.deal(e)
	case <-s.pings:
		s.ping()
	case <-deadline:
		return false
	}
	return true
}

func (s *supervisor) deal(e workerEvent) {
	p := e.from
	switch {
	case e.overdue && !p.gone():
		s.log.Error("Old worker did not end in time and is killed", "pid", p.pid)
		p.kill()
	case e.overdue:
	case e.closed:
		p.closed = true
		if !p.reaped {
			p.kill() // it ends, or has closed its link and can be told nothing any more
		}
		s.forget(p)
	case e.message.Kind == sayUpgrade:
		s.askUpgrade(p, *e.message.Upgrade)
	case e.message.Kind == sayFollow:
		s.passFollow(p, e.message)
	case e.message.Kind == sayFollowed:
		s.followed(p, e.message.ID)
	case e.message.Kind == sayPong:
		p.silent = 0
	default:
		m := e.message
		p.answer = &m
		if m.Kind == sayFailed {
			p.failure = m.Error
		}
		if m.About != nil {
			p.about, p.pings = *m.About, m.Pings
		}
	}
}

// stop ends every worker as docker expects it: in good order and in less than 10 s. New connections are refused.
func (s *supervisor) stop() error {
	s.closeSockets()
	all := s.workers()
	for _, p := range all {
		_ = syscall.Kill(p.pid, syscall.SIGTERM)
	}
	timer := time.NewTimer(stopTimeout)
	defer timer.Stop()
	for {
		left := 0
		for _, p := range all {
			if !p.gone() {
				left++
			}
		}
		if left == 0 || !s.step(timer.C) {
			break
		}
	}
	var errs []error
	for _, p := range all {
		if !p.gone() {
			p.kill()
			s.log.Error("Worker did not end in time and is killed", "pid", p.pid)
		} else if p.status.ExitStatus() != 0 && p.status.Signal() != syscall.SIGTERM { // ours may meet one that is just ending
			errs = append(errs, p.cause())
		}
	}
	return errors.Join(errs...)
}

func (s *supervisor) workers() []*process {
	all := append([]*process(nil), s.older...)
	for _, p := range []*process{s.current, s.next} {
		if p != nil {
			all = append(all, p)
		}
	}
	return all
}
