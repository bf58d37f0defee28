package registry

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"oras.land/oras-go/v2/registry/remote/retry"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

const (
	name     = "example.com:5000" // what the stand-in's certificate is for
	password = "planted-secret-value"
)

var login = release.Auth{Server: name, Username: "deploy", Password: release.NewSecret(password)}

// standin is a registry with one repository, acme/shop.
type standin struct {
	*httptest.Server
	tags  []string
	auth  string // "", "basic" or "bearer"
	realm string // of tokens; "": its own
	page  int    // at most so many tags on a page; 0: all that are asked for
	// manifests by their digest, which need not be theirs
	manifests map[string]string
	before    func(w http.ResponseWriter, r *http.Request) bool

	mu   sync.Mutex
	seen []string // method, path and kind of Authorization of each request
}

func newStandin(t *testing.T, secure bool, tags ...string) *standin {
	s := &standin{tags: tags}
	slices.Sort(s.tags)
	s.Server = httptest.NewUnstartedServer(s)
	s.Config.ErrorLog = nil
	if secure {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s
}

func (s *standin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	kind, _, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	s.mu.Lock()
	s.seen = append(s.seen, strings.TrimSpace(r.Method+" "+r.URL.Path+" "+kind))
	s.mu.Unlock()
	if s.before != nil && s.before(w, r) {
		return
	}
	switch {
	case r.URL.Path == "/token":
		user, given, _ := r.BasicAuth()
		if user != login.Username || given != password {
			http.Error(w, `{"errors":[{"code":"UNAUTHORIZED","message":"wrong password"}]}`, http.StatusUnauthorized)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]string{"token": "a-token-for:" + r.URL.Query().Get("scope")})
	case !s.allowed(r):
		challenge := `Basic realm="lab"`
		if s.auth == "bearer" {
			realm := s.realm
			if realm == "" {
				realm = "https://" + name + "/token"
			}
			challenge = fmt.Sprintf(`Bearer realm="%s",service="standin",scope="repository:acme/shop:pull"`, realm)
		}
		w.Header().Set("WWW-Authenticate", challenge)
		http.Error(w, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`, http.StatusUnauthorized)
	case r.URL.Path == "/v2/":
	case strings.HasPrefix(r.URL.Path, "/v2/acme/shop/manifests/"):
		manifest, ok := s.manifests[path.Base(r.URL.Path)]
		if !ok {
			http.Error(w, `{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}`, http.StatusNotFound)
			return
		}
		w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
		_, _ = w.Write([]byte(manifest))
	case r.URL.Path != "/v2/acme/shop/tags/list":
		http.Error(w, `{"errors":[{"code":"NAME_UNKNOWN","message":"repository name not known to registry"}]}`, http.StatusNotFound)
	default:
		s.list(w, r)
	}
}

func (s *standin) allowed(r *http.Request) bool {
	user, given, _ := r.BasicAuth()
	switch s.auth {
	case "basic":
		return user == login.Username && given == password
	case "bearer":
		return r.Header.Get("Authorization") == "Bearer a-token-for:repository:acme/shop:pull"
	}
	return true
}

func (s *standin) list(w http.ResponseWriter, r *http.Request) {
	n, _ := strconv.Atoi(r.URL.Query().Get("n"))
	if s.page > 0 {
		n = min(n, s.page)
	}
	rest := s.tags
	if last := r.URL.Query().Get("last"); last != "" {
		i, _ := slices.BinarySearch(s.tags, last+"\x00")
		rest = s.tags[i:]
	}
	if n < len(rest) {
		rest = rest[:n]
		w.Header().Set("Link", fmt.Sprintf(`</v2/acme/shop/tags/list?n=%d&last=%s>; rel="next"`, n, rest[n-1]))
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"name": "acme/shop", "tags": rest})
}

func (s *standin) requests() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.seen, "\n")
}

// hostFiles are a host's files by their paths.
type hostFiles map[string]string

func (f hostFiles) Read(_ context.Context, file string) ([]byte, error) {
	text, ok := f[file]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return []byte(text), nil
}

func (f hostFiles) List(_ context.Context, dir string) (names []string, err error) {
	for file := range f {
		if path.Dir(file) == dir {
			names = append(names, path.Base(file))
		}
	}
	return names, nil
}

// trusting are the files of a host whose engine trusts the stand-in.
func (s *standin) trusting() hostFiles {
	return hostFiles{certsDir + "/" + name + "/ca.crt": s.authority()}
}

func (s *standin) authority() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))
}

// from is a host from which every address leads to the stand-in, but for those that are named.
func (s *standin) from(files hostFiles, settings state.RegistrySettings, others map[string]*standin) *Client {
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		to := s
		if other, ok := others[address]; ok {
			to = other
		}
		var d net.Dialer
		return d.DialContext(ctx, network, to.Listener.Addr().String())
	}
	quick := *patience.(*retry.GenericPolicy)
	quick.MinWait, quick.MaxWait = time.Millisecond, time.Millisecond
	return New(dial, Options{Host: "web-1", Files: files, policy: &quick,
		Settings: func(context.Context) (state.RegistrySettings, error) { return settings, nil }})
}
