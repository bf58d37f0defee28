package proxy

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"testing"
	"time"
)

// BenchmarkRequest asks over one kept connection through the whole proxy, with its access log. Client and target allocate
// nothing, so that what is counted is the proxy's.
func BenchmarkRequest(b *testing.B) {
	for _, size := range []int{200, 1 << 20} {
		b.Run(fmt.Sprintf("%dB", size), func(b *testing.B) {
			conn := startMeasured(b, plainTarget(b, size))
			request := []byte("GET /page?q=1 HTTP/1.1\r\nHost: app.test\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n")
			answer := newAnswerReader(conn)
			for range 100 {
				askOnce(b, conn, answer, request)
			}
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				askOnce(b, conn, answer, request)
			}
		})
	}
}

// startMeasured starts a proxy that logs to nowhere as the program would, with a service of the target, and returns a
// connection of a client.
func startMeasured(b *testing.B, target string) net.Conn {
	nowhere, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		b.Fatal(err)
	}
	lines := newLineWriter(nowhere)
	dir := b.TempDir()
	s := NewServer(Config{
		Bind: "127.0.0.1", StatePath: dir + "/state", SocketPath: dir + "/s", Log: slog.New(slog.NewJSONHandler(lines, nil)),
	})
	if err := s.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = s.Shutdown()
		lines.Close(time.Second)
		_ = nowhere.Close()
	})
	req := deployRequest("app", target, "app.test")
	req.TargetOptions.ForwardHeaders, req.TargetOptions.HealthCheckConfig.Interval = false, time.Hour
	req.Force = true
	if err := s.router.Deploy(b.Context(), req); err != nil {
		b.Fatal(err)
	}
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", s.HTTPPort()))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = conn.Close() })
	return conn
}

// plainTarget answers each head that it reads with a body of a size. It allocates nothing for a request.
func plainTarget(b *testing.B, size int) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = ln.Close() })
	answer := fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nDate: Mon, 02 Jan 2006 15:04:05 GMT\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n", size)
	answer = append(answer, bytes.Repeat([]byte("a"), size)...)
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				for in := bufio.NewReader(conn); ; {
					line, err := in.ReadSlice('\n')
					if err != nil {
						return
					}
					if len(line) > 2 {
						continue
					}
					if _, err := conn.Write(answer); err != nil {
						return
					}
				}
			}()
		}
	}()
	return ln.Addr().String()
}

// answerReader reads answers with a length, and nothing else.
type answerReader struct{ in *bufio.Reader }

func newAnswerReader(conn io.Reader) *answerReader {
	return &answerReader{bufio.NewReaderSize(conn, 64<<10)}
}

func (a *answerReader) next() error {
	size := -1
	for {
		line, err := a.in.ReadSlice('\n')
		if err != nil {
			return err
		}
		if digits, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			size = 0
			for _, c := range bytes.TrimSpace(digits) {
				size = size*10 + int(c-'0')
			}
		}
		if len(line) <= 2 {
			break
		}
	}
	if size < 0 {
		return fmt.Errorf("an answer without a length")
	}
	_, err := a.in.Discard(size)
	return err
}

func askOnce(b *testing.B, conn io.Writer, answer *answerReader, request []byte) {
	if _, err := conn.Write(request); err != nil {
		b.Fatal(err)
	}
	if err := answer.next(); err != nil {
		b.Fatal(err)
	}
}
