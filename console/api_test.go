package console

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/kamald/kamald/reconcile/loop"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// TestNamesOfAppsAreUnambiguous: what NameOf writes AppOf reads, and no two apps have one name.
func TestNamesOfAppsAreUnambiguous(t *testing.T) {
	name := rapid.StringMatching(`[A-Za-z0-9][A-Za-z0-9_-]{0,8}`)
	rapid.Check(t, func(t *rapid.T) {
		app := state.App{Service: name.Draw(t, "service")}
		if rapid.Bool().Draw(t, "has a destination") {
			app.Destination = name.Draw(t, "destination")
		}
		if got, err := AppOf(NameOf(app)); err != nil || got != app {
			t.Fatalf("%v is written %s and read %v: %v", app, NameOf(app), got, err)
		}
	})
	for _, wrong := range []string{"", "@eu", "shop@", "shop@eu@x", "../shop", "shop/eu", "shop@eu\n", "-shop"} {
		if app, err := AppOf(wrong); err == nil {
			t.Errorf("%q is read as %v", wrong, app)
		}
	}
}

func TestAnOrderIsTakenAndFollowed(t *testing.T) {
	f := newFixture(t)
	w := f.ask("POST", "/v1/apps/shop/release", `{"version":"v2"}`, as("operator"))
	if w.Code != http.StatusAccepted || w.Header().Get("Location") != "/v1/tickets/t1" {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	ticket, _ := f.model.Ticket("t1")
	if ticket.Order.Version != "v2" || ticket.Order.App != shop || ticket.Order.By != (loop.Person{Who: "operator", Where: "127.0.0.1"}) {
		t.Errorf("the daemon was ordered %+v", ticket.Order)
	}
	f.model.begin("t1")
	f.model.finish("t1", "")
	var got TicketAnswer
	decode(t, f.ask("GET", "/v1/tickets/t1?wait=30s", "", as("operator")), &got)
	if !got.Ticket.Done() || got.Ticket.Report.Version != "v2" {
		t.Errorf("the ticket is %+v", got.Ticket)
	}
	var app AppAnswer
	decode(t, f.ask("GET", "/v1/apps/shop", "", as("operator")), &app)
	if app.App.Held.Version != "v2" || app.App.Places[0].Version != "v2" {
		t.Errorf("afterwards %+v", app.App)
	}
	if w := f.ask("POST", "/v1/apps/shop/release", `{"version":"broken"}`, as("operator")); w.Code != http.StatusConflict || !strings.Contains(w.Body.String(), `"next":"ask for it again with retry"`) {
		t.Errorf("what the daemon refuses: %d %s", w.Code, w.Body)
	}
	if w := f.ask("POST", "/v1/apps/shop/rollback", `{"version":"v0","number":1}`, as("operator")); w.Code != http.StatusBadRequest {
		t.Errorf("a rollback to both a number and a version: %d", w.Code)
	}
}

func TestAWholeReleaseIsOfTheAppOfThePath(t *testing.T) {
	f := newFixture(t)
	if w := f.ask("POST", "/v1/apps/mailer/apply", `{"release":{"service":"shop","version":"v9"}}`, as("other")); w.Code != http.StatusBadRequest || len(f.model.tickets) != 0 {
		t.Errorf("a token for mailer releases shop: %d %s", w.Code, w.Body)
	}
	if w := f.ask("POST", "/v1/apps/shop@eu/apply", `{"release":{"service":"shop","destination":"eu","version":"v9"}}`, as("admin")); w.Code != http.StatusAccepted || strings.Contains(w.Body.String(), "primary_role") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if ticket, _ := f.model.Ticket("t1"); ticket.Order.Release == nil || ticket.Order.App != shopEU || ticket.Order.Version != "v9" {
		t.Errorf("the daemon was ordered %+v", ticket.Order)
	}
}

// TestAReleaseArrivesAsItWasSent: what a client resolved is what the daemon carries out.
func TestAReleaseArrivesAsItWasSent(t *testing.T) {
	f := newFixture(t)
	want, problems := release.Load("../deploy.hcl.example", release.Options{Version: "v9", Env: os.LookupEnv, ReadFile: os.ReadFile})
	if problems.HasErrors() {
		t.Fatal(problems.Error())
	}
	app := want.App()
	f.model.add(app, "web-1")
	if _, err := f.byURL(shown["admin"]).Order(t.Context(), loop.Order{Verb: loop.VerbRelease, App: app, Release: &want}); err != nil {
		t.Fatal(err)
	}
	ticket, _ := f.model.Ticket("t1")
	sent, _ := json.Marshal(want)
	if got, _ := json.Marshal(ticket.Order.Release); string(got) != string(sent) {
		t.Errorf("sent\n%s\narrived\n%s", sent, got)
	}
}

func TestATicketIsWaitedForNoLongerThanAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		if _, err := f.model.Order(loop.Order{Verb: loop.VerbRelease, App: shop, Version: "v2"}); err != nil {
			t.Fatal(err)
		}
		f.model.begin("t1")
		began := time.Now()
		var got TicketAnswer
		decode(t, f.ask("GET", "/v1/tickets/t1?wait=10m", "", as("admin")), &got)
		if waited := time.Since(began); got.Ticket.Done() || got.Ticket.Begun.IsZero() || waited != waitMost {
			t.Errorf("after %v: %+v", waited, got.Ticket)
		}
		time.AfterFunc(5*time.Second, func() { f.model.finish("t1", "web-1: unhealthy") })
		began = time.Now()
		decode(t, f.ask("GET", "/v1/tickets/t1?wait=30s", "", as("admin")), &got)
		if waited := time.Since(began); got.Ticket.Error != "web-1: unhealthy" || waited != 5*time.Second {
			t.Errorf("after %v: %+v", waited, got.Ticket)
		}
	})
}

