package etcdtest

import (
	"io"
	"net"
	"strings"
	"sync"
	"testing"
)

// Line is a way to a member that can be cut: then nothing comes through any more, and nobody is told.
type Line struct {
	Endpoint string // what stands for the member's

	to       string
	listener net.Listener
	mu       sync.Mutex
	open     *sync.Cond
	cut      [2]bool // what is asked, what is answered
	passed   [2]int64
	closed   bool
	conns    []net.Conn
}

// NewLine gives a line to an endpoint, and ends it with the test.
func NewLine(t testing.TB, endpoint string) *Line {
	t.Helper()
	scheme, to, _ := strings.Cut(endpoint, "://")
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &Line{Endpoint: scheme + "://" + listener.Addr().String(), to: to, listener: listener}
	l.open = sync.NewCond(&l.mu)
	var all sync.WaitGroup
	all.Go(func() { l.accept(&all) })
	t.Cleanup(func() {
		l.mu.Lock()
		l.closed = true
		l.open.Broadcast()
		for _, conn := range l.conns {
			_ = conn.Close()
		}
		l.mu.Unlock()
		_ = listener.Close()
		all.Wait()
	})
	return l
}

// The directions of a line.
const (
	asked = iota
	answered
)

// Cut holds back what is sent, in both directions.
func (l *Line) Cut() { l.set(true, true) }

// CutAnswers holds back what is answered alone.
func (l *Line) CutAnswers() { l.set(false, true) }

// Heal lets it through, with what was held back.
func (l *Line) Heal() { l.set(false, false) }

// Answered is how many bytes have come through from the member.
func (l *Line) Answered() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.passed[answered]
}

func (l *Line) count(direction, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.passed[direction] += int64(n)
}

func (l *Line) set(cut ...bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = [2]bool(cut)
	l.open.Broadcast()
}

// pass waits until the line is whole in a direction; false when it is closed.
func (l *Line) pass(direction int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.cut[direction] && !l.closed {
		l.open.Wait()
	}
	return !l.closed
}

func (l *Line) accept(all *sync.WaitGroup) {
	for {
		from, err := l.listener.Accept()
		if err != nil {
			return
		}
		all.Go(func() {
			defer from.Close()
			if !l.pass(asked) {
				return
			}
			to, err := net.Dial("tcp", l.to)
			if err != nil {
				return
			}
			l.mu.Lock()
			l.conns = append(l.conns, from, to)
			l.mu.Unlock()
			all.Go(func() { l.copy(to, from, asked) })
			l.copy(from, to, answered)
		})
	}
}

func (l *Line) copy(to, from net.Conn, direction int) {
	defer to.Close()
	defer from.Close()
	data := make([]byte, 64<<10)
	for {
		n, err := from.Read(data)
		if !l.pass(direction) || err != nil && err != io.EOF {
			return
		}
		l.count(direction, n)
		if _, failed := to.Write(data[:n]); failed != nil || err != nil {
			return
		}
	}
}
