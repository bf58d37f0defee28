package proxy

import (
	"errors"
	"net"
	"testing"
)

// heldSockets are the sockets of another process, on loopback.
func heldSockets(t *testing.T) (*sockets, net.Listener) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	s := newSockets()
	s.held = append(s.held, &heldSocket{name: "http", listener: ln})
	return s, ln
}

func TestAnInheritedSocketTakesConnectionsOnlyWhenItIsTold(t *testing.T) {
	s, held := heldSockets(t)
	ln, err := s.listen("tcp", held.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted := make(chan error, 10)
	go func() {
		for {
			conn, err := ln.Accept()
			accepted <- err
			if err != nil {
				return
			}
			_ = conn.Close()
		}
	}()
	dial := func() {
		t.Helper()
		conn, err := net.Dial("tcp", held.Addr().String())
		if err != nil {
			t.Fatalf("a socket that takes nothing refuses: %v", err)
		}
		t.Cleanup(func() { _ = conn.Close() })
	}
	dial() // waits in the kernel's queue
	for range 3 {
		select {
		case err := <-accepted:
			t.Fatalf("a connection was taken: %v", err)
		default:
		}
		s.accept()
		if err := receive(t, "the connection that waited", accepted); err != nil {
			t.Fatal(err)
		}
		s.pause()
		dial()
	}
	if err := ln.Close(); err != nil {
		t.Error(err)
	}
	if err := receive(t, "the end of Accept", accepted); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

func TestASocketThatWasNotInheritedIsOpened(t *testing.T) {
	s, held := heldSockets(t)
	other, err := s.listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if _, ours := other.(*heldListener); ours || other.Addr().String() == held.Addr().String() {
		t.Error("another address got the inherited socket")
	}
	if _, err := s.listen("tcp", held.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if again, err := s.listen("tcp", held.Addr().String()); err == nil {
		_ = again.Close()
		t.Error("one socket was given twice")
	}
}

func TestInheritedPacketsAreReadOnlyWhenItIsTold(t *testing.T) {
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer packets.Close()
	s := newSockets()
	s.held = append(s.held, &heldSocket{name: "https-udp", packets: packets})
	if tcp := s.take("tcp", packets.LocalAddr().String()); tcp != nil {
		t.Error("a socket for packets was given as a listener")
	}
	conn, err := s.listenPacket("udp", packets.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	client, err := net.Dial("udp", packets.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	read := make(chan string, 1)
	go func() {
		b := make([]byte, 10)
		n, _, err := conn.ReadFrom(b)
		if err != nil {
			read <- err.Error()
			return
		}
		read <- string(b[:n])
	}()
	if _, err := client.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	select {
	case got := <-read:
		t.Fatalf("read %q", got)
	default:
	}
	s.accept()
	if got := receive(t, "the packet", read); got != "hello" {
		t.Errorf("read %q", got)
	}
}
