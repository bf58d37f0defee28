package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"

	"github.com/coreos/go-systemd/v22/activation"
)

// socket is where commands of this machine ask the daemon. It stays open while the file is read again, so that nobody who asks meanwhile
// takes the daemon for gone.
type socket struct {
	listener *net.UnixListener // nil: nothing listens yet
	given    bool              // by the service manager, which keeps it when the daemon ends
	path     string            // where this process has made it
}

// givenSocket takes the socket that the service manager listens on; without one it is made later. What else was given is named: it is
// not used.
func givenSocket() (s socket, unused []string, err error) {
	listeners, err := activation.Listeners()
	if err != nil {
		return s, nil, err
	}
	for _, l := range listeners {
		unix, ok := l.(*net.UnixListener)
		switch {
		case ok && s.listener == nil:
			s.listener, s.given = unix, true
		case l != nil:
			unused = append(unused, l.Addr().String())
			err = errors.Join(err, l.Close())
		}
	}
	return s, unused, err
}

// listen gives a listener on the socket at path, which can be closed without closing the socket. A given one stands before any path.
func (s *socket) listen(path string) (net.Listener, error) {
	if !s.given && s.listener != nil && s.path != path {
		s.close()
	}
	if s.listener == nil {
		made, err := makeSocket(path)
		if err != nil {
			return nil, err
		}
		s.listener, s.path = made, path
	}
	file, err := s.listener.File()
	if err != nil {
		return nil, fmt.Errorf("the socket %s: %w", path, err)
	}
	l, err := net.FileListener(file)
	return l, errors.Join(err, file.Close())
}

// close removes the socket that this process has made; one that was given stays where it is.
func (s *socket) close() {
	if s.listener != nil {
		_ = s.listener.Close() // nobody waits for what it would say
		s.listener = nil
	}
}

// makeSocket listens at path. A socket that a daemon left behind that is gone is replaced: the lock on the store tells that there is no
// other. What is no socket is not.
func makeSocket(path string) (*net.UnixListener, error) {
	switch info, err := os.Lstat(path); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, fmt.Errorf("the socket %s: %w", path, err)
	case info.Mode().Type() != fs.ModeSocket:
		return nil, fmt.Errorf("the socket %s: a file is there that is no socket; move it away, or give another path in listen { socket = … }", path)
	default:
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("the socket %s, which a daemon left behind, cannot be replaced: %w", path, err)
		}
	}
	old := syscall.Umask(0o117) // its owner and group may connect; who they are decides what they may do
	defer syscall.Umask(old)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("the socket %s: %w", path, err)
	}
	return l, nil
}
