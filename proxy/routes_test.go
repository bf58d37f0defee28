package proxy

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestRequestsGoByExactHostThenWildcardThenAnyAndByLongestPrefix(t *testing.T) {
	f := startProxy(t)
	deploy := func(name string, hosts, prefixes []string) {
		req := deployRequest(name, backend(t, says(name)), hosts...)
		req.Options.PathPrefixes = prefixes
		f.deploy(req)
	}
	deploy("root", []string{"app.test"}, nil)
	deploy("api", []string{"app.test"}, []string{"api/"})
	deploy("v2", []string{"app.test"}, []string{"/api/v2"})
	deploy("wild", []string{"*.wild.test"}, nil)
	deploy("only", []string{"only.test"}, []string{"/in"})
	f.expect("nobody.test", "/", http.StatusNotFound, "No service")
	deploy("any", nil, nil)
	for _, c := range []struct {
		host, path string
		status     int
		body       string
	}{
		{"app.test", "/", 200, "root"},
		{"APP.test.:1234", "/apix", 200, "root"},
		{"app.test", "/api", 200, "api"},
		{"app.test", "/api/v20", 200, "api"},
		{"app.test", "/api/v2/x", 200, "v2"},
		{"app.test", "/%61pi/v2", 200, "v2"},
		{"app.test", "/api%2Fv2", 200, "root"},
		{"a.wild.test", "/", 200, "wild"},
		{"a.b.wild.test", "/", 200, "any"},
		{"wild.test", "/", 200, "any"},
		{"only.test", "/in/x", 200, "only"},
		{"only.test", "/out", 404, "No service"},
		{"127.0.0.1", "/", 200, "any"},
	} {
		f.expect(c.host, c.path, c.status, c.body)
	}
}

func TestAHostAndPrefixOfAnotherServiceIsRefusedWithItsName(t *testing.T) {
	f := startProxy(t)
	f.deploy(deployRequest("owner", backend(t, says("owner")), "a.test", "b.test"))
	err := f.router.Deploy(t.Context(), deployRequest("thief", backend(t, says("thief")), "c.test", "B.test"))
	if err == nil || !strings.Contains(err.Error(), "host settings conflict with another service") || !strings.Contains(err.Error(), "host b.test with path / belongs to service owner") {
		t.Errorf("the conflict said %v", err)
	}
	f.expect("b.test", "/", 200, "owner")
	f.expect("c.test", "/", 404, "")

	if err := f.remove("owner"); err != nil {
		t.Fatal(err)
	}
	f.deploy(deployRequest("thief", backend(t, says("thief")), "b.test"))
	f.expect("b.test", "/", 200, "thief")
	f.expect("a.test", "/", 404, "")
}

func TestAPrefixIsStrippedWithoutTouchingTheEscapesBelowIt(t *testing.T) {
	f := startProxy(t)
	echo := func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte(r.RequestURI)) }
	req := deployRequest("app", backend(t, echo), "app.test")
	req.Options.PathPrefixes = []string{"/api", "/deep/er"}
	f.deploy(req)
	for path, want := range map[string]string{
		"/api":                   "/",
		"/api/":                  "/",
		"/api/a%2Fb":             "/a%2Fb",
		"/%61pi/a%20b%2f?q=1;2":  "/a%20b%2f?q=1;2",
		"/deep/er/x?a=%zz&b=%2F": "/x?a=%zz&b=%2F",
	} {
		if _, got := f.get("app.test", path); got != want {
			t.Errorf("%s reached the target as %s, want %s", path, got, want)
		}
	}
	req.Options.StripPrefix = false
	f.deploy(req)
	f.expect("app.test", "/api/a%2Fb", 200, "/api/a%2Fb")
}

func FuzzWhatIsLeftOfAPathIsASuffixOfIt(f *testing.F) {
	f.Add("/api/a%2Fb", "/api")
	f.Add("/%61pi", "/api")
	f.Add("/api%", "/api")
	f.Fuzz(func(t *testing.T, path, prefix string) {
		u, err := url.ParseRequestURI(path)
		if err != nil || !strings.HasPrefix(prefix, "/") || prefix == "/" {
			t.Skip()
		}
		_, raw, ok := cutPrefix(u, strings.TrimRight(prefix, "/"))
		if ok && raw != "/" && !strings.HasSuffix(u.EscapedPath(), raw) {
			t.Errorf("%q without %q is %q", path, prefix, raw)
		}
	})
}
