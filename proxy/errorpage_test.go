package proxy

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// pagesDir makes a directory of files.
func pagesDir(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestErrorPagesAreShownForErrorsOfTheProxyAlone(t *testing.T) {
	f := startProxy(t)
	req := deployRequest("app", backend(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/own" {
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = io.WriteString(w, "the app's own")
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		panic(http.ErrAbortHandler)
	}), "app.test")
	req.TargetOptions.BufferRequests, req.TargetOptions.MaxRequestBodySize = true, 10
	req.Options.ErrorPagePath = pagesDir(t, map[string]string{
		"503.html": "<p>Down: {{ .Message }}</p>", "502.html": "<b>bad</b> {{.Status}} {{.StatusText}} {{.RequestID}}", "413.html": "too big",
		"style.css": "{{ broken", "404.txt": "no page",
	})
	f.deploy(req)
	f.expect("app.test", "/own", http.StatusServiceUnavailable, "the app's own")
	r := f.request(http.MethodGet, "app.test", "/", nil)
	r.Header.Set("X-Request-Id", "some-id")
	status, body, head := f.do(r)
	if status != http.StatusBadGateway || body != "<b>bad</b> 502 Bad Gateway some-id" || head.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Errorf("%d %q %v", status, body, head)
	}
	if status, body, _ := f.do(f.request(http.MethodPost, "app.test", "/", strings.NewReader("much too large"))); status != http.StatusRequestEntityTooLarge || body != "too big" {
		t.Errorf("%d %q", status, body)
	}
	if err := f.stop("app", 0, "<back> & soon"); err != nil {
		t.Fatal(err)
	}
	f.expect("app.test", "/", http.StatusServiceUnavailable, "<p>Down: &lt;back&gt; &amp; soon</p>")
	f.expect("other.test", "/", http.StatusNotFound, "No service")
}

func TestTheFormOfAnErrorSuitsTheClient(t *testing.T) {
	f := startProxy(t)
	req := deployRequest("app", backend(t, says("fine")), "app.test")
	req.Options.ErrorPagePath = pagesDir(t, map[string]string{"503.html": "page"})
	f.deploy(req)
	if err := f.stop("app", 0, `a "quoted" reason`); err != nil {
		t.Fatal(err)
	}
	for accept, wantJSON := range map[string]bool{
		"": false, "*/*": false, "text/html,application/xhtml+xml,application/json;q=0.5": false, "application/json": true,
		"application/vnd.api+json; q=0.9, */*": true, "text/plain": false,
	} {
		r := f.request(http.MethodGet, "app.test", "/", nil)
		r.Header.Set("Accept", accept)
		status, body, head := f.do(r)
		var got struct {
			Status         int
			Error, Message string
		}
		isJSON := json.Unmarshal([]byte(body), &got) == nil
		if status != http.StatusServiceUnavailable || isJSON != wantJSON || strings.Contains(head.Get("Content-Type"), "json") != wantJSON {
			t.Errorf("Accept %q: %d %q %v", accept, status, body, head)
		}
		if isJSON && (got.Status != 503 || got.Message != `a "quoted" reason` || got.Error != "Service Unavailable") {
			t.Errorf("Accept %q: %+v", accept, got)
		}
	}
	status, body, head := f.do(f.request(http.MethodHead, "app.test", "/", nil))
	if status != http.StatusServiceUnavailable || body != "" || head.Get("Content-Length") != "4" {
		t.Errorf("HEAD: %d %q %v", status, body, head)
	}
}

func TestErrorPagesThatCannotBeReadAreRefusedByName(t *testing.T) {
	f := startProxy(t)
	target := backend(t, says("old"))
	f.deploy(deployRequest("app", target, "app.test"))
	pipe := pagesDir(t, nil)
	if err := os.Mkdir(filepath.Join(pipe, "500.html"), 0o700); err != nil {
		t.Fatal(err)
	}
	for dir, want := range map[string]string{
		"/no/such/directory": "/no/such/directory",
		pagesDir(t, map[string]string{"503.html": "{{ .Message "}):                        "503.html",
		pagesDir(t, map[string]string{"503.html": "{{ .Nothing }}"}):                      "503.html",
		pagesDir(t, map[string]string{"503.html": strings.Repeat("x", errorPageBytes+1)}): "more than 1048576 bytes",
		pagesDir(t, map[string]string{"readme.txt": "x"}):                                 "no file in it has a name such as 503.html",
		pagesDir(t, manyPages()): "together",
		pipe:                     "no regular file",
	} {
		req := deployRequest("app", target, "app.test")
		req.Options.ErrorPagePath = dir
		if err := f.router.Deploy(t.Context(), req); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", dir, err, want)
		}
	}
	f.expect("app.test", "/", 200, "old")
}

func manyPages() map[string]string {
	files := map[string]string{}
	for _, name := range []string{"400", "401", "402", "403", "404", "405", "406", "407", "408"} {
		files[name+".html"] = strings.Repeat("x", errorPageBytes)
	}
	return files
}

