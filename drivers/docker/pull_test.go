package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// pipes is a listener whose connections are pipes: virtual time passes while nobody writes.
type pipes struct {
	conns chan net.Conn
	over  chan struct{}
	once  sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.conns:
		return conn, nil
	case <-p.over:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.over) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: DefaultSocket, Net: "unix"} }

func (p *pipes) dial(context.Context, string, string) (net.Conn, error) {
	here, there := net.Pipe()
	p.conns <- there
	return here, nil
}

// pullingEngine answers each pull as it is told.
func pullingEngine(t *testing.T, pull func(r *http.Request, say func(format string, args ...any))) *Engine {
	t.Helper()
	p := &pipes{conns: make(chan net.Conn), over: make(chan struct{})}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/images/create") {
			w.Header().Set("Api-Version", "1.41")
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		pull(r, func(format string, args ...any) {
			_, _ = fmt.Fprintf(w, format+"\r\n", args...)
			w.(http.Flusher).Flush()
		})
	})}
	go func() { _ = server.Serve(p) }()
	e := New(p.dial, Options{Host: "web-1"})
	t.Cleanup(func() {
		_ = e.Close()
		_ = server.Close()
	})
	return e
}

const somewhere = "registry.example.com/acme/shop@sha256:0000000000000000000000000000000000000000000000000000000000000000"

func TestAPullTakesAsLongAsItGetsAnyFurther(t *testing.T) {
	for name, pull := range map[string]func(say func(string, ...any)){
		"a slow line": func(say func(string, ...any)) {
			for n := range 200 {
				time.Sleep(time.Minute)
				say(`{"status":"Downloading","progressDetail":{"current":%d,"total":400},"id":"aa"}`, n+1)
			}
		},
		"an engine that is silent while it unpacks": func(say func(string, ...any)) {
			say(`{"status":"Pulling from acme/shop","id":"v1"}`)
			say(`{"status":"Pulling fs layer","progressDetail":{},"id":"aa"}`)
			say(`{"status":"Already exists","progressDetail":{},"id":"bb"}`)
			say(`{"status":"Download complete","progressDetail":{},"id":"aa"}`)
			time.Sleep(14 * time.Minute)
			say(`{"status":"Pull complete","progressDetail":{},"id":"aa"}`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := pullingEngine(t, func(_ *http.Request, say func(string, ...any)) { pull(say) })
				if err := e.Pull(t.Context(), somewhere, "", release.Auth{}); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestAPullTellsHowMuchHasCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := pullingEngine(t, func(_ *http.Request, say func(string, ...any)) {
			say(`{"status":"Pulling from acme/shop","id":"v1"}`)
			for _, id := range []string{"aa", "bb"} {
				say(`{"status":"Pulling fs layer","progressDetail":{},"id":"%s"}`, id)
			}
			say(`{"status":"Already exists","progressDetail":{},"id":"cc"}`)
			say(`{"status":"Downloading","progressDetail":{"current":100,"total":300},"id":"aa"}`)
			say(`{"status":"Downloading","progressDetail":{"current":50,"total":100},"id":"bb"}`)
			say(`{"status":"Download complete","progressDetail":{},"id":"bb"}`)
			say(`{"status":"Downloading","progressDetail":{"current":290,"total":300},"id":"aa"}`)
			say(`{"status":"Download complete","progressDetail":{},"id":"aa"}`)
			say(`{"status":"Pull complete","progressDetail":{},"id":"aa"}`)
		})
		var told []string
		ctx := state.WithPulled(t.Context(), func(come, total int64) { told = append(told, fmt.Sprintf("%d/%d", come, total)) })
		if err := e.Pull(ctx, somewhere, "", release.Auth{}); err != nil {
			t.Fatal(err)
		}
		// Until every layer has begun, nobody knows how much there is in all.
		if want := []string{"100/0", "150/400", "200/400", "390/400", "400/400", "400/400"}; !slices.Equal(told, want) {
			t.Errorf("it told %q, want %q", told, want)
		}
	})
}

func TestAPullThatDoesNotGetAnyFurtherIsGivenUp(t *testing.T) {
	for name, c := range map[string]struct {
		pull  func(r *http.Request, say func(string, ...any))
		after time.Duration
		fault state.RegistryFault // "": it is not the registry's
		says  string
	}{
		"no answer": {func(r *http.Request, _ func(string, ...any)) { <-r.Context().Done() }, pullSilence, state.FaultStalled,
			"web-1: pull " + somewhere + ": nothing of it came within 2m0s"},
		"the line has died": {func(r *http.Request, say func(string, ...any)) {
			say(`{"status":"Pulling from acme/shop","id":"v1"}`)
			say(`{"status":"Download complete","progressDetail":{},"id":"aa"}`)
			say(`{"status":"Downloading","progressDetail":{"current":512,"total":1024},"id":"bb"}`)
			<-r.Context().Done()
		}, pullSilence, state.FaultStalled, "nothing more of it came for 2m0s, after 512 bytes"},
		"an engine that repeats itself": {func(r *http.Request, say func(string, ...any)) {
			for r.Context().Err() == nil {
				say(`{"status":"Downloading","progressDetail":{"current":512,"total":1024},"id":"aa"}`)
				select {
				case <-time.After(100 * time.Millisecond):
				case <-r.Context().Done():
				}
			}
		}, pullSilence, state.FaultStalled, "after 512 bytes"},
		"an engine that does not unpack": {func(r *http.Request, say func(string, ...any)) {
			say(`{"status":"Download complete","progressDetail":{},"id":"aa"}`)
			<-r.Context().Done()
		}, unpackSilence, "", "the engine has said nothing for 15m0s while it unpacks: look at its disk and its log"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e, began := pullingEngine(t, c.pull), time.Now()
				err := e.Pull(t.Context(), somewhere, "", release.Auth{})
				if took := time.Since(began); err == nil || took < c.after || took > c.after+time.Second || !strings.Contains(err.Error(), c.says) {
					t.Errorf("after %s: %v", took, err)
				}
				fault, _ := errors.AsType[*state.RegistryError](err)
				if c.fault == "" && fault != nil || c.fault != "" && (fault == nil || fault.Fault != c.fault || fault.Registry != "registry.example.com" || !fault.Fault.Passing()) {
					t.Errorf("it is %+v", fault)
				}
				if errors.Is(err, state.ErrUnreachable) {
					t.Errorf("the host is taken for lost: %v", err)
				}
			})
		})
	}
}

