package console

import (
	"errors"
	"net"
	"unsafe"

	"golang.org/x/sys/unix"
)

// peerOn asks the kernel who is at the other end.
func peerOn(conn net.Conn) (peer, error) {
	socket, ok := conn.(*net.UnixConn)
	if !ok {
		return peer{}, errors.New("not a connection of a unix socket")
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return peer{}, err
	}
	var found peer
	var failed error
	err = raw.Control(func(fd uintptr) {
		credentials, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
		if err != nil {
			failed = err
			return
		}
		found = peer{uid: int(credentials.Uid), gids: append([]int{int(credentials.Gid)}, peerGroups(int(fd))...)}
	})
	return found, errors.Join(err, failed)
}

// peerGroups are the groups that the peer is in beside its own (SO_PEERGROUPS, Linux 4.13); none where the kernel does not say.
func peerGroups(fd int) (list []int) {
	groups := make([]uint32, 1<<16) // as many as a process can have
	bytes := uint32(len(groups) * 4)
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_PEERGROUPS,
		uintptr(unsafe.Pointer(&groups[0])), uintptr(unsafe.Pointer(&bytes)), 0)
	if errno != 0 {
		return nil
	}
	for _, gid := range groups[:bytes/4] {
		list = append(list, int(gid))
	}
	return list
}
