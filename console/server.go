package console

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/rs/zerolog"
)

// Options are what a server needs.
type Options struct {
	Daemon  Daemon
	History History
	Tokens  []Token
	Owner   Owner    // who is admin, and who may read, on the socket
	Hosts   []string // names under which it is asked, without ports: those of the certificate; addresses and localhost need none
	Version string
	// Ready is nil, or tells why nothing could be written to the store.
	Ready func(ctx context.Context) error
	Log   zerolog.Logger
	Now   func() time.Time // nil: the clock's
}

// Via is the listener that a request came by.
type Via int

// The listeners.
const (
	ViaSocket   Via = iota // the kernel says who asks; no dashboard, since a browser would be let in without a login
	ViaHTTPS               // tokens and logins
	ViaLoopback            // the same, in clear text, from this machine or through an SSH port forward
)

// The limits of connections. Answers that last (events, waiting for a ticket) set their own.
const (
	headerTimeout = 10 * time.Second
	readTimeout   = 30 * time.Second
	writeTimeout  = 60 * time.Second
	idleTimeout   = 2 * time.Minute
	headerBytes   = 32 << 10
)

// Server answers on the daemon's listeners: the API, the dashboard, and whether the daemon lives.
type Server struct {
	opts     Options
	machine  string
	keys     keyring
	sessions sessions
	attempts *attempts
	streams  streams
	pages    *pages
	document []byte // of the API
}

// New makes a server. A token that cannot be one is an error.
func New(opts Options) (*Server, error) {
	if opts.Daemon == nil || opts.History == nil {
		return nil, errors.New("the console needs a daemon and its history")
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	keys, err := newKeyring(opts.Tokens)
	if err != nil {
		return nil, err
	}
	s := &Server{opts: opts, keys: keys, attempts: newAttempts()}
	if s.machine, err = os.Hostname(); err != nil {
		s.machine = "localhost"
	}
	if s.pages, err = newPages(); err != nil {
		return nil, err
	}
	if s.document, err = document(opts.Version); err != nil {
		return nil, err
	}
	return s, nil
}

// HTTP gives the server for a listener, with its limits. It is the only way to serve the socket: the handler alone does not know who is at
// the other end.
func (s *Server) HTTP(via Via) *http.Server {
	server := &http.Server{
		Handler:           s.Handler(via),
		ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: headerBytes,
		ErrorLog:       log.New(io.Discard, "", 0), // clients that give up, and port scanners
	}
	if via == ViaSocket {
		server.ConnContext = connContext
	}
	ctx, end := context.WithCancel(context.Background())
	server.BaseContext = func(net.Listener) context.Context { return context.WithValue(context.Background(), endingKey{}, ctx) }
	server.RegisterOnShutdown(end)
	return server
}

type endingKey struct{}

// lasting is the context of an answer that lasts: it ends when the server is shut down, too, which else would wait for it. What else is
// under way then is carried to its end.
func (c *call) lasting() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(c.r.Context())
	if ending, ok := ctx.Value(endingKey{}).(context.Context); ok {
		context.AfterFunc(ending, cancel)
	}
	return ctx, cancel
}

// Handler answers the requests of a listener: every route of the table, for whoever may have it.
func (s *Server) Handler(via Via) http.Handler {
	mux := http.NewServeMux()
	for _, route := range routes {
		if !route.page || via != ViaSocket {
			mux.Handle(route.method+" "+route.pattern, s.guarded(via, route))
		}
	}
	return s.fenced(via, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h, pattern := mux.Handler(r); pattern == "" {
			s.unknown(w, r, h)
			return
		}
		mux.ServeHTTP(w, r)
	}))
}

func (s *Server) now() time.Time { return s.opts.Now() }
