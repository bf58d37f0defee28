package git_test

import (
	"bytes"
	"encoding/pem"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/kamald/kamald/drivers/git"
)

// The server is git's own, behind TLS and a login. At each request all processes of this machine are looked at.
func TestAPasswordOfTheAddressLogsInAndStandsInNoArgument(t *testing.T) {
	from := repository(t)
	commit(t, from)
	backend := filepath.Join(strings.TrimSpace(run(t, from, "--exec-path")), "git-http-backend")
	if _, err := os.Stat(backend); err != nil {
		t.Skip("git serves no HTTP here")
	}
	mine := fmt.Sprintf("hunter2-%d", rand.Uint64()) // whatever else runs on this machine knows another
	password := mine + "@/x"
	var requests, shown atomic.Int32
	files := &cgi.Handler{Path: backend, Env: []string{"GIT_PROJECT_ROOT=" + from, "GIT_HTTP_EXPORT_ALL=1", "REMOTE_USER=ada"}, InheritEnv: []string{"PATH", "GIT_CONFIG_GLOBAL"}}
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		arguments, _ := filepath.Glob("/proc/[0-9]*/cmdline")
		for _, path := range arguments {
			if text, err := os.ReadFile(path); err == nil && bytes.Contains(text, []byte(mine)) {
				shown.Add(1)
			}
		}
		if user, given, _ := r.BasicAuth(); user != "ada" || given != password {
			w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		requests.Add(1)
		files.ServeHTTP(w, r)
	}))
	defer server.Close()
	authority := filepath.Join(t.TempDir(), "ca.pem")
	must(t, os.WriteFile(authority, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600))
	t.Setenv("GIT_SSL_CAINFO", authority)
	host := strings.TrimPrefix(server.URL, "https://")

	r := git.Remote{URL: "https://ada:" + mine + "%40%2Fx@" + host + "/.git", Branch: "trunk", Dir: t.TempDir()}
	_, dir, err := git.Fetch(t.Context(), r)
	must(t, err)
	same(t, read(t, dir, "file"), "content")
	if requests.Load() == 0 || shown.Load() > 0 {
		t.Errorf("%d requests, and the password was in %d arguments", requests.Load(), shown.Load())
	}
	config := read(t, filepath.Join(filepath.Dir(dir), "repository.git"), "config")
	if strings.Contains(config, "hunter2") {
		t.Errorf("the password was written:\n%s", config)
	}

	r.URL = "https://ada:hunter3@" + host + "/.git"
	if _, _, err := git.Fetch(t.Context(), r); err == nil || strings.Contains(err.Error(), "hunter") || strings.Contains(err.Error(), "ada") ||
		!strings.Contains(err.Error(), "https://"+host) {
		t.Errorf("a wrong password: said %v", err)
	}
}
