//go:build !linux

package ssh

import "net"

// quickAck does nothing where the kernel has no such option.
func quickAck(conn net.Conn) net.Conn { return conn }