func TestApprovalsPausesAndHolds(t *testing.T) {
	f := newFixture(t)
	f.model.waitForApproval()
	if w := f.ask("POST", "/v1/apps/shop/approve", `{"word":"other"}`, as("admin")); w.Code != http.StatusConflict || !strings.Contains(w.Body.String(), loop.ErrNothingWaits.Error()) {
		t.Errorf("another word: %d %s", w.Code, w.Body)
	}
	var got AppAnswer
	decode(t, f.ask("POST", "/v1/apps/shop/approve", `{"word":"amber-otter"}`, as("admin")), &got)
	if got.App.Approve != "" || got.App.Pending != nil {
		t.Errorf("approved: %+v", got.App)
	}
	until := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	decode(t, f.ask("POST", "/v1/apps/shop/pause", `{"host":"web-1","reason":"new disk","until":"`+until.Format(time.RFC3339)+`"}`, as("operator")), &got)
	if len(got.App.Pauses) != 1 || got.App.Pauses[0].Who != "operator" || !got.App.Pauses[0].Until.Equal(until) {
		t.Errorf("paused: %+v", got.App.Pauses)
	}
	if w := f.ask("POST", "/v1/apps/shop/pause", `{"reason":"x","until":"2001-01-01T00:00:00Z"}`, as("operator")); w.Code != http.StatusBadRequest {
		t.Errorf("a pause that is over: %d", w.Code)
	}
	got = AppAnswer{}
	decode(t, f.ask("POST", "/v1/apps/shop/unpause", `{"host":"web-1"}`, as("operator")), &got)
	if len(got.App.Pauses) != 0 {
		t.Errorf("unpaused: %+v", got.App.Pauses)
	}
	f.model.change(shop, func(s *loop.Status) { s.Held.Hold = true })
	decode(t, f.ask("POST", "/v1/apps/shop/resume", `{}`, as("operator")), &got)
	if got.App.Held.Hold {
		t.Error("the hold is not lifted")
	}
}

