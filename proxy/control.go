package proxy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// gateRequest is the body of pause, stop, resume and remove.
type gateRequest struct {
	Service      string        `json:"service"`
	Fence        uint64        `json:"fence,omitempty"` // 0 is no check
	DrainTimeout time.Duration `json:"drain_timeout,omitempty"`
	MaxPause     time.Duration `json:"max_pause,omitempty"`
	Message      string        `json:"message,omitempty"`
}

// controlError is the body of every answer that is not 200.
type controlError struct {
	Error string `json:"error"`
}

// errStopping is why a deploy that waits fails when the proxy is stopped.
var errStopping = errors.New("the proxy is stopping; the old targets serve again when it is back")

// errAnotherProxy is why a proxy does not start.
var errAnotherProxy = errors.New("another proxy answers")

// controlServer takes commands over a unix socket that only its owner can open.
type controlServer struct {
	server  *Server
	router  *Router
	http    *http.Server
	path    string
	cancel  context.CancelCauseFunc
	changes *changes

	// Of a worker whose supervisor holds the socket; nil else.
	upgrade  func(ctx context.Context, req upgradeRequest) (upgradeResult, error)
	followed func(ctx context.Context, drain time.Duration) (wait func()) // older workers do what the state says now
}

// maxCommand is the most bytes that a command may have.
const maxCommand = 1 << 20

func (c *controlServer) start(path string, failed chan<- error) error {
	listen := listenPrivately
	if c.server.config.Inherited {
		listen = func(path string) (net.Listener, error) { return c.server.config.Listen("unix", path) }
	}
	ln, err := listen(path)
	if err != nil {
		return fmt.Errorf("opening the control socket: %w", err)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	c.path, c.cancel = path, cancel
	c.http = &http.Server{
		Handler:           c.routes(),
		ReadHeaderTimeout: readHeaderTimeout,
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
	go func() {
		if err := c.http.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			failed <- err
		}
	}()
	return nil
}

// giveUp ends the commands that wait.
func (c *controlServer) giveUp() {
	if c.cancel != nil {
		c.cancel(errStopping)
	}
}

// stop takes no more commands and lets those that run end until ctx does. It removes the socket, unless somebody else
// holds it.
func (c *controlServer) stop(ctx context.Context) error {
	if c.http == nil {
		return nil
	}
	var err error
	if !c.server.config.Inherited {
		err = os.Remove(c.path)
	}
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	_ = c.http.Shutdown(ctx)
	c.giveUp() // a drain that outlasts ctx is cut with everything else
	return err
}

func (c *controlServer) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/deploy", command(c.router.Deploy))
	c.serviceRoutes(mux)
	all := http.NewServeMux()
	all.Handle("/", c.guard(mux))
	all.HandleFunc("POST /v1/upgrade", c.serveUpgrade)
	all.HandleFunc("GET /v1/health", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusOK, c.server.Health())
	})
	return all
}

func command[T any](run func(context.Context, T) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var req T
		if err := decodeCommand(w, r, &req); err != nil {
			reply(w, http.StatusBadRequest, controlError{"reading the command: " + err.Error()})
			return
		}
		err := run(r.Context(), req)
		switch {
		case errors.Is(err, ErrServiceNotFound):
			reply(w, http.StatusNotFound, controlError{err.Error()})
		case err != nil:
			reply(w, http.StatusUnprocessableEntity, controlError{err.Error()})
		default:
			reply(w, http.StatusOK, struct{}{})
		}
	}
}

// decodeCommand reads the body of a command. A field that nobody here knows is an error.
func decodeCommand(w http.ResponseWriter, r *http.Request, into any) error {
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxCommand))
	dec.DisallowUnknownFields()
	return dec.Decode(into)
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // a caller that went away is its own affair
}

// listenPrivately makes the socket under another name and moves it into place when its mode is right, so that it
// can never be opened by others. What a dead proxy left behind is replaced; a living one is not.
func listenPrivately(path string) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	if conn, err := net.DialTimeout("unix", path, time.Second); err == nil {
		_ = conn.Close()
		return nil, fmt.Errorf("%w at %s; stop it first, or give this one another --socket", errAnotherProxy, path)
	}
	tmp := path + ".new"
	if err := os.Remove(tmp); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: tmp, Net: "unix"})
	if err != nil {
		return nil, err
	}
	ln.SetUnlinkOnClose(false)
	if err := errors.Join(os.Chmod(tmp, 0o600), os.Rename(tmp, path)); err != nil {
		return nil, errors.Join(err, ln.Close())
	}
	return ln, nil
}
