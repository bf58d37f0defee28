// Package docker drives a container engine by its API, over whatever connection it is given. It turns the canonical spec into
// the engine's configuration and back, and lets no secret's value out.
package docker

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/moby/moby/client"

	"github.com/kamald/kamald/state"
)

// DefaultSocket is where an engine listens unless told otherwise.
const DefaultSocket = "/var/run/docker.sock"

// Options says where the engine is. The zero value is the usual socket.
type Options struct {
	// Host names the host in errors.
	Host string
	// Socket is the engine's unix socket on its host; "" is DefaultSocket.
	Socket string
	// Session runs a command on the host, its stdin and stdout as a connection. It is used for `docker system dial-stdio`
	// where the dial says state.ErrDenied (forwarding of sockets is forbidden). nil: there is no such way.
	Session func(ctx context.Context, argv []string) (net.Conn, error)
}

// Engine is the container engine of one host. It is safe for concurrent use. Its methods are those that reconcile.Engine
// describes.
type Engine struct {
	client *client.Client
	dialer *dialer
	host   string

	negotiate  sync.Mutex
	negotiated bool
}

// New makes an engine on a dial function, which is called with "unix" and the socket's path; the connections' deadlines are
// not used, a call whose context ends closes its connection. No call is made yet.
func New(dial func(ctx context.Context, network, address string) (net.Conn, error), o Options) *Engine {
	if o.Socket == "" {
		o.Socket = DefaultSocket
	}
	d := newDialer(dial, o)
	transport := &http.Transport{
		DialContext:         func(ctx context.Context, _, _ string) (net.Conn, error) { return d.dial(ctx) },
		DisableCompression:  true,
		MaxIdleConns:        maxIdle,
		MaxIdleConnsPerHost: maxIdle,
		IdleConnTimeout:     idleFor,
	}
	c, err := client.New(
		client.WithHTTPClient(&http.Client{Transport: transport, CheckRedirect: client.CheckRedirect}),
		// The order matters: a host sets a dialer of its own, which is replaced.
		client.WithHost("unix://"+o.Socket),
		client.WithDialContext(func(ctx context.Context, _, _ string) (net.Conn, error) { return d.dial(ctx) }),
		client.WithUserAgent("kamald"),
	)
	if err != nil {
		panic(fmt.Sprintf("docker: a client with fixed settings can always be made: %v", err))
	}
	d.closeIdle = func() { _ = c.Close() } // it closes what is idle, of the transport that it has cloned
	return &Engine{client: c, dialer: d, host: o.Host}
}

// maxIdle is how many HTTP connections are kept: one for the list, and some for inspects side by side.
const maxIdle = 8

// idleFor is how long one is kept that nobody needs: each is a channel, several goroutines and their buffers, on every host of a daemon
// that looks every few minutes. To open one again is a single round trip.
const idleFor = 15 * time.Second

// Close ends the connections that are kept for further calls. Calls that are under way go on.
func (e *Engine) Close() error { return e.client.Close() }

// Info says what engine it is.
func (e *Engine) Info(ctx context.Context) (state.Engine, error) {
	result, err := e.client.Info(ctx, client.InfoOptions{})
	if err != nil {
		return state.Engine{}, e.failure(err, "engine info")
	}
	info := result.Info
	clock, err := time.Parse(time.RFC3339Nano, info.SystemTime)
	if err != nil {
		return state.Engine{}, fmt.Errorf("%sengine info: its clock says %q: %w", e.prefix(), info.SystemTime, err)
	}
	engine := state.Engine{
		Version:    info.ServerVersion,
		API:        e.client.ClientVersion(),
		OS:         info.OSType,
		Arch:       goArch(info.Architecture),
		Variant:    armVariant(info.Architecture),
		Root:       info.DockerRootDir,
		Clock:      clock,
		Containerd: slices.Contains(info.DriverStatus, containerdStore),
	}
	if info.RegistryConfig != nil {
		engine.Mirrors = info.RegistryConfig.Mirrors
	}
	return abilities(engine, info), nil
}

// containerdStore is how an engine says that containerd keeps its images.
var containerdStore = [2]string{"driver-type", "io.containerd.snapshotter.v1"}

// goArch turns the kernel's name of an architecture into Go's.
func goArch(machine string) string {
	switch machine {
	case "x86_64":
		return "amd64"
	case "aarch64":
		return "arm64"
	case "armv7l", "armv7", "armv6l", "armv6":
		return "arm"
	case "i386", "i686":
		return "386"
	}
	return machine
}

// armVariant is the generation of a 32-bit ARM by the kernel's name of it, "" for any other.
func armVariant(machine string) string {
	switch machine {
	case "armv7l", "armv7":
		return "v7"
	case "armv6l", "armv6":
		return "v6"
	}
	return ""
}
