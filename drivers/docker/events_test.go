package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kamald/kamald/state"
)

const (
	ours   = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	theirs = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	proxy  = "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"
)

// tellingEngine has two containers, one of them of a service, and tells what it is given to tell.
func tellingEngine(t *testing.T, tell func(asked url.Values, say func(line string))) *Engine {
	t.Helper()
	p := &pipes{conns: make(chan net.Conn), over: make(chan struct{})}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/containers/json"):
			w.Header().Set("Content-Type", "application/json")
			_, _ = fmt.Fprintf(w, `[{"Id":%q,"Names":["/shop-web-v1"],"Labels":{"service":"shop","role":"web","destination":""}},{"Id":%q,"Names":["/other"]}]`, ours, theirs)
		case strings.HasSuffix(r.URL.Path, "/events"):
			w.WriteHeader(http.StatusOK)
			w.(http.Flusher).Flush()
			tell(r.URL.Query(), func(line string) {
				_, _ = io.WriteString(w, line+"\n")
				w.(http.Flusher).Flush()
			})
		default:
			w.Header().Set("Api-Version", "1.41")
		}
	})}
	go func() { _ = server.Serve(p) }()
	e := New(p.dial, Options{Host: "web-1"})
	t.Cleanup(func() {
		_ = e.Close()
		_ = server.Close()
	})
	return e
}

// message is a line of an engine's events.
func message(kind, action, id, attributes string) string {
	return fmt.Sprintf(`{"status":%q,"Type":%q,"Action":%q,"Actor":{"ID":%q,"Attributes":{%s}},"scope":"local","time":1700000000,"timeNano":1700000000123456789}`,
		action, kind, action, id, attributes)
}

const labels = `"service":"shop","role":"web","destination":"production","image":"acme/shop:v1","name":"shop-web-v1"`

func TestEventsAreReadAsTheEngineTellsThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at := time.Unix(1700000000, 123456789).UTC()
		web := state.EngineEvent{At: at, Kind: state.EngineContainer, Container: ours, Name: "shop-web-v1", Service: "shop", Role: "web", Destination: "production"}
		with := func(action string, change func(*state.EngineEvent)) state.EngineEvent {
			e := web
			e.Action = action
			if change != nil {
				change(&e)
			}
			return e
		}
		rows := []struct {
			line string
			want state.EngineEvent
		}{
			{message("container", "start", ours, labels), with("start", nil)},
			{message("container", "die", ours, labels+`,"exitCode":"137"`), with("die", func(e *state.EngineEvent) { e.ExitCode = 137 })},
			{message("container", "health_status: unhealthy", ours, labels), with("health_status", func(e *state.EngineEvent) { e.Health = "unhealthy" })},
			{message("container", "rename", ours, labels+`,"oldName":"/shop-web-v0"`), with("rename", func(e *state.EngineEvent) { e.Was = "shop-web-v0" })},
			{message("container", "start", theirs, `"name":"other"`), state.EngineEvent{}},
			{message("container", "die", proxy, `"name":"kamal-proxy","org.opencontainers.image.title":"kamal-proxy","exitCode":"2"`),
				state.EngineEvent{At: at, Kind: state.EngineContainer, Action: "die", Container: proxy, Name: "kamal-proxy", ExitCode: 2}},
			{message("network", "disconnect", "net1", fmt.Sprintf(`"container":%q,"name":"kamal","type":"bridge"`, ours)),
				with(state.ActionNetworkDisconnect, func(e *state.EngineEvent) { e.Kind, e.Ref = state.EngineNetwork, "kamal" })},
			{message("network", "connect", "net1", fmt.Sprintf(`"container":%q,"name":"kamal"`, theirs)), state.EngineEvent{}},
			{message("network", "create", "net1", `"name":"kamal"`), state.EngineEvent{}},
			{message("image", "tag", "sha256:aa", `"name":"acme/shop:latest"`), state.EngineEvent{At: at, Kind: state.EngineImage, Action: "tag", Ref: "acme/shop:latest"}},
			{message("image", "pull", "acme/shop:v2", `"name":"acme/shop"`), state.EngineEvent{At: at, Kind: state.EngineImage, Action: "pull", Ref: "acme/shop:v2"}},
			{message("image", "delete", "sha256:aa", `"name":"sha256:aa"`), state.EngineEvent{At: at, Kind: state.EngineImage, Action: "delete", Ref: "sha256:aa"}},
		}
		var want, got []state.EngineEvent
		e := tellingEngine(t, func(_ url.Values, say func(string)) {
			for _, row := range rows {
				say(row.line)
			}
		})
		for _, row := range rows {
			if row.want != (state.EngineEvent{}) {
				want = append(want, row.want)
			}
		}
		err := e.Events(t.Context(), time.Time{}, func(e state.EngineEvent) { got = append(got, e) })
		if !errors.Is(err, state.ErrUnreachable) || !strings.HasPrefix(err.Error(), "web-1: follow events: ") {
			t.Errorf("the stream ended with %v", err)
		}
		for i := range max(len(want), len(got)) {
			if i >= len(want) || i >= len(got) || want[i] != got[i] {
				t.Fatalf("event %d: got\n%+v\nwant\n%+v", i, got[min(i, len(got)):], want[min(i, len(want)):])
			}
		}
	})
}

// TestWhatIsNoEventOrTooLongIsSkipped, and nothing of it is kept: the next one is told.
func TestWhatIsNoEventOrTooLongIsSkipped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := tellingEngine(t, func(_ url.Values, say func(string)) {
			say(`{"Type":"container","Action":7}`)
			say(`no JSON at all`)
			say(message("container", "start", ours, labels+`,"kamald.spec":"`+strings.Repeat("x", eventLimit)+`"`))
			say("\x1e" + message("container", "stop", ours, labels+`,"kamald.spec":"`+strings.Repeat("x", eventLimit/2)+`"`))
			say("")
			say(message("container", "die", ours, labels))
		})
		var told []string
		err := e.Events(t.Context(), time.Time{}, func(e state.EngineEvent) { told = append(told, e.Action) })
		if fmt.Sprint(told) != "[stop die]" {
			t.Errorf("told: %v, and it ended with %v", told, err)
		}
	})
}

func TestEventsAreAskedForFromATimeOnAndEndWithTheirContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked url.Values
		ended := make(chan struct{})
		e := tellingEngine(t, func(query url.Values, say func(string)) {
			asked = query
			say(message("container", "start", ours, labels))
			<-ended
		})
		enough := errors.New("enough")
		ctx, end := context.WithCancelCause(t.Context())
		err := e.Events(ctx, time.Unix(1700000000, 5), func(state.EngineEvent) { end(enough) })
		if close(ended); !errors.Is(err, enough) || errors.Is(err, state.ErrUnreachable) {
			t.Errorf("the stream ended with %v", err)
		}
		if asked.Get("since") != "1700000000.000000005" {
			t.Errorf("asked from %q on", asked.Get("since"))
		}
		if filters := asked.Get("filters"); strings.Contains(filters, "exec") || !strings.Contains(filters, `"health_status":true`) || !strings.Contains(filters, `"network":true`) {
			t.Errorf("asked for %s", filters)
		}
	})
}