// TestTheStreamTellsOnlyWhatIsSeen, beats while nothing happens, and ends when the daemon gives its listener up.
func TestTheStreamTellsOnlyWhatIsSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		ctx, cancel := context.WithCancel(t.Context())
		reader, writer := io.Pipe()
		go func() {
			r := httptest.NewRequestWithContext(ctx, "GET", "/v1/events", nil)
			r.Host = "localhost"
			as("operator")(r)
			f.Handler(ViaLoopback).ServeHTTP(&pipeWriter{Writer: writer, header: http.Header{}}, r)
			_ = writer.Close()
		}()
		lines := bufio.NewScanner(reader)
		next := func() string {
			for lines.Scan() {
				if lines.Text() != "" {
					return lines.Text()
				}
			}
			return "(ended)"
		}
		if got := next(); got != "retry: 2000" {
			t.Fatalf("it begins with %q", got)
		}
		synctest.Wait()
		f.model.change(mailer, func(*loop.Status) {})
		f.model.line(shopEU, "web-1", "start it")
		if got := next(); got != "event: progress" {
			t.Errorf("told: %q", got)
		}
		if got := next(); !strings.Contains(got, `"name":"shop@eu"`) || !strings.Contains(got, `"schema":1`) {
			t.Errorf("told: %q", got)
		}
		began := time.Now()
		if got := next(); got != ": still here" || time.Since(began) > streamBeat {
			t.Errorf("%v later: %q", time.Since(began), got)
		}
		cancel()
		if got := next(); got != "(ended)" {
			t.Errorf("after its client went: %q", got)
		}
		synctest.Wait()
		if f.streams.all != 0 || len(f.model.subs) != 0 {
			t.Errorf("%d streams and %d subscriptions are left", f.streams.all, len(f.model.subs))
		}
	})
}

type pipeWriter struct {
	io.Writer
	header http.Header
}

func (p *pipeWriter) Header() http.Header { return p.header }
func (p *pipeWriter) WriteHeader(int)     {}
func (p *pipeWriter) Flush()              {}

func TestNobodyOpensStreamsWithoutEnd(t *testing.T) {
	var s streams
	for range streamEach {
		if !s.take("ada") {
			t.Fatal("refused too early")
		}
	}
	if s.take("ada") || !s.take("bob") {
		t.Error("one opens as many as they like, or keeps others from theirs")
	}
	s.leave("ada")
	if !s.take("ada") {
		t.Error("what was closed is not free again")
	}
}

func TestReadinessNeedsEveryAppSeenAndAStore(t *testing.T) {
	f := newFixture(t)
	if w := f.ask("GET", "/readyz", ""); w.Code != 200 {
		t.Errorf("ready: %d %s", w.Code, w.Body)
	}
	f.opts.Ready = func(context.Context) error { return errors.New("no space left on /var/lib") }
	if w := f.ask("GET", "/readyz", ""); w.Code != 503 || strings.Contains(w.Body.String(), "/var/lib") {
		t.Errorf("with a store that cannot be written: %d %s", w.Code, w.Body)
	}
	f.model.change(shop, func(s *loop.Status) { s.Round.Number = 0 })
	if w := f.ask("GET", "/readyz", ""); w.Code != 503 || strings.Contains(w.Body.String(), "shop") || !strings.Contains(w.Body.String(), "1 of 3") {
		t.Errorf("with an app that was not looked at: %d %s", w.Code, w.Body)
	}
	if w := f.ask("GET", "/healthz", ""); w.Code != 200 {
		t.Errorf("lives: %d", w.Code)
	}
}

func decode(t *testing.T, w *httptest.ResponseRecorder, into any) {
	t.Helper()
	if w.Code >= 300 {
		t.Fatalf("%d: %s", w.Code, w.Body)
	}
	clear := json.NewDecoder(w.Body)
	clear.DisallowUnknownFields()
	if err := clear.Decode(into); err != nil {
		t.Fatal(err)
	}
}
