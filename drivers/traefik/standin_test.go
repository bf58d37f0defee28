package traefik

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/kamald/kamald/drivers/files"
	"github.com/kamald/kamald/drivers/probe"
	"github.com/kamald/kamald/state"
)

const (
	container = "traefik"
	patience  = 20 * time.Second
)

// standin does with the files what Traefik's documentation says of its file provider: all of a directory is one configuration,
// read anew when something in it changes; one file that does not read keeps the whole as it was; the router with the highest
// priority whose rule matches takes a request.
type standin struct {
	t       *testing.T
	dir     string
	address string // its loopback address
	config  atomic.Pointer[document]
	broken  atomic.Pointer[string]
	frozen  atomic.Bool // reads nothing any more
	public  *httptest.Server

	mu         sync.Mutex
	containers []state.Container
	denied     bool // sshd forwards nothing
	image      string
}

// loopback gives each stand-in an address of its own, since the port for questions is fixed.
var loopback atomic.Int32

func newStandin(t *testing.T) (*standin, *Driver) {
	t.Helper()
	run := t.TempDir()
	s := &standin{t: t, dir: filepath.Join(run, state.TraefikDynamicDir), image: "traefik:v3.1",
		address: fmt.Sprintf("127.%d.%d.%d", 80+os.Getpid()%100, os.Getpid()/100%250, 1+loopback.Add(1)%250)}
	s.config.Store(&document{})
	s.public = httptest.NewServer(s.entry(state.TraefikHTTP))
	t.Cleanup(s.public.Close)
	listener, err := net.Listen("tcp", net.JoinHostPort(s.address, strconv.Itoa(state.TraefikAskPort)))
	if err != nil {
		t.Fatalf("no address of its own on loopback: %v", err)
	}
	ask := &httptest.Server{Listener: listener, Config: &http.Server{Handler: s.entry(state.TraefikAsk)}}
	ask.Start()
	t.Cleanup(ask.Close)
	ctx, cancel := context.WithCancel(context.Background())
	var watching sync.WaitGroup
	watching.Go(func() { s.watch(ctx) })
	t.Cleanup(func() { cancel(); watching.Wait() })
	var dialer net.Dialer
	prober := probe.New(func(ctx context.Context, network, address string) (net.Conn, error) {
		if s.denied {
			return nil, state.ErrDenied
		}
		return dialer.DialContext(ctx, network, address)
	})
	return s, New(s, files.NewLocal(), prober, run)
}

func (s *standin) watch(ctx context.Context) {
	for ctx.Err() == nil {
		if !s.frozen.Load() {
			s.read()
		}
		_ = pause(ctx, 5*time.Millisecond)
	}
}

func (s *standin) read() {
	names, _ := filepath.Glob(filepath.Join(s.dir, "*.yml"))
	all := &document{}
	all.HTTP.Routers, all.HTTP.Services, all.HTTP.Middlewares = map[string]router{}, map[string]service{}, map[string]middleware{}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if errors.Is(err, os.ErrNotExist) {
			return // between two looks
		}
		var one document
		if err == nil {
			err = strictly(data, &one)
		}
		if err != nil {
			text := err.Error()
			s.broken.Store(&text)
			return
		}
		for k, v := range one.HTTP.Routers {
			all.HTTP.Routers[k] = v
		}
		for k, v := range one.HTTP.Services {
			all.HTTP.Services[k] = v
		}
		for k, v := range one.HTTP.Middlewares {
			all.HTTP.Middlewares[k] = v
		}
	}
	s.broken.Store(nil)
	s.config.Store(all)
}

// strictly reads YAML, and knows no other fields than those of the types.
func strictly(data []byte, into any) error {
	var tree any
	if err := yaml.Unmarshal(data, &tree); err != nil {
		return err
	}
	plain, err := json.Marshal(tree)
	if err != nil {
		return err
	}
	d := json.NewDecoder(strings.NewReader(string(plain)))
	d.DisallowUnknownFields()
	return d.Decode(into)
}

