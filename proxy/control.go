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

// controlServer takes commands over a unix socket that only its owner can open.
type controlServer struct {
	server *Server
	router *Router
	http   *http.Server
	path   string
	cancel context.CancelCauseFunc
}

func (c *controlServer) start(path string, failed chan<- error) error {
	ln, err := listenPrivately(path)
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

// stop gives up the commands that wait and removes the socket.
func (c *controlServer) stop(ctx context.Context) error {
	if c.http == nil {
		return nil
	}
	c.cancel(errStopping)
	err := os.Remove(c.path)
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	_ = c.http.Shutdown(ctx) // a drain that outlasts ctx is cut with everything else
	return err
}

func (c *controlServer) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/deploy", command(c.deploy))
	mux.HandleFunc("POST /v1/remove", command(func(_ context.Context, q gateRequest) error { return c.router.Remove(q.Service) }))
	mux.HandleFunc("POST /v1/pause", command(func(_ context.Context, q gateRequest) error {
		return c.router.Pause(q.Service, q.DrainTimeout, q.MaxPause)
	}))
	mux.HandleFunc("POST /v1/stop", command(func(_ context.Context, q gateRequest) error {
		return c.router.Stop(q.Service, q.DrainTimeout, q.Message)
	}))
	mux.HandleFunc("POST /v1/resume", command(func(_ context.Context, q gateRequest) error { return c.router.Resume(q.Service) }))
	mux.HandleFunc("GET /v1/services", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusOK, c.router.List())
	})
	return mux
}

// deploy opens the HTTPS listener before anything else: a port that is taken must not be found out after the switch.
func (c *controlServer) deploy(ctx context.Context, req DeployRequest) error {
	if req.Options.TLSEnabled && req.Options.TLSCertificatePath != "" {
		if err := c.server.listenTLS(); err != nil {
			return err
		}
	}
	return c.router.Deploy(ctx, req)
}

func command[T any](run func(context.Context, T) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var req T
		dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&req); err != nil {
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
		return nil, fmt.Errorf("another proxy answers at %s; stop it first, or give this one another --socket", path)
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
