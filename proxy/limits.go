package proxy

import (
	"errors"
	"net/http"
	"time"
)

// Limits on what a client controls. docs/proxy.md, "Limits", has them as a table.
const (
	// maxHeaderBytes bounds a request's head (line and headers); more is 431.
	maxHeaderBytes = 64 << 10
	// maxHeaders bounds the header lines of a request; more is 431.
	maxHeaders = 256
	// maxURLBytes bounds the path and query of a request; more is 414.
	maxURLBytes = 32 << 10
	// maxRequestID bounds an X-Request-Id of the client; a longer one is replaced.
	maxRequestID = 128
	// maxStreams bounds the requests at once on one HTTP/2 connection. More wait, and a client that resets and
	// opens streams faster than they end is told to calm down and loses its connection.
	maxStreams = 128
	// streamBuffer and connectionBuffer bound what an HTTP/2 client may send ahead of its reader.
	streamBuffer     = 256 << 10
	connectionBuffer = 512 << 10
	// stallProgress is how many bytes of a body must come in the time of Limits.Stall spent waiting for it.
	stallProgress = 64
	// expectContinueTimeout is how long a target may think about a request with Expect: 100-continue before the client
	// is asked for the body anyway, for apps that do not know the header. Clients wait about a second by themselves.
	expectContinueTimeout = 5 * time.Second
	// lingerTimeout bounds the reading of a body's rest that nobody wants, after the answer.
	lingerTimeout = 5 * time.Second
)

// Limits bounds what clients may take of the proxy. A zero field is its default.
type Limits struct {
	Connections   int           // open at once over all listeners; default 16,384
	BufferMemory  int64         // bytes of all buffered bodies in memory; what is beyond goes to disk; default 128 MiB
	BufferDisk    int64         // bytes of all buffered bodies on disk; what is beyond gets 503; default 8 GiB
	HeaderTimeout time.Duration // from a connection's or request's first byte to the end of its head; default 15 s
	Idle          time.Duration // a connection without a request; default 2 min
	Stall         time.Duration // a client that sends or takes nothing when it is its turn; default 30 s
}

func (l Limits) withDefaults() Limits {
	setDefault(&l.Connections, 16_384)
	setDefault(&l.BufferMemory, 128<<20)
	setDefault(&l.BufferDisk, 8<<30)
	setDefault(&l.HeaderTimeout, readHeaderTimeout)
	setDefault(&l.Idle, clientIdleTimeout)
	setDefault(&l.Stall, 30*time.Second)
	return l
}

func setDefault[T int | int64 | time.Duration](field *T, value T) {
	if *field <= 0 {
		*field = value
	}
}

// apply sets the limits that net/http keeps by itself.
func (l Limits) apply(s *http.Server) {
	s.ReadHeaderTimeout = l.HeaderTimeout
	s.IdleTimeout = l.Idle
	s.MaxHeaderBytes = maxHeaderBytes
	s.ConnContext = withClient
	s.HTTP2 = &http.HTTP2Config{
		MaxConcurrentStreams:          maxStreams,
		MaxReceiveBufferPerStream:     streamBuffer,
		MaxReceiveBufferPerConnection: connectionBuffer,
	}
}

// prepareLimits makes what the server's parts share to keep its limits, and what they count.
func (s *Server) prepareLimits() {
	s.config.Limits = s.config.Limits.withDefaults()
	// A quarter of the descriptors is for targets, files and sockets of our own.
	if files, known := openFiles(); known && uint64(s.config.Limits.Connections) > files/4*3 {
		s.config.Log.Warn("Fewer connections than asked for: the process may open too few files; raise its limit (ulimit nofile)",
			"asked", s.config.Limits.Connections, "connections", files/4*3, "files", files)
		s.config.Limits.Connections = int(files / 4 * 3)
	}
	s.limiter = newConnectionLimit(s.config.Limits, s.config.Log)
	s.buffers = newBudget(s.config.Limits)
	s.metricsHTTP = &metricsServer{server: s}
	if s.config.MetricsPort != 0 {
		s.metrics = newMetrics()
		s.metrics.observe(s)
		s.router.metrics = s.metrics
	}
}

func (s *Server) newHandler() *handler {
	return &handler{router: s.router, log: s.config.Log, limits: s.config.Limits, buffers: s.buffers, metrics: s.metrics}
}

// limitFlags adds the flags of run that bound what clients may take, and returns what reads them after parsing.
func limitFlags(f *flagSet) func() (Limits, error) {
	d := Limits{}.withDefaults()
	connections := f.Int("max-connections", d.Connections, "Open connections of clients at once; idle ones make way, then new ones are refused")
	memory := f.Int64("max-buffer-memory", d.BufferMemory, "Bytes of all buffered bodies in memory; what is beyond goes to disk")
	disk := f.Int64("max-buffer-disk", d.BufferDisk, "Bytes of all buffered bodies on disk; what is beyond is answered with 503")
	stall := f.Duration("client-stall-timeout", d.Stall, "How long a client may send or take nothing when it is its turn")
	return func() (Limits, error) {
		if *connections <= 0 || *memory <= 0 || *disk <= 0 || *stall <= 0 {
			return Limits{}, errors.New("max-connections, max-buffer-memory, max-buffer-disk and client-stall-timeout must be more than 0")
		}
		return Limits{Connections: *connections, BufferMemory: *memory, BufferDisk: *disk, Stall: *stall}, nil
	}
}
