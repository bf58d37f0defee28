package docker

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// mischief answers in a registry's place, or not at all; false leaves the request to the registry.
type mischief func(w http.ResponseWriter, r *http.Request) bool

// testRegistry is a registry in this process.
type testRegistry struct {
	t        *testing.T
	e        *Engine
	server   *httptest.Server
	inner    http.Handler
	address  string // as engines name it
	mischief atomic.Pointer[mischief]
}

// newRegistry begins a registry on an address of this machine.
func newRegistry(t *testing.T, address string, secure bool) *testRegistry {
	t.Helper()
	r := &testRegistry{t: t, e: realEngine(t)}
	r.inner = registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	r.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		if meet := r.mischief.Load(); meet == nil || !(*meet)(w, request) {
			r.inner.ServeHTTP(w, request)
		}
	}))
	r.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	listener, err := net.Listen("tcp", net.JoinHostPort(address, "0"))
	if err != nil {
		t.Fatal(err)
	}
	_ = r.server.Listener.Close()
	r.server.Listener, r.address = listener, listener.Addr().String()
	if secure {
		r.server.StartTLS()
	} else {
		r.server.Start()
	}
	t.Cleanup(r.server.Close)
	return r
}

func (r *testRegistry) meets(do mischief) { r.mischief.Store(&do) }

// push puts an image there, or a list of one for each platform where there are several; it gives the digest.
func (r *testRegistry) push(repository string, platforms ...string) string {
	r.t.Helper()
	tag, err := name.NewTag(r.address+"/"+repository+":v1", name.Insecure)
	if err != nil {
		r.t.Fatal(err)
	}
	var images []mutate.IndexAddendum
	for _, text := range platforms {
		platform, err := v1.ParsePlatform(text)
		if err != nil {
			r.t.Fatal(err)
		}
		image, err := random.Image(2048, 1)
		if err != nil {
			r.t.Fatal(err)
		}
		config, err := image.ConfigFile()
		if err != nil {
			r.t.Fatal(err)
		}
		config = config.DeepCopy()
		config.OS, config.Architecture, config.Variant = platform.OS, platform.Architecture, platform.Variant
		if image, err = mutate.ConfigFile(image, config); err != nil {
			r.t.Fatal(err)
		}
		images = append(images, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: platform}})
	}
	ref := r.address + "/" + repository
	r.t.Cleanup(func() { r.forget(ref) })
	if len(images) > 1 {
		index := mutate.AppendManifests(empty.Index, images...)
		if err := remote.WriteIndex(tag, index); err != nil {
			r.t.Fatal(err)
		}
		digest, err := index.Digest()
		if err != nil {
			r.t.Fatal(err)
		}
		return digest.String()
	}
	image := images[0].Add.(v1.Image)
	if err := remote.Write(tag, image); err != nil {
		r.t.Fatal(err)
	}
	digest, err := image.Digest()
	if err != nil {
		r.t.Fatal(err)
	}
	return digest.String()
}

// forget takes what was pulled of a repository out of the engine.
func (r *testRegistry) forget(repository string) {
	ctx := context.WithoutCancel(r.t.Context())
	list, err := r.e.Images(ctx, repository)
	for _, image := range list {
		for _, ref := range slices.Concat(image.Tags, image.Digests) {
			err = errors.Join(err, r.e.RemoveImage(ctx, ref))
		}
	}
	if err != nil {
		r.t.Errorf("what was pulled stays: %v", err)
	}
}

func TestAListForSeveralPlatformsIsPulledByItsOwnDigestOnAnyOfThem(t *testing.T) {
	r := newRegistry(t, "127.0.0.1", false)
	info, err := r.e.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	digest := r.push("acme/several", "linux/amd64", "linux/arm64", "linux/arm/v7")
	ref := r.address + "/acme/several"
	found, err := r.e.Manifest(t.Context(), ref+":v1", release.Auth{})
	if err != nil || found.Digest != digest || !slices.Equal(found.Platforms, []string{"linux/amd64", "linux/arm64", "linux/arm/v7"}) {
		t.Fatalf("%+v, %v; the list is %s", found, err, digest)
	}
	if err := r.e.Pull(t.Context(), ref+"@"+digest, "", release.Auth{}); err != nil {
		t.Fatal(err)
	}
	image, err := r.e.Image(t.Context(), ref+"@"+digest)
	if err != nil || !slices.Contains(image.Digests, ref+"@"+digest) || image.Arch != info.Arch {
		t.Errorf("what came is %+v, %v", image, err)
	}
	foreign := map[string]string{"amd64": "arm64"}[info.Arch]
	if foreign == "" {
		foreign = "amd64"
	}
	emulated := r.push("acme/emulated", "linux/"+foreign, "linux/s390x")
	if err := r.e.Pull(t.Context(), r.address+"/acme/emulated@"+emulated, "linux/"+foreign, release.Auth{}); err != nil {
		t.Fatal(err)
	}
	if image, err := r.e.Image(t.Context(), r.address+"/acme/emulated@"+emulated); err != nil || image.Arch != foreign {
		t.Errorf("for linux/%s came %+v, %v", foreign, image, err)
	}
	alone := r.push("acme/alone", "linux/arm64")
	found, err = r.e.Manifest(t.Context(), r.address+"/acme/alone@"+alone, release.Auth{})
	if err != nil || found.Digest != alone || !slices.Equal(found.Platforms, []string{"linux/arm64"}) {
		t.Errorf("an image for one platform: %+v, %v", found, err)
	}
}