func TestAServiceWhoseErrorPagesAreGoneIsRestored(t *testing.T) {
	f := startProxy(t)
	req := deployRequest("app", backend(t, says("fine")), "app.test")
	req.Options.ErrorPagePath = pagesDir(t, map[string]string{"503.html": "page"})
	f.deploy(req)
	if err := f.stop("app", 0, ""); err != nil {
		t.Fatal(err)
	}
	f = f.restart()
	f.expect("app.test", "/", http.StatusServiceUnavailable, "page")
	if err := os.RemoveAll(req.Options.ErrorPagePath); err != nil {
		t.Fatal(err)
	}
	f.expect("app.test", "/", http.StatusServiceUnavailable, "page") // kept in memory
	f = f.restart()
	f.expect("app.test", "/", http.StatusServiceUnavailable, "The service is stopped.")
	if err := f.resume("app"); err != nil {
		t.Fatal(err)
	}
	f.expect("app.test", "/", 200, "fine")
}

func TestOtherHostsAreRedirectedToTheCanonicalOne(t *testing.T) {
	f := startProxy(t)
	req := deployRequest("app", backend(t, says("fine")), "app.test", "www.app.test")
	req.Options.CanonicalHost = "app.test"
	f.deploy(req)
	f.expect("app.test", "/", 200, "fine")
	for _, c := range []struct {
		method, host, to string
		status           int
	}{
		{http.MethodGet, "www.app.test", "http://app.test/a%2fb//c?x=%20&y", http.StatusMovedPermanently},
		{http.MethodHead, "WWW.App.test:8080", "http://app.test:8080/a%2fb//c?x=%20&y", http.StatusMovedPermanently},
		{http.MethodPost, "www.app.test", "http://app.test/a%2fb//c?x=%20&y", http.StatusPermanentRedirect},
	} {
		status, _, head := f.do(f.request(c.method, c.host, "/a%2fb//c?x=%20&y", nil))
		if status != c.status || head.Get("Location") != c.to {
			t.Errorf("%s %s: %d to %s, want %d to %s", c.method, c.host, status, head.Get("Location"), c.status, c.to)
		}
	}
}

func TestHTTPSAndTheCanonicalHostAreOneRedirect(t *testing.T) {
	f := startProxy(t)
	req := deployRequest("app", backend(t, says("fine")), "app.test", "www.app.test")
	req.Options.TLSCertificatePath, req.Options.TLSPrivateKeyPath, _ = certificateFiles(t, "app.test")
	req.Options.TLSEnabled, req.Options.CanonicalHost = true, "app.test"
	f.deploy(req)
	status, _, head := f.do(f.request(http.MethodGet, "www.app.test:80", "/x?y=z", nil))
	if status != http.StatusMovedPermanently || head.Get("Location") != "https://app.test/x?y=z" {
		t.Errorf("%d to %s", status, head.Get("Location"))
	}
}

func TestCookiePathsGetTheStrippedPrefix(t *testing.T) {
	for line, want := range map[string]string{
		"a=b":                            "a=b; Path=/api",
		"a=b; Path=/":                    "a=b; Path=/api",
		"a=b; path=/admin/; HttpOnly":    "a=b; Path=/api/admin; HttpOnly",
		"a=b;PATH=/x;Partitioned":        "a=b; Path=/api/x;Partitioned",
		"a=b; Path=relative":             "a=b; Path=/api",
		"a=b; Path=/; Domain=app.test":   "a=b; Path=/api; Domain=app.test",
		"a=b; Domain=.App.test; Path=/":  "a=b; Domain=.App.test; Path=/api",
		"a=b; Path=/; Domain=other.test": "a=b; Path=/; Domain=other.test",
		`a="x y; Path=/z`:                `a="x y; Path=/api/z`,
		"":                               "; Path=/api",
	} {
		head := http.Header{"Set-Cookie": {line}}
		scopeCookies(head, "/api", "app.test")
		if got := head.Get("Set-Cookie"); got != want {
			t.Errorf("%q became %q, want %q", line, got, want)
		}
	}
	f := startProxy(t)
	req := deployRequest("app", backend(t, func(w http.ResponseWriter, _ *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "a", Value: "1", Path: "/"})
		http.SetCookie(w, &http.Cookie{Name: "b", Value: "2", Path: "/x"})
	}), "app.test")
	req.Options.PathPrefixes, req.TargetOptions.ScopeCookiePaths = []string{"/api", "/v2"}, true
	f.deploy(req)
	_, _, head := f.do(f.request(http.MethodGet, "app.test", "/v2/y", nil))
	if got := strings.Join(head["Set-Cookie"], " | "); got != "a=1; Path=/v2 | b=2; Path=/v2/x" {
		t.Errorf("cookies %s", got)
	}
}

func TestTheHealthCommandTellsWhetherTheProxyServes(t *testing.T) {
	p := newProgram(t)
	p.fails("the proxy does not run", "health")
	_, end := p.serve()
	if out := p.succeeds("health"); out != "serving\n" {
		t.Errorf("health printed %q", out)
	}
	if code, _ := end(); code != 0 {
		t.Errorf("exit %d", code)
	}
	p.fails("", "health")
}
