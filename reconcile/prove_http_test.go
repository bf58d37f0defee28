package reconcile

import "testing"

func TestAnHTTPCheckNamesHostPortAndPath(t *testing.T) {
	for text, want := range map[string]struct {
		host string
		port int
		path string
	}{
		":9000/up":                 {"", 9000, "/up"},
		"app.example.com:3000/a/b": {"app.example.com", 3000, "/a/b"},
		":80/":                     {"", 80, "/"},
	} {
		host, port, path := splitHTTP(text)
		if host != want.host || port != want.port || path != want.path {
			t.Errorf("%s: got %q %d %q", text, host, port, path)
		}
	}
}
