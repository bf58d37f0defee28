// Package probe asks containers for an answer, through whatever connection leads to their host.
package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"

	"github.com/kamald/kamald/state"
)

// Why a probe got no answer. The texts are what a person reads as the cause of a failed health check.
var (
	ErrRefused = errors.New("connection refused: nothing listens on that port")
	ErrTimeout = errors.New("no answer in time")
	ErrReset   = errors.New("connection closed before an answer")
	ErrNoRoute = errors.New("no route to the container")
)

// bodyLimit is how much of an answer's body is kept.
const bodyLimit = 512

// Prober probes addresses as a host sees them. It is safe for concurrent use.
type Prober struct {
	dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// New makes a prober on a dial function, which is called with "tcp".
func New(dial func(ctx context.Context, network, address string) (net.Conn, error)) *Prober {
	return &Prober{dial: dial}
}

// HTTP sends one GET to address (host:port) on a connection of its own, and follows no redirect. The error is for what never
// answered: ErrRefused, ErrTimeout, ErrReset, ErrNoRoute; state.ErrDenied when the host's sshd forbids the connection;
// state.ErrUnreachable when the host itself is gone.
func (p *Prober) HTTP(ctx context.Context, address, path, hostHeader string) (state.HTTPResult, error) {
	// One connection for one question: a kept one could hide that the listener is gone.
	transport := &http.Transport{DialContext: p.dial, DisableKeepAlives: true, DisableCompression: true, MaxResponseHeaderBytes: 64 << 10}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+path, nil)
	if err != nil {
		return state.HTTPResult{}, fmt.Errorf("GET %s%s: %w", address, path, err)
	}
	request.Header.Set("User-Agent", "kamald")
	if hostHeader != "" {
		request.Host = hostHeader
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return state.HTTPResult{}, fmt.Errorf("GET %s%s: %w", address, path, cause(ctx, err))
	}
	defer response.Body.Close()
	// A body that breaks off is still an answer: the status decides.
	body, _ := io.ReadAll(io.LimitReader(response.Body, bodyLimit))
	return state.HTTPResult{Status: response.StatusCode, Location: response.Header.Get("Location"), Body: strings.ToValidUTF8(string(body), "\uFFFD")}, nil
}

// TCP opens and closes a connection. Errors are those of HTTP.
func (p *Prober) TCP(ctx context.Context, address string) error {
	conn, err := p.dial(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("connect to %s: %w", address, cause(ctx, err))
	}
	return conn.Close()
}

// cause finds the one word for why there was no answer. sshd passes the kernel's words on in a text, without a type.
func cause(ctx context.Context, err error) error {
	text := strings.ToLower(err.Error())
	var timeout net.Error
	switch {
	case errors.Is(err, state.ErrDenied), errors.Is(err, state.ErrUnreachable), errors.Is(err, context.Canceled):
		return err
	case strings.Contains(text, "administratively prohibited"):
		return fmt.Errorf("%w: %w", state.ErrDenied, err)
	case errors.Is(ctx.Err(), context.DeadlineExceeded), errors.Is(err, context.DeadlineExceeded), errors.Is(err, syscall.ETIMEDOUT),
		errors.As(err, &timeout) && timeout.Timeout(), strings.Contains(text, "timed out"):
		return fmt.Errorf("%w: %w", ErrTimeout, err)
	case errors.Is(err, syscall.ECONNREFUSED), strings.Contains(text, "connection refused"):
		return fmt.Errorf("%w (%w)", ErrRefused, err)
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH), strings.Contains(text, "no route to host"),
		strings.Contains(text, "unreachable"):
		return fmt.Errorf("%w (%w)", ErrNoRoute, err)
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed),
		strings.Contains(text, "server closed"), strings.Contains(text, "connection reset"):
		return fmt.Errorf("%w (%w)", ErrReset, err)
	}
	return err
}
