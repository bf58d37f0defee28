package proxy

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// tailBytes is how much of a failed program's output an error shows.
const tailBytes = 2 << 10

// process is a worker as its supervisor sees it. It is gone when it was reaped and its link has nothing more to say.
type process struct {
	pid     int
	link    *link
	about   about
	output  int // a file in memory with what it wrote before it was in charge, or -1
	answer  *message
	failure string // what it said of its own end, or what was found out
	pings   bool   // it answers pings: a worker of an older program may not
	silent  int    // intervals since a ping that it has not answered; 0 is none

	reaped   bool
	closed   bool
	status   syscall.WaitStatus
	deadline time.Time // of one that drains
	reader   chan struct{}
}

// spawn starts a worker of a program with every socket. With an output its standard output and error are written
// there until it is in charge.
func (s *supervisor) spawn(program string, output int) (*process, error) {
	near, far, err := newLinks()
	if err != nil {
		return nil, err
	}
	defer func() { _ = syscall.Close(far) }()
	files := []uintptr{0, 1, 2, uintptr(far)}
	down := []handedDown{{Name: "link", FD: 3}}
	if output >= 0 {
		files[1], files[2] = uintptr(output), uintptr(output)
		down = append(down, handedDown{Name: "stdout", FD: 4}, handedDown{Name: "stderr", FD: 5})
		files = append(files, 1, 2)
	}
	for _, one := range s.sockets {
		down = append(down, handedDown{Name: one.Name, FD: len(files), Packets: one.Packets})
		files = append(files, uintptr(one.FD))
	}
	text, err := json.Marshal(down)
	if err != nil {
		return nil, err
	}
	// Not by os/exec: it puts descriptors into blocking mode, which they share with every process that has them, and it
	// waits for its child by itself.
	pid, err := syscall.ForkExec(program, append([]string{"kamal-proxy"}, os.Args[1:]...), &syscall.ProcAttr{
		Env:   append(os.Environ(), workerVariable+"="+string(text), programVariable+"="+s.program),
		Files: files,
		Sys:   &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL},
	})
	if err != nil {
		near.close()
		return nil, fmt.Errorf("starting %s: %w", program, err)
	}
	p := &process{pid: pid, link: near, output: output}
	s.listen(p)
	return p, nil
}

// listen hands the worker's messages to the supervisor, in order and one at a time.
func (s *supervisor) listen(p *process) {
	p.reader = make(chan struct{})
	go func() {
		defer close(p.reader)
		for {
			m, err := p.link.receive()
			switch {
			case errors.Is(err, os.ErrDeadlineExceeded):
				return // another program reads on
			case err != nil:
				s.events <- workerEvent{from: p, closed: true}
				return
			}
			s.events <- workerEvent{from: p, message: m}
		}
	}()
}

// reap takes the statuses of all children that have ended; a first process gets those of others, too.
func (s *supervisor) reap() {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil || pid <= 0 {
			return
		}
		for _, p := range s.workers() {
			if p.pid == pid {
				p.reaped, p.status = true, status
				s.forget(p)
			}
		}
	}
}

// forget lets go of an old worker that is gone, and of those who wait for it.
func (s *supervisor) forget(p *process) {
	if !p.gone() {
		return
	}
	for id := range s.follows {
		s.followed(p, id)
	}
	if i := slices.Index(s.older, p); i >= 0 {
		s.older = slices.Delete(s.older, i, i+1)
		s.log.Info("Old worker ended", "pid", p.pid, "status", p.status.ExitStatus())
		p.link.close()
	}
}

// discard ends a worker that is not wanted any more and waits until it is gone.
func (s *supervisor) discard(p *process) {
	kept := s.next
	s.next = p // so that it is reaped
	defer func() { s.next = kept }()
	p.kill()
	timer := time.NewTimer(turnTimeout)
	defer timer.Stop()
	for !p.gone() && s.step(timer.C) {
	}
	p.link.close()
}

func (p *process) gone() bool { return p.reaped && p.closed }

func (p *process) kill() {
	if !p.reaped { // after that its number may be another process's
		_ = syscall.Kill(p.pid, syscall.SIGKILL)
	}
}

// cause says why the worker ended.
func (p *process) cause() error {
	switch {
	case p.failure != "":
		return errors.New(p.failure)
	case p.status.Signaled():
		return fmt.Errorf("the worker (process %d) was ended by the signal %q", p.pid, p.status.Signal())
	}
	return fmt.Errorf("the worker (process %d) ended with exit code %d", p.pid, p.status.ExitStatus())
}

// memoryFile is for the output of a program that may fail.
func memoryFile() (int, error) {
	fd, err := unix.MemfdCreate("output", unix.MFD_CLOEXEC)
	if err != nil {
		return -1, os.NewSyscallError("memfd_create", err)
	}
	return fd, nil
}

// written gives the last of what the worker wrote while it was not in charge.
func (p *process) written(limit int64) string {
	if p.output < 0 {
		return ""
	}
	var info syscall.Stat_t
	if err := syscall.Fstat(p.output, &info); err != nil {
		return ""
	}
	data := make([]byte, min(info.Size, limit))
	n, err := syscall.Pread(p.output, data, info.Size-int64(len(data)))
	if err != nil || n < 0 {
		return ""
	}
	return strings.TrimSpace(string(data[:n]))
}
