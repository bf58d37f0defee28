package main

import (
	"bytes"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
)

func TestASignalEndsACommandWithItsOwnExitCode(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	go func() { // a server that takes the connection and never says a word; by then the command is well under way
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		_ = syscall.Kill(os.Getpid(), syscall.SIGTERM)
		_, _ = conn.Read(make([]byte, 1<<10))
		_, _ = conn.Read(make([]byte, 1)) // until the other side hangs up
	}()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	code, out, stderr := planOn(t, port, "")
	if code != exitInterrupted {
		t.Errorf("exit code %d, want %d; said %s%s", code, exitInterrupted, out, stderr)
	}
}

func TestWhoLeavesAtOnceIsToldWhatIsLeftBehind(t *testing.T) {
	var b bytes.Buffer
	out := &terminal{Writer: &b}
	i := &interrupt{text: whileReleasing}
	i.sayLeft(out)
	if b.Len() > 0 {
		t.Errorf("nothing had begun, and it said %q", b.String())
	}
	i.mutating(func() []string { return []string{"web-1: create shop-web-v2 (done)"} })
	i.sayLeft(out)
	for _, want := range []string{"web-1: create shop-web-v2 (done)", "the deploy lock", "next: `kamald plan`"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is not in\n%s", want, b.String())
		}
	}
}
