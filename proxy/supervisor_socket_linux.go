package proxy

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"
	"time"
)

// openSocket is a listening socket that the supervisor holds. It is kept as a descriptor: the supervisor itself never
// reads from it.
type openSocket struct {
	Name    string `json:"name"`
	FD      int    `json:"fd"`
	Packets bool   `json:"packets,omitempty"`
}

// openTimeout is how long the sockets of a proxy that has just been killed may still be held: its worker is a process of its
// own, and ends a moment later. In a container nothing of it is left.
const openTimeout = 3 * time.Second

func (s *supervisor) openPatiently() error {
	deadline := time.Now().Add(openTimeout)
	for {
		err := s.open(time.Now().After(deadline))
		if err == nil || !(errors.Is(err, syscall.EADDRINUSE) || errors.Is(err, errAnotherProxy)) || time.Now().After(deadline) {
			return err
		}
		s.closeSockets()
		s.wait(50 * time.Millisecond)
		if s.terminated {
			return errTerminated
		}
	}
}

// open opens every socket that the settings ask for. Without HTTPS's port, at the last try, the proxy still serves HTTP.
func (s *supervisor) open(last bool) error {
	c := s.settings
	control, err := listenPrivately(c.SocketPath)
	if err != nil {
		return fmt.Errorf("opening the control socket: %w", err)
	}
	if err := s.hold("control", control); err != nil {
		return err
	}
	if _, err := s.listenTCP("http", c.HTTPPort); err != nil {
		return fmt.Errorf("listening for HTTP: %w", err)
	}
	if port, err := s.listenTCP("https", c.HTTPSPort); err != nil && !last && errors.Is(err, syscall.EADDRINUSE) {
		return err
	} else if err != nil {
		s.log.Error("HTTPS is not served", "error", fmt.Sprintf("listening for HTTPS: %v", err))
	} else if c.HTTP3 {
		packets, err := net.ListenPacket("udp", s.address(port))
		if err == nil {
			err = s.hold("https-udp", packets)
		}
		if err != nil {
			s.log.Error("HTTP/3 is not served", "error", err)
		}
	}
	if c.MetricsPort != 0 {
		if _, err := s.listenTCP("metrics", max(0, c.MetricsPort)); err != nil {
			return fmt.Errorf("listening for metrics: %w", err)
		}
	}
	return nil
}

func (s *supervisor) address(port int) string {
	return net.JoinHostPort(s.settings.Bind, strconv.Itoa(port))
}

// listenTCP returns the port, which the kernel chooses for 0.
func (s *supervisor) listenTCP(name string, port int) (int, error) {
	ln, err := net.Listen("tcp", s.address(port))
	if err != nil {
		return 0, err
	}
	port = listenPort(ln.Addr())
	return port, s.hold(name, ln)
}

// hold keeps a copy of the socket's descriptor and closes the socket of the package net, which would read from it.
func (s *supervisor) hold(name string, socket interface{ Close() error }) error {
	raw, err := socket.(syscall.Conn).SyscallConn()
	if err != nil {
		return err
	}
	fd := -1
	var copyErr error
	if err := raw.Control(func(of uintptr) { fd, copyErr = duplicate(int(of)) }); err != nil || copyErr != nil {
		return errors.Join(err, copyErr)
	}
	_, packets := socket.(net.PacketConn)
	s.sockets = append(s.sockets, openSocket{name, fd, packets})
	return socket.Close()
}

func (s *supervisor) closeSockets() {
	for _, one := range s.sockets {
		_ = syscall.Close(one.FD)
	}
	s.sockets = nil
}
