package proxy

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// scrapesAtOnce bounds the scrapes that are answered at once; more get 503.
const scrapesAtOnce = 4

// metricsServer answers /metrics and /healthz on a port of its own.
type metricsServer struct {
	server *Server
	mu     sync.Mutex
	http   *http.Server
	ln     net.Listener
}

// start listens, unless no port was asked for. It serves until the server is shut down.
func (m *metricsServer) start() error {
	if m.server.metrics == nil {
		return nil
	}
	address := net.JoinHostPort(m.server.config.Bind, strconv.Itoa(max(0, m.server.config.MetricsPort)))
	ln, err := m.server.config.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("listening for metrics: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.server.metrics.registry, promhttp.HandlerOpts{
		MaxRequestsInFlight: scrapesAtOnce, EnableOpenMetrics: true,
	}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		h := m.server.Health()
		status := http.StatusOK
		if h.Status != healthServing {
			status = http.StatusServiceUnavailable
		}
		reply(w, status, h)
	})
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ln = ln
	m.http = &http.Server{
		Handler: mux, ReadHeaderTimeout: readHeaderTimeout, ReadTimeout: readHeaderTimeout, WriteTimeout: time.Minute,
		IdleTimeout: clientIdleTimeout, MaxHeaderBytes: maxHeaderBytes,
		ErrorLog: log.New(debugWriter{m.server.config.Log}, "", 0),
	}
	server := m.http
	go func() {
		if err := server.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			m.server.config.Log.Error("Metrics are no longer served", "error", err)
		}
	}()
	return nil
}

// port returns the port that metrics are served on, 0 when they are not.
func (m *metricsServer) port() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ln == nil {
		return 0
	}
	return listenPort(m.ln.Addr())
}

func (m *metricsServer) stop(ctx context.Context) {
	m.mu.Lock()
	server := m.http
	m.mu.Unlock()
	if server == nil {
		return
	}
	if err := server.Shutdown(ctx); err != nil {
		_ = server.Close()
	}
}
