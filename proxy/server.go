package proxy

import (
	"context"
	"errors"
	"log"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// Limits on what a client controls.
const (
	readHeaderTimeout = 15 * time.Second
	clientIdleTimeout = 2 * time.Minute
	// shutdownTimeout ends just before `docker stop` loses patience (10 s) and kills.
	shutdownTimeout = 9 * time.Second
	// cutTime is what is left of it for those that are cut to hear of it.
	cutTime = 2 * time.Second
	// shutdownGrace is short: clients with an idle connection are soon refused another one anyway.
	shutdownGrace = 500 * time.Millisecond
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
	ACME       ACMEConfig
	HTTP3      bool // also serve HTTP/3, on the UDP port of HTTPS

	// MetricsPort is where /metrics and /healthz are served; 0 is nowhere, a negative one any free port.
	MetricsPort  int
	Limits       Limits
	LogLinesLost func() int64 // for the metric; nil is 0

	// Listen and ListenPacket open sockets; nil are those of the package net.
	Listen       func(network, address string) (net.Listener, error)
	ListenPacket func(network, address string) (net.PacketConn, error)
	// Inherited says that another process holds the sockets, the control socket too, and removes it at the end.
	Inherited bool
}

// Server is a running proxy: its listeners, its control socket and its router.
type Server struct {
	config  Config
	router  *Router
	control *controlServer
	http    *http.Server
	httpLn  net.Listener
	clients *connections
	stopped sync.Once
	ending  chan struct{} // closed when the server begins to end

	limiter     *connectionLimit
	buffers     *budget
	metrics     *metrics // nil when they are not served
	metricsHTTP *metricsServer

	https   *http.Server
	httpsLn net.Listener   // nil when its port could not be opened
	http3   *http3Listener // nil without HTTP/3
	failed  chan error
}

// NewServer returns a server that does not listen yet.
func NewServer(c Config) *Server {
	if c.Listen == nil {
		c.Listen = net.Listen
	}
	if c.ListenPacket == nil {
		c.ListenPacket = net.ListenPacket
	}
	s := &Server{config: c, router: NewRouter(c.StatePath, c.Log), failed: make(chan error, 4),
		clients: newConnections(), ending: make(chan struct{})}
	s.router.certs.config = c.ACME
	s.prepareLimits()
	s.http = s.newHTTPServer()
	s.https = s.newHTTPSServer()
	s.control = &controlServer{server: s, router: s.router, changes: newChanges()}
	return s
}

// Start restores the state, then listens: a client that can connect is answered by the services of before. A
// damaged state is logged and is no reason not to start.
func (s *Server) Start() error {
	if err := s.router.Restore(); err != nil {
		s.config.Log.Error("State restored in part", "error", err)
	}
	if err := s.listen(); err != nil {
		return errors.Join(err, s.close())
	}
	if err := s.control.start(s.config.SocketPath, s.failed); err != nil {
		return errors.Join(err, s.close())
	}
	if err := s.metricsHTTP.start(); err != nil {
		return errors.Join(err, s.close())
	}
	s.router.startCertificates(challengePorts{s.config.Bind, s.HTTPPort(), s.HTTPSPort()})
	go s.serve(func() error { return s.http.Serve(s.limiter.listen(s.httpLn, true)) })
	if s.httpsLn != nil {
		go s.serve(func() error { return s.https.ServeTLS(s.limiter.listen(s.httpsLn, false), "", "") })
	}
	if s.http3 != nil {
		go s.serve(s.http3.serve)
	}
	s.config.Log.Info("Server started", "http", s.HTTPPort(), "https", s.HTTPSPort(), "metrics", s.metricsHTTP.port(), "socket", s.config.SocketPath)
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
// connections too) and gives up deploys that wait. Clients are asked to go; a connection that nobody has used for
// half a second is closed.
func (s *Server) Shutdown() error {
	s.control.giveUp()
	return s.end(shutdownGrace, shutdownTimeout-cutTime, false)
}

// end takes no new connection, and commands no more. It waits for the connections to be idle for grace and for the
// requests in flight for limit, for upgraded connections too if told so; then it cuts.
func (s *Server) end(grace, limit time.Duration, upgraded bool) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	s.stopped.Do(func() { close(s.ending) })
	defer s.metricsHTTP.stop(ctx)
	servers, listeners := s.serving()
	for _, ln := range listeners {
		_ = ln.Close() // Serve comes back and is not missed: see serve
	}
	var controlErr error
	var wg sync.WaitGroup
	wg.Go(func() { controlErr = s.control.stop(ctx) })
	wg.Go(s.router.stopCertificates)
	if s.http3 != nil {
		wg.Go(func() { s.http3.end(ctx, min(grace, limit), upgraded) })
	}
	s.clients.end(min(grace, limit))
	for _, one := range servers {
		wg.Go(func() { _ = one.Shutdown(ctx) })
	}
	wg.Wait()
	if upgraded {
		s.clients.finish(ctx)
	}
	s.router.releaseHeld()
	s.router.cutAll()
	last, done := context.WithTimeout(context.Background(), cutTime/2)
	defer done()
	s.clients.finish(last)
	err := errors.Join(controlErr, s.close())
	s.config.Log.Info("Server stopped")
	return err
}

// serving gives the servers that answer clients, and what they listen at.
func (s *Server) serving() (servers []*http.Server, listeners []net.Listener) {
	servers = append(servers, s.http)
	if s.httpLn != nil {
		listeners = append(listeners, s.httpLn)
	}
	if s.httpsLn != nil {
		servers, listeners = append(servers, s.https), append(listeners, s.httpsLn)
	}
	return servers, listeners
}

// HTTPPort returns the port that HTTP is served on, 0 before Start.
func (s *Server) HTTPPort() int {
	if s.httpLn == nil {
		return 0
	}
	return listenPort(s.httpLn.Addr())
}

// HTTPSPort returns the port that HTTPS is served on, 0 before Start and when it could not be opened.
func (s *Server) HTTPSPort() int {
	if s.httpsLn == nil {
		return 0
	}
	return listenPort(s.httpsLn.Addr())
}

func (s *Server) newHTTPServer() *http.Server {
	server := &http.Server{
		Handler:   s.clients.politely(s.router.certs.challenges(s.newHandler())),
		ConnState: s.clients.track,
		ErrorLog:  log.New(debugWriter{s.config.Log}, "", 0),
	}
	s.config.Limits.apply(server)
	return server
}

func (s *Server) serve(run func() error) {
	err := run()
	select {
	case <-s.ending:
	default:
		if !errors.Is(err, http.ErrServerClosed) {
			s.failed <- err
		}
	}
}

func (s *Server) close() error {
	s.router.stopCertificates()
	var errs []error
	for _, one := range []*http.Server{s.http, s.https} {
		if err := one.Close(); !errors.Is(err, net.ErrClosed) { // a listener that was closed before
			errs = append(errs, err)
		}
	}
	_, listeners := s.serving()
	for _, ln := range listeners { // not yet known to a server when Start fails
		_ = ln.Close()
	}
	if s.http3 != nil {
		s.http3.close()
	}
	return errors.Join(errs...)
}

// debugWriter takes net/http's own messages (bad handshakes, malformed requests), which anybody on the internet can
// cause at will.
type debugWriter struct{ log *slog.Logger }

func (w debugWriter) Write(p []byte) (int, error) {
	w.log.Debug("HTTP server", "message", string(p))
	return len(p), nil
}