func TestAPullThatIsCancelledIsNotTakenForASilentOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := pullingEngine(t, func(r *http.Request, _ func(string, ...any)) { <-r.Context().Done() })
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err := e.Pull(ctx, somewhere, "", release.Auth{})
		if fault, ok := errors.AsType[*state.RegistryError](err); err == nil || ok {
			t.Errorf("it is %+v: %v", fault, err)
		}
	})
}

func TestAPullAsksForAPlatformWhereOneIsGiven(t *testing.T) {
	for platform, want := range map[string]string{"": "", "linux/arm64": "linux/arm64", "linux/arm/v7": "linux/arm/v7"} {
		synctest.Test(t, func(t *testing.T) {
			var asked string
			e := pullingEngine(t, func(r *http.Request, _ func(string, ...any)) { asked = r.URL.Query().Get("platform") })
			if err := e.Pull(t.Context(), somewhere, platform, release.Auth{}); err != nil || asked != want {
				t.Errorf("for %q it asked for %q: %v", platform, asked, err)
			}
		})
	}
}

// What is read of one message is bounded, and what is said in all is not.
func TestALongPullMaySayALot(t *testing.T) {
	line := `{"status":"Downloading","id":"aa"}` + strings.Repeat(" ", 1<<20)
	err := progress(io.MultiReader(strings.NewReader(strings.Repeat(line, 40)), strings.NewReader(`{"errorDetail":{"message":"at the end"}}`)), nil)
	if err == nil || err.Error() != "at the end" {
		t.Errorf("it was not read to its end: %v", err)
	}
	if err := progress(strings.NewReader(`{"status":"`+strings.Repeat("x", messageLimit)+`"}`), nil); err == nil {
		t.Error("a message without an end was read")
	}
}
