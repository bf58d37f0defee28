package proxy

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"
)

// message is what supervisor and worker say to each other, one packet each.
type message struct {
	Kind     string            `json:"kind"`
	Error    string            `json:"error,omitempty"`
	About    *about            `json:"about,omitempty"`    // hello
	Services map[string]string `json:"services,omitempty"` // ready, frozen: state by name
	Upgrade  *upgradeRequest   `json:"upgrade,omitempty"`
	Result   *upgradeResult    `json:"result,omitempty"`
	Limit    time.Duration     `json:"limit,omitempty"` // freeze, drain, follow
	ID       int64             `json:"id,omitempty"`    // follow, followed
	Pings    bool              `json:"pings,omitempty"` // hello: this worker answers pings
}

// What the supervisor asks for is answered by the kind in brackets, with an error if it failed.
const (
	sayRestore = "restore" // [ready] read the state, open everything, take nothing yet
	sayAccept  = "accept"  // [accepting] take connections
	sayFreeze  = "freeze"  // [frozen] change the state no more
	sayThaw    = "thaw"    // the state is yours again
	sayYield   = "yield"   // [yielded] take no connections
	sayDrain   = "drain"   // finish what is here, and end
	sayFollow  = "follow"  // [followed] do now what the state file says; also asked for by the worker in charge
	sayResult  = "result"  // of the upgrade that the worker asked for
	sayPing    = "ping"    // [pong] are you there

	sayHello     = "hello"
	sayReady     = "ready"
	sayAccepting = "accepting"
	sayFrozen    = "frozen"
	sayYielded   = "yielded"
	sayFollowed  = "followed"
	sayPong      = "pong"
	sayUpgrade   = "upgrade"
	sayFailed    = "failed" // the worker ends, and says why
)

// maxMessage is below what the kernel takes as one packet by default (212,992 bytes).
const maxMessage = 192 << 10

// link is one end of the connection of a supervisor and a worker. Its packets keep their borders, so that nothing is
// lost when another program takes over an end.
type link struct {
	fd   int
	conn net.Conn
}

// newLinks makes both ends; the far one is for a child.
func newLinks() (near *link, far int, err error) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_SEQPACKET|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, 0, fmt.Errorf("connecting supervisor and worker: %w", err)
	}
	near, err = openLink(fds[0])
	if err != nil {
		_ = syscall.Close(fds[1])
		return nil, 0, err
	}
	return near, fds[1], nil
}

// openLink makes a link of an end, which it owns.
func openLink(fd int) (*link, error) {
	syscall.CloseOnExec(fd)
	copied, err := duplicate(fd)
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(copied), "link")
	defer file.Close()
	conn, err := net.FileConn(file)
	if err != nil {
		return nil, fmt.Errorf("connecting supervisor and worker: %w", err)
	}
	return &link{fd, conn}, nil
}

// send never waits for the other side for long: one that does not read any more is as good as gone.
func (l *link) send(m message) error {
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if len(data) > maxMessage && m.Services != nil {
		m.Services = nil // thousands of them; they are not compared then
		return l.send(m)
	}
	_ = l.conn.SetWriteDeadline(time.Now().Add(5 * time.Second))
	_, err = l.conn.Write(data)
	return err
}

func (l *link) receive() (message, error) {
	buffer := make([]byte, maxMessage)
	n, err := l.conn.Read(buffer)
	if err != nil {
		return message{}, err
	}
	if n == 0 {
		return message{}, net.ErrClosed
	}
	var m message
	return m, json.Unmarshal(buffer[:n], &m)
}

// interrupt makes a receive that waits return.
func (l *link) interrupt() { _ = l.conn.SetReadDeadline(time.Unix(1, 0)) }

func (l *link) close() {
	_ = l.conn.Close()
	_ = syscall.Close(l.fd)
}

// duplicate copies a descriptor; no child inherits the copy.
func duplicate(fd int) (int, error) {
	r, _, errno := syscall.Syscall(syscall.SYS_FCNTL, uintptr(fd), syscall.F_DUPFD_CLOEXEC, 3)
	if errno != 0 {
		return 0, os.NewSyscallError("fcntl", errno)
	}
	return int(r), nil
}
