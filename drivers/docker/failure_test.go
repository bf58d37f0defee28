package docker

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
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

func TestAnEngineThatIsTooOldIsNamed(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Api-Version", "1.39")
		if strings.HasSuffix(r.URL.Path, "/_ping") {
			return
		}
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, `{"message":"client version %s is too new. Maximum supported API version is 1.39"}`, strings.TrimPrefix(strings.Split(r.URL.Path, "/")[1], "v"))
	}))
	defer server.Close()
	e := New(func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", server.Listener.Addr().String())
	}, Options{Host: "web-1"})
	defer e.Close()
	var trouble *state.EngineError
	_, err := e.Info(t.Context())
	if !errors.As(err, &trouble) || trouble.Trouble != state.EngineOld || !strings.Contains(err.Error(), "up to 1.39, and kamald needs 1.40") {
		t.Errorf("%v", err)
	}
}

func TestAnEngineThatDoesNotRunIsToldAlsoByTheDockerCommand(t *testing.T) {
	for _, said := range []string{
		"docker: Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
		"docker: failed to open the raw stream connection: dial unix /var/run/docker.sock: connect: connection refused",
	} {
		e := New(denied, Options{Host: "web-1", Session: func(context.Context, []string) (net.Conn, error) {
			return complaining{said: said}, nil
		}})
		var trouble *state.EngineError
		if _, err := e.Info(t.Context()); !errors.As(err, &trouble) || trouble.Trouble != state.EngineStopped {
			t.Errorf("%q: %v", said, err)
		}
	}
}

// complaining is a `docker system dial-stdio` on a host whose engine does not run.
type complaining struct {
	net.Conn
	said string
}

func (complaining) Write(b []byte) (int, error) { return len(b), nil }
func (complaining) Close() error                { return nil }
func (c complaining) Read([]byte) (int, error)  { return 0, fmt.Errorf("%s: %w", c.said, io.EOF) }
