package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Limits on what a client controls.
const (
	readHeaderTimeout = 15 * time.Second
	clientIdleTimeout = 2 * time.Minute
	maxHeaderBytes    = 64 << 10
	// shutdownTimeout ends just before `docker stop` loses patience (10 s) and kills.
	shutdownTimeout = 9 * time.Second
)

// Config says where a proxy listens and keeps its state. Ports of 0 are any free one; an empty Bind is all
// addresses.
type Config struct {
	Bind       string
	HTTPPort   int
	HTTPSPort  int
	StatePath  string
	SocketPath string
	Log        *slog.Logger
}

// Server is a running proxy: its listeners, its control socket and its router.
type Server struct {
	config  Config
	router  *Router
	control *controlServer
	http    *http.Server
	httpLn  net.Listener

	mu      sync.Mutex
	https   *http.Server
	httpsLn net.Listener
	failed  chan error
}

// NewServer returns a server that does not listen yet.
func NewServer(c Config) *Server {
	s := &Server{config: c, router: NewRouter(c.StatePath, c.Log), failed: make(chan error, 3)}
	s.http = s.newHTTPServer()
	s.control = &controlServer{server: s, router: s.router}
	return s
}

// Start restores the state, then listens: a client that can connect is answered by the services of before. A
// damaged state is logged and is no reason not to start.
func (s *Server) Start() error {
	if err := s.router.Restore(); err != nil {
		s.config.Log.Error("State restored in part", "error", err)
	}
	if err := s.ensureTLS(); err != nil {
		s.config.Log.Error("HTTPS is not served", "error", err)
	}
	ln, err := net.Listen("tcp", net.JoinHostPort(s.config.Bind, strconv.Itoa(s.config.HTTPPort)))
	if err != nil {
		return errors.Join(fmt.Errorf("listening for HTTP: %w", err), s.close())
	}
	s.httpLn = ln
	if err := s.control.start(s.config.SocketPath, s.failed); err != nil {
		return errors.Join(err, ln.Close(), s.close())
	}
	go s.serve(func() error { return s.http.Serve(ln) })
	s.config.Log.Info("Server started", "http", s.HTTPPort(), "https", s.HTTPSPort(), "socket", s.config.SocketPath)
	return nil
}

// Run serves until ctx ends, then shuts down. It returns early when a listener fails.
func (s *Server) Run(ctx context.Context) error {
	var err error
	select {
	case <-ctx.Done():
	case err = <-s.failed:
		s.config.Log.Error("Server failed", "error", err)
	}
	s.config.Log.Info("Server stopping")
	return errors.Join(err, s.Shutdown())
}

// Shutdown takes no new connection, finishes the requests in flight for up to 9 s, cuts what is left (upgraded
// connections too) and gives up deploys that wait.
func (s *Server) Shutdown() error {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
	defer cancel()
	var wg sync.WaitGroup
	s.mu.Lock()
	https := s.https
	s.mu.Unlock()
	wg.Go(func() { _ = s.http.Shutdown(ctx) })
	if https != nil {
		wg.Go(func() { _ = https.Shutdown(ctx) })
	}
	controlErr := s.control.stop(ctx)
	wg.Wait()
	s.router.cutAll()
	err := errors.Join(controlErr, s.close())
	s.config.Log.Info("Server stopped")
	return err
}

// HTTPPort returns the port that HTTP is served on, 0 before Start.
func (s *Server) HTTPPort() int {
	if s.httpLn == nil {
		return 0
	}
	return listenPort(s.httpLn.Addr())
}

// HTTPSPort returns the port that HTTPS is served on, 0 while no service has TLS.
func (s *Server) HTTPSPort() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.httpsLn == nil {
		return 0
	}
	return listenPort(s.httpsLn.Addr())
}

func (s *Server) newHTTPServer() *http.Server {
	return &http.Server{
		Handler:           &handler{router: s.router, log: s.config.Log},
		ReadHeaderTimeout: readHeaderTimeout,
		IdleTimeout:       clientIdleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          log.New(debugWriter{s.config.Log}, "", 0),
	}
}

// ensureTLS listens for HTTPS if a service has a certificate and nothing listens yet.
func (s *Server) ensureTLS() error {
	if !s.router.hasTLS() {
		return nil
	}
	return s.listenTLS()
}

func (s *Server) listenTLS() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.https != nil {
		return nil
	}
	ln, err := net.Listen("tcp", net.JoinHostPort(s.config.Bind, strconv.Itoa(s.config.HTTPSPort)))
	if err != nil {
		return fmt.Errorf("listening for HTTPS: %w", err)
	}
	server := s.newHTTPServer()
	server.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: s.router.certificate}
	s.https, s.httpsLn = server, ln
	go s.serve(func() error { return server.ServeTLS(ln, "", "") })
	return nil
}

func (s *Server) serve(run func() error) {
	if err := run(); !errors.Is(err, http.ErrServerClosed) {
		s.failed <- err
	}
}

func (s *Server) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.http.Close()
	if s.https != nil {
		err = errors.Join(err, s.https.Close())
	}
	return err
}

// debugWriter takes net/http's own messages (bad handshakes, malformed requests), which anybody on the internet can
// cause at will.
type debugWriter struct{ log *slog.Logger }

func (w debugWriter) Write(p []byte) (int, error) {
	w.log.Debug("HTTP server", "message", string(p))
	return len(p), nil
}
