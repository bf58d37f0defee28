package e2e

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// githubCache stands in for the cache service of GitHub's actions (version 1 of its interface), which is nowhere else: BuildKit on a
// lab host writes to it and reads from it. It keeps what was committed, by key.
type githubCache struct {
	url string

	mu        sync.Mutex
	parts     [][]byte // by the number that was given out for them, from 1
	keys      []string // of the parts
	committed map[string][]byte
	given     int // entries that were read again
}

// startGithubCache serves on the lab's own network until the test ends.
func startGithubCache(t *testing.T, f *fixture) *githubCache {
	t.Helper()
	gateway := f.host(1).Address[:strings.LastIndex(f.host(1).Address, ".")] + ".1"
	listener, err := net.Listen("tcp", net.JoinHostPort(gateway, "0"))
	if err != nil {
		t.Fatal(err)
	}
	c := &githubCache{url: "http://" + listener.Addr().String() + "/", committed: map[string][]byte{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /_apis/artifactcache/cache", c.find)
	mux.HandleFunc("POST /_apis/artifactcache/caches", c.reserve)
	mux.HandleFunc("PATCH /_apis/artifactcache/caches/{id}", c.upload)
	mux.HandleFunc("POST /_apis/artifactcache/caches/{id}", c.commit)
	mux.HandleFunc("GET /entry", c.entry)
	s := &httptest.Server{Listener: listener, Config: &http.Server{Handler: mux}}
	s.Start()
	t.Cleanup(s.Close)
	return c
}

// token is what a runner gives to its steps: a web token that nobody checks here.
func (c *githubCache) token() string {
	part := func(value any) string {
		data, _ := json.Marshal(value) // of texts and numbers
		return base64.RawURLEncoding.EncodeToString(data)
	}
	now := time.Now()
	return part(map[string]string{"alg": "HS256", "typ": "JWT"}) + "." + part(map[string]any{
		"ac": `[{"Scope":"refs/heads/main","Permission":3}]`, "nbf": now.Add(-time.Hour).Unix(), "exp": now.Add(time.Hour).Unix()}) + "." + part("nobody checks")
}

// find gives the entry of the first key that there is, or begins so.
func (c *githubCache) find(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, wanted := range strings.Split(r.URL.Query().Get("keys"), ",") {
		for key := range c.committed {
			if strings.HasPrefix(key, wanted) {
				_ = json.NewEncoder(w).Encode(map[string]string{"cacheKey": key, "scope": "refs/heads/main", "archiveLocation": c.url + "entry?key=" + key})
				return
			}
		}
	}
	w.WriteHeader(http.StatusNoContent)
}

func (c *githubCache) reserve(w http.ResponseWriter, r *http.Request) {
	var asked struct{ Key string }
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keys, c.parts = append(c.keys, asked.Key), append(c.parts, nil)
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(map[string]int{"cacheID": len(c.parts)})
}

// upload takes a range of an entry.
func (c *githubCache) upload(w http.ResponseWriter, r *http.Request) {
	var from, to int
	data, err := io.ReadAll(r.Body)
	if _, scanned := fmt.Sscanf(r.Header.Get("Content-Range"), "bytes %d-%d", &from, &to); err != nil || scanned != nil || to-from+1 != len(data) {
		http.Error(w, "no such range", http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	n, err := strconv.Atoi(r.PathValue("id"))
	if err != nil || n < 1 || n > len(c.parts) {
		http.NotFound(w, r)
		return
	}
	for len(c.parts[n-1]) <= to {
		c.parts[n-1] = append(c.parts[n-1], make([]byte, to+1-len(c.parts[n-1]))...)
	}
	copy(c.parts[n-1][from:], data)
	w.WriteHeader(http.StatusNoContent)
}

func (c *githubCache) commit(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, err := strconv.Atoi(r.PathValue("id"))
	if err != nil || n < 1 || n > len(c.parts) {
		http.NotFound(w, r)
		return
	}
	c.committed[c.keys[n-1]] = c.parts[n-1]
	w.WriteHeader(http.StatusNoContent)
}

func (c *githubCache) entry(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	data := c.committed[r.URL.Query().Get("key")]
	c.given++
	c.mu.Unlock()
	http.ServeContent(w, r, "", time.Time{}, strings.NewReader(string(data)))
}

// buildsFromGithubsCache builds as a runner of GitHub's does, whose variables say where the cache is.
func buildsFromGithubsCache(f *fixture, build func(string)) {
	c := startGithubCache(f.t, f)
	f.env = append(f.env, "ACTIONS_CACHE_URL="+c.url, "ACTIONS_RUNTIME_TOKEN="+c.token())
	buildsFromCache("gha", "    options = \"mode=max\"\n")(f, build)
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.committed) == 0 || c.given == 0 {
		f.t.Errorf("%d entries were written, and %d read", len(c.committed), c.given)
	}
}
