package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/kamald/kamald/state"
)

func straight(ctx context.Context, network, address string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, network, address)
}

func TestAnAnswerComesBackAsItIsWithoutFollowingRedirects(t *testing.T) {
	var asked *http.Request
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r
		w.Header().Set("Location", "https://elsewhere.test/")
		w.WriteHeader(http.StatusMovedPermanently)
		fmt.Fprint(w, strings.Repeat("é", 1000))
	}))
	defer server.Close()
	got, err := New(straight).HTTP(t.Context(), server.Listener.Addr().String(), "/up?a=b", "shop.example.com")
	if err != nil {
		t.Fatal(err)
	}
	if got.Status != 301 || got.Location != "https://elsewhere.test/" || len(got.Body) != 512 {
		t.Errorf("got %d, %q, %d bytes", got.Status, got.Location, len(got.Body))
	}
	if asked.Method != "GET" || asked.Host != "shop.example.com" || asked.UserAgent() != "kamald" || asked.URL.String() != "/up?a=b" {
		t.Errorf("asked %s %s on %s as %q", asked.Method, asked.URL, asked.Host, asked.UserAgent())
	}
}

func TestWhyThereIsNoAnswerIsSaidInOneWord(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refused := closed.Addr().String()
	closed.Close()
	silent := listen(t, func(net.Conn) {})
	hangsUp := listen(t, func(c net.Conn) { c.Close() })
	says := func(err error) func(context.Context, string, string) (net.Conn, error) {
		return func(context.Context, string, string) (net.Conn, error) { return nil, err }
	}
	for _, c := range []struct {
		name    string
		dial    func(context.Context, string, string) (net.Conn, error)
		address string
		want    error
	}{
		{"a closed port", straight, refused, ErrRefused},
		{"a closed port, by sshd's word", says(errors.New("ssh: rejected: connect failed (Connection refused)")), refused, ErrRefused},
		{"no answer", straight, silent, ErrTimeout},
		{"no answer, by sshd's word", says(errors.New("ssh: rejected: connect failed (Connection timed out)")), refused, ErrTimeout},
		{"hanging up", straight, hangsUp, ErrReset},
		{"no route, by sshd's word", says(errors.New("ssh: rejected: connect failed (No route to host)")), refused, ErrNoRoute},
		{"forwarding that is forbidden", says(errors.New("ssh: rejected: administratively prohibited (open failed)")), refused, state.ErrDenied},
		{"a host that is gone", says(fmt.Errorf("web-1: %w", state.ErrUnreachable)), refused, state.ErrUnreachable},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			_, err := New(c.dial).HTTP(ctx, c.address, "/up", "")
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.address+"/up") {
				t.Errorf("got %v, want %v", err, c.want)
			}
			for _, other := range []error{ErrRefused, ErrTimeout, ErrReset, ErrNoRoute, state.ErrDenied, state.ErrUnreachable} {
				if other != c.want && errors.Is(err, other) {
					t.Errorf("%v is also %q", err, other)
				}
			}
		})
	}
}

func TestATCPProbeOpensAndCloses(t *testing.T) {
	ended := make(chan error, 1)
	address := listen(t, func(c net.Conn) {
		_, err := c.Read(make([]byte, 1))
		ended <- err
	})
	if err := New(straight).TCP(t.Context(), address); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err == nil {
		t.Error("the probe sent something")
	}
}

// listen serves connections on loopback.
func listen(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { conn.Close() })
			serve(conn)
		}
	}()
	return listener.Addr().String()
}