func (s *standin) entry(point string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		config := s.config.Load()
		host, _, _ := strings.Cut(r.Host, ":")
		var best *router
		for _, candidate := range config.HTTP.Routers {
			if candidate.EntryPoints[0] == point && matches(s.t, candidate.Rule, host, r.URL.Path, 3) && (best == nil || candidate.Priority > best.Priority) {
				best = &candidate
			}
		}
		switch {
		case best == nil:
			http.NotFound(w, r)
		case best.Service == "ping@internal":
			fmt.Fprint(w, "OK")
		default:
			s.pass(w, r, config, *best)
		}
	})
}

func (s *standin) pass(w http.ResponseWriter, r *http.Request, config *document, to router) {
	for _, name := range to.Middlewares {
		m := config.HTTP.Middlewares[name]
		if m.RedirectScheme != nil {
			http.Redirect(w, r, m.RedirectScheme.Scheme+"://"+r.Host+r.URL.Path, http.StatusMovedPermanently)
			return
		}
		if m.StripPrefix != nil {
			r.URL.Path = "/" + strings.TrimLeft(strings.TrimPrefix(r.URL.Path, m.StripPrefix.Prefixes[0]), "/")
		}
	}
	servers := config.HTTP.Services[to.Service].LoadBalancer.Servers
	if len(servers) == 0 {
		http.Error(w, "no available server", http.StatusServiceUnavailable)
		return
	}
	target, err := url.Parse(servers[0].URL)
	if err != nil {
		s.t.Errorf("server %q: %v", servers[0].URL, err)
		return
	}
	p := httputil.NewSingleHostReverseProxy(target)
	p.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) }
	p.ServeHTTP(w, r)
}

// The engine of the stand-in's host.

func (s *standin) Containers(context.Context, state.Filter) ([]state.Container, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.containers, nil
}

func (s *standin) Inspect(_ context.Context, name string, _ state.View) (state.Container, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.containers {
		if c.ID == name {
			return c, nil
		}
	}
	return state.Container{ID: "0123456789abcdef", Name: name, Status: state.StatusRunning, IPs: map[string]string{"kamal": s.address},
		Live: state.Spec{Image: s.image, Volumes: []string{s.dir + ":" + state.TraefikMount + ":ro"}}}, nil
}

// Exec is the wget that Traefik's image has.
func (s *standin) Exec(ctx context.Context, _ string, argv []string) (state.ExecResult, error) {
	asked, err := url.Parse(argv[len(argv)-1])
	if err != nil || argv[0] != "wget" {
		return state.ExecResult{Code: 127}, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(s.address, asked.Port())+asked.Path, nil)
	if err != nil {
		return state.ExecResult{}, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return state.ExecResult{Code: 4}, nil
	}
	defer response.Body.Close()
	if response.StatusCode != 200 {
		return state.ExecResult{Code: 8, Stderr: "wget: server returned error: " + response.Status}, nil
	}
	return state.ExecResult{}, nil
}

func (s *standin) Logs(context.Context, string, int, time.Time) ([]string, error) {
	if text := s.broken.Load(); text != nil {
		return []string{`{"level":"error","error":"` + *text + `"}`, `{"level":"info"}`}, nil
	}
	return nil, nil
}

// get asks the entry point for requests.
func (s *standin) get(host, path string) (int, string) {
	s.t.Helper()
	status, body, err := s.try(host, path)
	if err != nil {
		s.t.Fatal(err)
	}
	return status, body
}

func (s *standin) try(host, path string) (int, string, error) {
	var dialer net.Dialer
	result, err := probe.New(dialer.DialContext).HTTP(context.Background(), strings.TrimPrefix(s.public.URL, "http://"), path, host)
	return result.Status, result.Body, err
}

// app answers with its name and the path that it sees.
func app(t *testing.T, name string) (target string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, name+" "+r.URL.Path) }))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}
