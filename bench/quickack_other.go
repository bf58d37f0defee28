//go:build !linux

package main

import "net"

// quickAck: the lab runs on Linux only.
func quickAck(net.Conn) {}
