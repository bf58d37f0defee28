package proxy

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// openFiles returns how many files the process may have open. Go has raised it as far as it may go.
func openFiles() (n uint64, known bool) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, false
	}
	return limit.Cur, true
}

// ackedBytes returns how many bytes the other side of a TCP connection has acknowledged so far.
func ackedBytes(c net.Conn) (n uint64, known bool) {
	s, ok := c.(syscall.Conn)
	if !ok {
		return 0, false
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return 0, false
	}
	_ = raw.Control(func(fd uintptr) {
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		if err == nil {
			n, known = info.Bytes_acked, true
		}
	})
	return n, known
}
