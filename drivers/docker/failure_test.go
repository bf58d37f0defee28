package docker

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/kamald/kamald/state"
)

// A connection that ends under a call says why it did, by what refuses the next one; the whole ID is no help to anybody.
func TestACallWhoseConnectionEndsSaysWhy(t *testing.T) {
	lost := fmt.Errorf("web-1: connection lost: no answer to a keepalive for 3s: %w", state.ErrUnreachable)
	var asked atomic.Bool
	e := New(func(context.Context, string, string) (net.Conn, error) {
		if asked.Load() {
			return nil, lost
		}
		here, there := net.Pipe()
		go func() {
			defer there.Close()
			for requests := bufio.NewReader(there); ; {
				request, err := http.ReadRequest(requests)
				if err != nil {
					return
				}
				if strings.HasSuffix(request.URL.Path, "/start") {
					asked.Store(true)
					return // and no answer
				}
				_, _ = io.WriteString(there, "HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nContent-Length: 0\r\n\r\n")
			}
		}()
		return here, nil
	}, Options{Host: "web-1"})
	err := e.Start(t.Context(), strings.Repeat("0123456789abcdef", 4))
	if err == nil || !errors.Is(err, state.ErrUnreachable) || !errors.Is(err, lost) {
		t.Fatalf("it is not what ended the connection: %v", err)
	}
	want := "web-1: start container 0123456789ab: unreachable: the connection to the engine ended: connection lost: no answer to a keepalive for 3s: unreachable"
	if err.Error() != want {
		t.Errorf("%q, want %q", err, want)
	}
}
