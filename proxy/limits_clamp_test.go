package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

func TestConnectionsAreBoundedByTheFilesThatTheProcessMayOpen(t *testing.T) {
	files, known := openFiles()
	if !known || files > 1<<40 {
		if os.Getenv("CI") == "true" {
			t.Fatalf("this test needs a bound on the files that a process may open, and CI=true lets no test be left out: %d, %v", files, known)
		}
		t.Skipf("NOT RUN: this test needs a bound on the files that a process may open (ulimit -n): %d, %v", files, known)
	}
	f, log := startLimited(t, Limits{Connections: int(files)})
	if got, want := f.Server.config.Limits.Connections, int(files/4*3); got != want {
		t.Errorf("%d connections of %d files, want %d", got, files, want)
	}
	if f.limiter.limits.Connections != f.Server.config.Limits.Connections {
		t.Errorf("the limit in force is %d", f.limiter.limits.Connections)
	}
	if !log.has("Fewer connections than asked for: the process may open too few files; raise its limit (ulimit nofile)") {
		t.Error("nobody is told")
	}
	few, quiet := startLimited(t, Limits{Connections: 8})
	if few.limiter.limits.Connections != 8 || quiet.has("Fewer connections than asked for: the process may open too few files; raise its limit (ulimit nofile)") {
		t.Errorf("a limit that can be kept became %d", few.limiter.limits.Connections)
	}
}

// A body that was buffered for a request which becomes a tunnel is given back, and so is all else of it.
func TestAnUpgradeWithABufferedBodyLeavesNothingBehind(t *testing.T) {
	const memory, size = 1 << 10, 256 << 10
	f, _ := startLimited(t, Limits{})
	got := make(chan int64, 1)
	req := deployRequest("app", backend(t, func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		got <- n
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		fmt.Fprint(rw, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		_ = rw.Flush()
		_, _ = io.Copy(conn, rw)
	}), "app.test")
	req.TargetOptions.BufferRequests, req.TargetOptions.MaxMemoryBufferSize = true, memory
	f.deploy(req)
	used := func() int64 { return f.buffers.memoryUsed.Load() + f.buffers.diskUsed.Load() }
	for range 5 {
		conn, err := net.Dial("tcp", f.address())
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(patience))
		fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: app.test\r\nConnection: Upgrade\r\nUpgrade: echo\r\nContent-Length: %d\r\n\r\n%s", size, strings.Repeat("x", size))
		r := bufio.NewReader(conn)
		resp, err := http.ReadResponse(r, nil)
		if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
			t.Fatalf("%+v, %v", resp, err)
		}
		if n := receive(t, "the body", got); n != size {
			t.Errorf("the app got %d bytes", n)
		}
		fmt.Fprint(conn, "hello\n")
		if line, err := r.ReadString('\n'); line != "hello\n" {
			t.Errorf("echoed %q, %v", line, err)
		}
		_ = conn.Close()
	}
	eventually(t, "the bodies are given back", func() bool { return used() == 0 })
	eventually(t, "the connections are gone", func() bool { return f.limiter.count() == 0 })
	eventually(t, "no request is in flight", func() bool { return f.router.List()[0].Targets[0].InFlight == 0 })
}
