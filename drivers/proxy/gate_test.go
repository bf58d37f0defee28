package proxy_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/kamald/kamald/drivers/proxy"
	"github.com/kamald/kamald/state"
)

func TestPauseStopAndResumeAreKamalProxysOwnCommands(t *testing.T) {
	r := &recorder{}
	d := proxy.New(r)
	for _, err := range []error{
		d.Pause(t.Context(), "kamal-proxy", "shop-web", 30*time.Second, time.Minute),
		d.Stop(t.Context(), "kamal-proxy", "shop-web", "Back soon, at 5 o'clock", 0),
		d.Stop(t.Context(), "kamal-proxy", "shop-web", "", 2*time.Second),
		d.Resume(t.Context(), "kamal-proxy", "shop-web"),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	want := [][]string{
		{"kamal-proxy", "pause", "shop-web", "--drain-timeout=30s", "--max-pause=1m0s"},
		{"kamal-proxy", "stop", "shop-web", "--drain-timeout=0s", "--message=Back soon, at 5 o'clock"},
		{"kamal-proxy", "stop", "shop-web", "--drain-timeout=2s"},
		{"kamal-proxy", "resume", "shop-web"},
	}
	if !reflect.DeepEqual(r.argv, want) {
		t.Errorf("got  %q\nwant %q", r.argv, want)
	}
}

func TestARouteThatIsNotThereCanBeNeitherPausedNorStoppedNorResumed(t *testing.T) {
	d := proxy.New(&recorder{result: state.ExecResult{Code: 1, Stderr: "Error: service not found\n"}})
	for verb, err := range map[string]error{
		"pause":  d.Pause(t.Context(), "kamal-proxy", "shop-web", 0, time.Second),
		"stop":   d.Stop(t.Context(), "kamal-proxy", "shop-web", "", 0),
		"resume": d.Resume(t.Context(), "kamal-proxy", "shop-web"),
	} {
		if !errors.Is(err, state.ErrNotFound) || !strings.Contains(err.Error(), "shop-web") {
			t.Errorf("%s: %v", verb, err)
		}
	}
}

func TestAPauseWithoutAnEndIsRefusedBeforeTheProxyIsAsked(t *testing.T) {
	r := &recorder{}
	d := proxy.New(r)
	for what, err := range map[string]error{
		"no end":         d.Pause(t.Context(), "kamal-proxy", "shop-web", 0, 0),
		"negative drain": d.Stop(t.Context(), "kamal-proxy", "shop-web", "", -time.Second),
		"no name":        d.Resume(t.Context(), "kamal-proxy", ""),
		"a flag":         d.Resume(t.Context(), "kamal-proxy", "--help"),
	} {
		if err == nil {
			t.Errorf("%s was taken", what)
		}
	}
	if len(r.argv) > 0 {
		t.Errorf("the proxy was asked: %q", r.argv)
	}
}

// answers is an engine that answers by the last argument of a command.
type answers struct {
	recorder
	by map[string]state.ExecResult
}

func (a *answers) Exec(_ context.Context, _ string, argv []string) (state.ExecResult, error) {
	return a.by[argv[len(argv)-1]], nil
}

func TestWhatTheRunningProxyListsIsReadFromJSONOrFromKamalProxysTable(t *testing.T) {
	table := "\x1b[1;34mService\x1b[0m    \x1b[1;34mHost\x1b[0m              \x1b[1;34mPath\x1b[0m  \x1b[1;34mTarget\x1b[0m            \x1b[1;34mState\x1b[0m    \x1b[1;34mTLS\x1b[0m  \n" +
		"\x1b[32mshop-web\x1b[0m   \x1b[32mshop.example.com\x1b[0m  /     4f2a90c1d3e5:3000  running  no   \n" +
		"\x1b[32mblog-web\x1b[0m   \x1b[32m*\x1b[0m                 /     0b1c2d3e4f50:3000  stopped  yes  \n"
	old := &answers{by: map[string]state.ExecResult{
		"--json": {Code: 1, Stderr: "Error: unknown flag: --json\n"}, "list": {Stdout: table}}}
	listed, err := proxy.New(old).List(t.Context(), "kamal-proxy")
	want := []state.LiveRoute{
		{Name: "blog-web", State: "stopped", Targets: []state.LiveTarget{{Target: "0b1c2d3e4f50:3000"}}},
		{Name: "shop-web", State: "running", Targets: []state.LiveTarget{{Target: "4f2a90c1d3e5:3000"}}},
	}
	if err != nil || !reflect.DeepEqual(listed, want) {
		t.Errorf("table: %v\ngot  %+v\nwant %+v", err, listed, want)
	}
	ours := &answers{by: map[string]state.ExecResult{"--json": {Stdout: `[{"service":"shop-web","state":"broken","error":"no certificate",
		"targets":[{"target":"a:1","healthy":true,"in_flight":3},{"target":"b:1","healthy":false,"cause":"refused","last_probe":{"status":0}}],"new":1}]`}}}
	listed, err = proxy.New(ours).List(t.Context(), "kamal-proxy")
	want = []state.LiveRoute{{Name: "shop-web", State: "broken", Error: "no certificate",
		Targets: []state.LiveTarget{{Target: "a:1", Health: "healthy"}, {Target: "b:1", Health: "unhealthy", Cause: "refused"}}}}
	if err != nil || !reflect.DeepEqual(listed, want) {
		t.Errorf("JSON: %v\ngot  %+v\nwant %+v", err, listed, want)
	}
	for name, text := range map[string]string{"empty": "", "only a header": "Service  Host  Path  Target  State  TLS\n"} {
		nothing := &answers{by: map[string]state.ExecResult{"--json": {Code: 1, Stderr: "Error: unknown flag: --json\n"}, "list": {Stdout: text}}}
		if listed, err := proxy.New(nothing).List(t.Context(), "kamal-proxy"); err != nil || len(listed) != 0 {
			t.Errorf("%s: %v %v", name, listed, err)
		}
	}
	strange := &answers{by: map[string]state.ExecResult{"--json": {Stdout: "hello"}}}
	if _, err := proxy.New(strange).List(t.Context(), "kamal-proxy"); err == nil {
		t.Error("anything is taken for a list")
	}
}

func stopsAndPauses(t *testing.T, port, one, _ string) {
	d := proxy.New(dockerEngine{})
	const container = testContainer
	route := state.Route{Name: "shop-web", Options: plain(), Targets: []string{one + ":3000"}}
	route.Options.HealthInterval = 100 * time.Millisecond
	if err := d.Stop(t.Context(), container, "shop-web", "", 0); !errors.Is(err, state.ErrNotFound) {
		t.Fatalf("a route that is not there: %v", err)
	}
	if err := d.Deploy(t.Context(), container, route, 20*time.Second, 0); err != nil {
		t.Fatal(err)
	}
	is := func(what string, status int, stopped, paused bool) {
		t.Helper()
		routes, err := d.Routes(t.Context(), container)
		if err != nil || len(routes) != 1 || routes[0].Stopped != stopped || routes[0].Paused != paused {
			t.Fatalf("%s: kept %+v, %v", what, routes, err)
		}
		listed, err := d.List(t.Context(), container)
		if want := map[[2]bool]string{{true, false}: "stopped", {false, true}: "paused", {}: "running"}[[2]bool{stopped, paused}]; err != nil ||
			len(listed) != 1 || listed[0].State != want || listed[0].Targets[0].Target != route.Targets[0] || listed[0].Targets[0].Health != "healthy" {
			t.Fatalf("%s: listed %+v, %v", what, listed, err)
		}
		if got, body := get(t, port); got != status {
			t.Fatalf("%s: %d %q", what, got, body)
		}
	}
	is("at first", 200, false, false)
	for range 2 {
		if err := d.Stop(t.Context(), container, "shop-web", "Back <soon>", time.Second); err != nil {
			t.Fatal(err)
		}
	}
	is("stopped", 503, true, false)
	if _, body := get(t, port); !strings.Contains(body, "Back &lt;soon&gt;") {
		t.Errorf("the message is not on the page: %q", body)
	}
	if err := d.Deploy(t.Context(), container, route, 20*time.Second, 0); err != nil {
		t.Fatal(err)
	}
	is("stopped, and deployed again", 503, true, false)
	if err := d.Pause(t.Context(), container, "shop-web", 0, 100*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	is("paused for longer than is held", 504, false, true)
	for range 2 {
		if err := d.Resume(t.Context(), container, "shop-web"); err != nil {
			t.Fatal(err)
		}
	}
	is("resumed", 200, false, false)
}

func TestARouteIsNotTakenForRemovedWhereTheContainerLacks(t *testing.T) {
	d := proxy.New(&recorder{err: fmt.Errorf("container: %w", state.ErrNotFound)})
	if err := d.Remove(t.Context(), "kamal-proxy", "shop-web"); !errors.Is(err, state.ErrNotFound) {
		t.Errorf("got %v", err)
	}
}
