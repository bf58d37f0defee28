package proxy

import (
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// handedOn is what one supervisor leaves to the next in the same process.
type handedOn struct {
	Program string          `json:"program"`
	Sockets []openSocket    `json:"sockets"`
	Current handedProcess   `json:"current"`
	Older   []handedProcess `json:"older"`
	Pending []pending       `json:"pending"`
}

// handedProcess is a worker: it stays a child of the process, and its link stays open.
type handedProcess struct {
	PID      int       `json:"pid"`
	Link     int       `json:"link"`
	About    about     `json:"about"`
	Pings    bool      `json:"pings,omitempty"`
	Deadline time.Time `json:"deadline,omitzero"`
}

// pending is a message that was read and not dealt with.
type pending struct {
	PID     int     `json:"pid"`
	Message message `json:"message"`
}

// reexec puts the program on disk in the place of this one. Process, children and descriptors stay. When it cannot be
// done this program goes on: it has no part in serving.
func (s *supervisor) reexec() {
	left, err := s.interrupt()
	if err == nil {
		err = s.exec(left)
	}
	s.log.Error("The supervisor stays the old program", "error", err)
	for _, p := range s.workers() {
		if !p.closed {
			_ = p.link.conn.SetReadDeadline(time.Time{})
			s.listen(p)
		}
	}
	for _, one := range left {
		for _, p := range s.workers() {
			if p.pid == one.PID {
				s.deal(workerEvent{from: p, message: one.Message})
			}
		}
	}
}

// interrupt stops reading from the workers. What they say from now on waits in their links.
func (s *supervisor) interrupt() (left []pending, err error) {
	for _, p := range s.workers() {
		p.link.interrupt()
	}
	for _, p := range s.workers() {
		for reading := true; reading; {
			select {
			case <-p.reader:
				reading = false
			case e := <-s.events:
				if e.closed || e.overdue {
					s.deal(e)
					continue
				}
				left = append(left, pending{e.from.pid, e.message})
			}
		}
	}
	if s.current == nil || s.current.gone() || s.current.closed {
		return left, fmt.Errorf("the worker has ended: %w", s.current.cause())
	}
	return left, nil
}

func (s *supervisor) exec(left []pending) error {
	state := handedOn{Program: s.program, Sockets: s.sockets, Current: s.current.handed(), Pending: left}
	descriptors := []int{s.current.link.fd}
	for _, p := range s.older {
		if !p.gone() && !p.closed {
			state.Older = append(state.Older, p.handed())
			descriptors = append(descriptors, p.link.fd)
		}
	}
	for _, one := range s.sockets {
		descriptors = append(descriptors, one.FD)
	}
	text, err := json.Marshal(state)
	if err != nil {
		return err
	}
	s.log.Info("The supervisor becomes the new program")
	s.lines.flush()
	inherit(descriptors, true)
	defer inherit(descriptors, false)
	if s.signalled() {
		s.terminated = true
		return errTerminated
	}
	// From here until the next program listens for signals, some milliseconds, one would be lost or end the process: Go's
	// runtime lets no program begin with SIGTERM held back, not even if the one before has blocked it.
	return fmt.Errorf("running %s: %w", s.program, syscall.Exec(s.program, os.Args, append(os.Environ(), handOverVariable+"="+string(text))))
}

// signalled says whether a signal to end has come, also one that a thread has caught and nobody was told of yet.
func (s *supervisor) signalled() bool {
	probe := make(chan os.Signal, 1)
	signal.Notify(probe, syscall.SIGTERM, syscall.SIGINT)
	signal.Stop(probe) // waits until every signal that was caught has been handed on
	return len(s.signals) > 0
}

func (p *process) handed() handedProcess {
	return handedProcess{p.pid, p.link.fd, p.about, p.pings, p.deadline}
}

func inherit(descriptors []int, on bool) {
	flag := syscall.FD_CLOEXEC
	if on {
		flag = 0
	}
	for _, fd := range descriptors {
		_, _ = unix.FcntlInt(uintptr(fd), syscall.F_SETFD, flag)
	}
}

// takeOver goes on where another supervisor was in this process.
func (s *supervisor) takeOver(text string) error {
	var state handedOn
	if err := json.Unmarshal([]byte(text), &state); err != nil {
		return err
	}
	s.program, s.sockets, s.described = state.Program, state.Sockets, true
	for _, one := range s.sockets {
		syscall.CloseOnExec(one.FD)
	}
	byPID := map[int]*process{}
	for i, one := range append(state.Older, state.Current) {
		near, err := openLink(one.Link)
		if err != nil {
			return err
		}
		p := &process{pid: one.PID, link: near, about: one.About, pings: one.Pings, output: -1, deadline: one.Deadline}
		byPID[p.pid] = p
		if i == len(state.Older) {
			s.current = p
			continue
		}
		s.older = append(s.older, p)
	}
	for _, p := range s.workers() {
		_ = p.link.conn.SetReadDeadline(time.Time{})
		s.listen(p)
	}
	for _, p := range s.older {
		s.watch(p)
	}
	for _, one := range state.Pending {
		if p := byPID[one.PID]; p != nil {
			s.deal(workerEvent{from: p, message: one.Message})
		}
	}
	s.reap() // those that ended meanwhile
	s.log.Info("The supervisor is the new program", "build", buildVersion())
	return nil
}
