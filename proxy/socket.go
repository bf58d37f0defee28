package proxy

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"
)

// sockets are listening sockets that were opened by another process and are handed down. Nothing is taken from them
// until accept is called, and pause stops that again: meanwhile clients wait in the kernel's queue and none is refused.
type sockets struct {
	mu     sync.Mutex
	held   []*heldSocket
	taking *valve
}

// heldSocket is one of them. Its listener or packet connection is nil when it is of the other kind.
type heldSocket struct {
	name     string // http, https, https-udp, metrics, control
	listener net.Listener
	packets  net.PacketConn
	taken    bool // somebody serves it

	accepting sync.Mutex // held while a connection is being taken
}

func newSockets() *sockets { return &sockets{taking: newValve()} }

// listen is Config.Listen: the inherited socket for an address, a new one where none was inherited.
func (s *sockets) listen(network, address string) (net.Listener, error) {
	if h := s.take(network, address); h != nil {
		return &heldListener{Listener: h.listener, socket: h, valve: s.taking, done: make(chan struct{})}, nil
	}
	return net.Listen(network, address)
}

// listenPacket is the same for datagrams.
func (s *sockets) listenPacket(network, address string) (net.PacketConn, error) {
	if h := s.take(network, address); h != nil {
		return &heldPackets{PacketConn: h.packets, valve: s.taking, done: make(chan struct{})}, nil
	}
	return net.ListenPacket(network, address)
}

func (s *sockets) take(network, address string) *heldSocket {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range s.held {
		if !h.taken && h.fits(network, address) {
			h.taken = true
			return h
		}
	}
	return nil
}

func (h *heldSocket) fits(network, address string) bool {
	switch {
	case network == "unix" || h.name == "control":
		return network == "unix" && h.name == "control"
	case (network == "udp" || network == "udp4" || network == "udp6") != (h.packets != nil):
		return false
	}
	_, port, err := net.SplitHostPort(address)
	return err == nil && port == fmt.Sprint(listenPort(h.address()))
}

// wait returns when no connection is being taken.
func (h *heldSocket) wait() {
	h.accepting.Lock()
	defer h.accepting.Unlock()
}

func (h *heldSocket) address() net.Addr {
	if h.packets != nil {
		return h.packets.LocalAddr()
	}
	return h.listener.Addr()
}

// port is that of a socket by its name, 0 when there is none.
func (s *sockets) port(name string) int {
	for _, h := range s.held {
		if h.name == name {
			return listenPort(h.address())
		}
	}
	return 0
}

// accept begins to take connections, also after a pause.
func (s *sockets) accept() { s.turn(true) }

// pause stops taking them: none that comes after it has returned is taken. The sockets stay open.
func (s *sockets) pause() { s.turn(false) }

func (s *sockets) turn(on bool) {
	deadline := time.Unix(1, 0) // long past: who waits in accept comes back
	if on {
		deadline = time.Time{}
	} else {
		s.taking.set(false)
	}
	for _, h := range s.held {
		if h.packets != nil {
			_ = h.packets.SetReadDeadline(deadline)
		} else if l, ok := h.listener.(interface{ SetDeadline(time.Time) error }); ok {
			_ = l.SetDeadline(deadline)
			if !on { // who has looked at the deadline before may still take one
				h.wait()
			}
		}
	}
	if on {
		s.taking.set(true)
	}
}

// valve is open or shut; those who need it open can wait.
type valve struct {
	mu   sync.Mutex
	open chan struct{} // closed while the valve is open
	is   bool
}

func newValve() *valve { return &valve{open: make(chan struct{})} }

func (v *valve) set(open bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case open && !v.is:
		close(v.open)
	case !open && v.is:
		v.open = make(chan struct{})
	}
	v.is = open
}

func (v *valve) opened() <-chan struct{} {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.open
}

// heldListener accepts while the valve is open.
type heldListener struct {
	net.Listener
	socket *heldSocket
	valve  *valve
	once   sync.Once
	done   chan struct{}
}

func (l *heldListener) Accept() (net.Conn, error) {
	for {
		select {
		case <-l.done:
			return nil, net.ErrClosed
		case <-l.valve.opened():
		}
		l.socket.accepting.Lock()
		conn, err := l.Listener.Accept()
		l.socket.accepting.Unlock()
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return conn, err
		}
	}
}

// Close ends this process's part in the socket. Who handed it down still has it.
func (l *heldListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return l.Listener.Close()
}

// heldPackets reads while the valve is open. It hides the connection's other methods on purpose: what reads by them
// would not ask the valve.
type heldPackets struct {
	net.PacketConn
	valve *valve
	once  sync.Once
	done  chan struct{}
}

func (p *heldPackets) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		select {
		case <-p.done:
			return 0, nil, net.ErrClosed
		case <-p.valve.opened():
		}
		n, from, err := p.PacketConn.ReadFrom(b)
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, from, err
		}
		select {
		case <-p.valve.opened(): // the deadline was the reader's own
			return n, from, err
		default:
		}
	}
}

func (p *heldPackets) Close() error {
	p.once.Do(func() { close(p.done) })
	return p.PacketConn.Close()
}
