package docker

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

const pushPassword = "walrus-umbrella-kestrel"

// privateRegistry is a registry in this process that asks for a password; what it was asked for is in requests.
func privateRegistry(t *testing.T) (server string, requests func() []string) {
	t.Helper()
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	var (
		mu   sync.Mutex
		seen []string
	)
	served := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name, password, _ := r.BasicAuth(); name != "deploy" || password != pushPassword {
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(w, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`)
			return
		}
		mu.Lock()
		seen = append(seen, r.Method+" "+r.URL.Path)
		mu.Unlock()
		inner.ServeHTTP(w, r)
	}))
	t.Cleanup(served.Close)
	return served.Listener.Addr().String(), func() []string {
		mu.Lock()
		defer mu.Unlock()
		return append([]string(nil), seen...)
	}
}

func TestAPushGivesTheDigestThatTheRegistryHas(t *testing.T) {
	e, ctx := realEngine(t), t.Context()
	withImage(t, e)
	server, requests := privateRegistry(t)
	ref := server + "/acme/shop:v1"
	if err := e.Tag(ctx, testImage, ref); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = e.RemoveImage(ctx, ref) }()
	auth := release.Auth{Server: server, Username: "deploy", Password: release.NewSecret(pushPassword)}
	var told []string
	digest, err := e.Push(ctx, ref, auth, func(line string) { told = append(told, line) })
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(digest, "sha256:") || len(told) == 0 || strings.Contains(strings.Join(told, "\n"), pushPassword) {
		t.Errorf("digest %q, told %q", digest, told)
	}
	if image, err := e.Image(ctx, ref); err != nil || len(image.Digests) != 1 || image.Digests[0] != server+"/acme/shop@"+digest {
		t.Errorf("the engine knows %v, %v; pushed %s", image.Digests, err, digest)
	}
	before := len(requests())
	again, err := e.Push(ctx, ref, auth, nil)
	if err != nil || again != digest {
		t.Errorf("again: %s, %v", again, err)
	}
	for _, r := range requests()[before:] {
		if strings.HasPrefix(r, "PATCH") || strings.HasPrefix(r, "POST") {
			t.Errorf("a layer that is there is sent again: %s", r)
		}
	}
}

func TestAPushThatIsRefusedSaysSoWithoutThePassword(t *testing.T) {
	e, ctx := realEngine(t), t.Context()
	withImage(t, e)
	server, _ := privateRegistry(t)
	ref := server + "/acme/shop:v1"
	if err := e.Tag(ctx, testImage, ref); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = e.RemoveImage(ctx, ref) }()
	if _, err := e.Push(ctx, ref, release.Auth{}, nil); !errors.Is(err, state.ErrDenied) || !strings.Contains(err.Error(), "push "+ref) {
		t.Errorf("nobody: %v", err)
	}
	auth := release.Auth{Server: server, Username: "deploy", Password: release.NewSecret(pushPassword)}
	if err := e.Login(ctx, auth); err != nil {
		t.Errorf("the right password: %v", err)
	}
	auth.Password = release.NewSecret(pushPassword + "x")
	if err := e.Login(ctx, auth); !errors.Is(err, state.ErrDenied) || !strings.Contains(err.Error(), "log in at "+server) || strings.Contains(err.Error(), pushPassword) {
		t.Errorf("another: %v", err)
	}
	if _, err := e.Push(ctx, server+"/acme/gone:v1", release.Auth{}, nil); !errors.Is(err, state.ErrNotFound) {
		t.Errorf("an image that is not there: %v", err)
	}
}

// The error of a push comes in its stream, after an answer of success; so does the end of a connection.
func TestAPushIsDoneWhenItsStreamSaysSo(t *testing.T) {
	const layer = `{"status":"Preparing","id":"a1b2"}{"status":"Pushing","progressDetail":{"current":1,"total":2},"progress":"[=>]","id":"a1b2"}{"status":"Pushed","id":"a1b2"}`
	for name, c := range map[string]struct{ stream, digest, err string }{
		"done":           {layer + `{"status":"v1: digest: sha256:ab size: 7"}{"progressDetail":{},"aux":{"Tag":"v1","Digest":"sha256:ab","Size":7}}`, "sha256:ab", ""},
		"refused":        {layer + `{"errorDetail":{"message":"denied: requested access to the resource is denied"},"error":"denied"}`, "", "denied"},
		"without digest": {layer, "", "not with which digest"},
		"cut":            {layer + `{"status":`, "", "unexpected EOF"},
	} {
		var told []string
		digest, err := pushed(strings.NewReader(c.stream), func(line string) { told = append(told, line) })
		if digest != c.digest || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %q, %v", name, digest, err)
		}
		if len(told) < 2 || told[0] != "a1b2: Preparing" || told[1] != "a1b2: Pushed" {
			t.Errorf("%s: told %q", name, told)
		}
	}
}