// answers is a mischief that answers what is about a kind of thing ("manifests", "blobs", "" for all) with a status and a code.
func answers(kind string, status int, code string) mischief {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.Path, "/"+kind) {
			return false
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, `{"errors":[{"code":"`+code+`","message":"as the registry says it"}]}`)
		return true
	}
}

// asksWho wants a password, as registries with basic authentication do.
func asksWho(password string) mischief {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if _, given, _ := r.BasicAuth(); given == password {
			return false
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
		return answers("", http.StatusUnauthorized, "UNAUTHORIZED")(w, r)
	}
}

func TestWhatARegistryIsAtFaultForIsKnown(t *testing.T) {
	r := newRegistry(t, "127.0.0.1", false)
	foreign := "linux/arm64"
	if info, err := r.e.Info(t.Context()); err != nil || info.Arch == "arm64" {
		foreign = "linux/amd64"
	}
	digest := r.push("acme/shop", "linux/amd64")
	r.push("acme/other", foreign, "linux/s390x")
	ref := r.address + "/acme/shop"
	auth := release.Auth{Server: r.address, Username: "deploy", Password: release.NewSecret("wrong-4f4f")}
	for name, c := range map[string]struct {
		meets    mischief
		ref      string
		want     state.RegistryFault
		kind     error
		onlyPull bool
	}{
		"another password":         {meets: asksWho("right"), ref: ref + "@" + digest, want: state.FaultDenied, kind: state.ErrDenied},
		"a tag that is not there":  {ref: ref + ":none", want: state.FaultReference, kind: state.ErrNotFound},
		"a digest that is gone":    {ref: ref + "@sha256:" + strings.Repeat("0", 64), want: state.FaultReference, kind: state.ErrNotFound},
		"too many requests":        {meets: answers("manifests/", http.StatusTooManyRequests, "TOOMANYREQUESTS"), ref: ref + ":v1", want: state.FaultLimit},
		"an error of its own":      {meets: answers("manifests/", http.StatusServiceUnavailable, "UNAVAILABLE"), ref: ref + ":v1", want: state.FaultBroken},
		"a registry that is down":  {ref: "127.0.0.1:1/acme/shop:v1", want: state.FaultUnreached},
		"a name that is no host's": {ref: "nowhere.invalid/acme/shop:v1", want: state.FaultName},
		"no image for the engine":  {ref: r.address + "/acme/other:v1", want: state.FaultPlatform, onlyPull: true},
	} {
		t.Run(name, func(t *testing.T) {
			r.mischief.Store(nil)
			if c.meets != nil {
				r.meets(c.meets)
			}
			_, asked := r.e.Manifest(t.Context(), c.ref, auth)
			pulled := r.e.Pull(t.Context(), c.ref, "", auth)
			if c.onlyPull {
				asked = pulled
			}
			for _, err := range []error{asked, pulled} {
				fault, ok := errors.AsType[*state.RegistryError](err)
				switch {
				case !ok || fault.Fault != c.want || !strings.HasPrefix(c.ref, fault.Registry+"/"):
					t.Errorf("it is %+v: %v", fault, err)
				case c.kind != nil && !errors.Is(err, c.kind):
					t.Errorf("it is not %v: %v", c.kind, err)
				case !strings.Contains(err.Error(), c.ref) || strings.Contains(err.Error(), auth.Password.Reveal()):
					t.Errorf("it does not say what was asked for, or says the password: %v", err)
				}
			}
		})
	}
}

