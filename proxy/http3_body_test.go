package proxy

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// forgetful is an app that closes a connection without a word when a second request comes on it, as one whose keep-alive time is
// just over.
func forgetful(t *testing.T) (address string, closed *atomic.Int32) {
	t.Helper()
	closed = new(atomic.Int32)
	type requests struct{}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Context().Value(requests{}).(*atomic.Int32).Add(1) > 1 {
			closed.Add(1)
			panic(http.ErrAbortHandler)
		}
		body, _ := io.ReadAll(r.Body)
		_, _ = io.WriteString(w, r.Method+" "+string(body))
	}))
	s.Config.ConnContext = func(ctx context.Context, _ net.Conn) context.Context {
		return context.WithValue(ctx, requests{}, new(atomic.Int32))
	}
	s.Start()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String(), closed
}

func TestARequestWithoutABodyIsSentAgainWhateverItCameBy(t *testing.T) {
	address, closed := forgetful(t)
	f, roots := startHTTP3(t, says(""))
	cert, key, _ := certificateFiles(t, "plain.test")
	plain := ownCertificate("plain", address, cert, key, "plain.test")
	plain.Options.TLSRedirect = false
	f.deploy(plain)
	f.deploy(moved(f, address))
	for name, client := range map[string]*http.Client{"HTTP/1": f.client, "HTTP/3": http3Client(t, f, roots)} {
		before := closed.Load()
		url := "https://app.test/"
		if client == f.client {
			url = "http://" + f.address() + "/"
		}
		for range 3 {
			r, err := http.NewRequest(http.MethodGet, url, nil)
			if err != nil {
				t.Fatal(err)
			}
			if client == f.client {
				r.Host = "plain.test"
			}
			resp, err := client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if resp.StatusCode != 200 || string(body) != "GET " {
				t.Errorf("over %s: %d %q", name, resp.StatusCode, body)
			}
		}
		if closed.Load() == before {
			t.Errorf("over %s no connection was met that the app had closed", name)
		}
	}
}

// moved is a deploy of the service app with the options that it has, to another target.
func moved(f *fixture, target string) DeployRequest {
	f.t.Helper()
	i, err := f.router.Inspect("app")
	if err != nil {
		f.t.Fatal(err)
	}
	return DeployRequest{Service: "app", Targets: []string{target}, Options: i.Options, TargetOptions: i.TargetOptions,
		DeployTimeout: patience, DrainTimeout: patience}
}

func TestABodyOfAGETOverHTTP3IsPassedOn(t *testing.T) {
	f, roots := startHTTP3(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, _ = w.Write(body)
	})
	client := http3Client(t, f, roots)
	r, err := http.NewRequest(http.MethodGet, "https://app.test/", io.MultiReader(strings.NewReader("query"), strings.NewReader(" and more")))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); string(body) != "query and more" {
		t.Errorf("the app got %q", body)
	}
}