func TestALayerThatIsDamagedOnTheWayIsRefused(t *testing.T) {
	r := newRegistry(t, "127.0.0.1", false)
	digest := r.push("acme/shop", "linux/amd64")
	ref := r.address + "/acme/shop@" + digest
	r.meets(func(w http.ResponseWriter, request *http.Request) bool {
		recorded := httptest.NewRecorder()
		r.inner.ServeHTTP(recorded, request)
		body := recorded.Body.Bytes()
		if strings.Contains(request.URL.Path, "/blobs/") && len(body) > 1024 {
			body[len(body)/2] ^= 1
		}
		for key, values := range recorded.Header() {
			w.Header()[key] = values
		}
		w.WriteHeader(recorded.Code)
		_, _ = w.Write(body)
		return true
	})
	err := r.e.Pull(t.Context(), ref, "", release.Auth{})
	if fault, ok := errors.AsType[*state.RegistryError](err); !ok || fault.Fault != state.FaultDamaged || fault.Registry != r.address {
		t.Errorf("it is %+v: %v", fault, err)
	}
	if image, err := r.e.Image(t.Context(), ref); !errors.Is(err, state.ErrNotFound) {
		t.Errorf("the engine has %+v, %v", image, err)
	}
	r.mischief.Store(nil)
	if err := r.e.Pull(t.Context(), ref, "", release.Auth{}); err != nil {
		t.Errorf("whole again: %v", err)
	}
}

// An engine wants a certificate that it trusts of every registry that is not on its own machine's loopback.
func TestARegistryThatTheEngineDoesNotTrustIsKnown(t *testing.T) {
	address := ""
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addresses {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && !n.IP.IsLoopback() {
			address = n.IP.String()
		}
	}
	if address == "" {
		t.Skip("NOT RUN: this machine has no address but its loopback's")
	}
	for want, secure := range map[state.RegistryFault]bool{state.FaultPlain: false, state.FaultCertificate: true} {
		r := newRegistry(t, address, secure)
		_, asked := r.e.Manifest(t.Context(), r.address+"/acme/shop:v1", release.Auth{})
		for _, err := range []error{asked, r.e.Pull(t.Context(), r.address+"/acme/shop:v1", "", release.Auth{})} {
			if fault, ok := errors.AsType[*state.RegistryError](err); !ok || fault.Fault != want {
				t.Errorf("%s: it is %+v: %v", want, fault, err)
			}
		}
	}
}

// What cannot be had here, in the words of engines and registries elsewhere.
func TestTheWordsOfOtherEnginesAndRegistriesAreKnown(t *testing.T) {
	e := New(DialLocal, Options{Host: "web-1"})
	for words, want := range map[string]state.RegistryFault{
		"toomanyrequests: You have reached your unauthenticated pull rate limit. https://www.docker.com/increase-rate-limit":                      state.FaultLimit,
		"pull access denied for acme/shop, repository does not exist or may require 'docker login': denied: requested access is denied":           state.FaultDenied,
		"denied: Your authorization token has expired. Reauthenticate and try again.":                                                             state.FaultDenied,
		"denied: Unauthenticated request. Unauthenticated requests do not have permission \"artifactregistry.repositories.downloadArtifacts\"":    state.FaultDenied,
		"failed to resolve reference \"r.example.com/a:v1\": unexpected status from HEAD request to https://r.example.com/v2/a/manifests/v1: 503": state.FaultBroken,
		"name unknown: The repository with name 'acme/shop' does not exist in the registry with id '123456789012'":                                state.FaultRepository,
		"no match for platform in manifest: not found":                                                                                            state.FaultPlatform,
		"unexpected commit digest sha256:aa, expected sha256:bb: failed precondition":                                                             state.FaultDamaged,
		"failed to register layer: write /usr/lib/x: no space left on device":                                                                     state.FaultRoom,
		"Get \"https://r.example.com/v2/\": net/http: request canceled (Client.Timeout exceeded while awaiting headers)":                          state.FaultUnreached,
		"Get \"https://r.example.com/v2/\": tls: failed to verify certificate: x509: certificate has expired":                                     state.FaultCertificate,
		"Get \"https://r.example.com/v2/\": dial tcp: lookup r.example.com on 127.0.0.53:53: read: connection refused":                            state.FaultUnreached,
		"Get \"https://r.example.com/v2/\": dial tcp: lookup r.example.com on 127.0.0.53:53: server misbehaving":                                  state.FaultUnreached,
		"Get \"https://r.example.com/v2/\": dial tcp: lookup r.example.com on 10.0.0.2:53: read udp 10.0.0.9:41->10.0.0.2:53: i/o timeout":        state.FaultUnreached,
		"Get \"https://r.example.com/v2/\": dial tcp: lookup r.example.com: Temporary failure in name resolution":                                 state.FaultUnreached,
		"Get \"https://r.example.com/v2/\": dial tcp: lookup r.example.com on 127.0.0.53:53: no such host":                                        state.FaultName,
		"no such container: shop": "",
	} {
		fault, _ := errors.AsType[*state.RegistryError](e.registryFailure(errors.New(words), "r.example.com/a:v1", "pull"))
		if got := state.RegistryFault(""); fault != nil && fault.Fault != want || fault == nil && want != got {
			t.Errorf("%q is %+v, want %q", words, fault, want)
		}
	}
}
