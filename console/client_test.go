package console

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/reconcile/loop"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// bySocket serves the fixture on a socket of this process's own, and gives a client to it.
func (f *fixture) bySocket() *Client {
	f.t.Helper()
	dir, err := os.MkdirTemp("", "kamald") // a socket's path is short
	if err != nil {
		f.t.Fatal(err)
	}
	path := filepath.Join(dir, "s")
	listener, err := net.Listen("unix", path)
	if err != nil {
		f.t.Fatal(err)
	}
	server := f.HTTP(ViaSocket)
	go func() { _ = server.Serve(listener) }()
	client, err := NewClient(path, release.Secret{})
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { client.Close(); _ = server.Close(); _ = os.RemoveAll(dir) })
	return client
}

func (f *fixture) byURL(token string) *Client {
	f.t.Helper()
	server := httptest.NewUnstartedServer(nil)
	server.Config = f.HTTP(ViaLoopback)
	server.Start()
	client, err := NewClient(server.URL, release.NewSecret(token))
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { client.Close(); server.CloseClientConnections(); server.Close() })
	return client
}

// TestAClientDoesEverythingByTheSocket: who asks is known by the kernel.
func TestAClientDoesEverythingByTheSocket(t *testing.T) {
	f := newFixture(t)
	f.opts.Owner.UID = os.Getuid()
	f.model.waitForApproval()
	c, ctx := f.bySocket(), t.Context()
	apps, err := c.Apps(ctx)
	if err != nil || len(apps) != 3 || apps[2].Name != "shop@eu" {
		t.Fatalf("%v %v", apps, err)
	}
	for name, ask := range map[string]func() (loop.Status, error){
		"status":  func() (loop.Status, error) { return c.Status(ctx, shopEU) },
		"approve": func() (loop.Status, error) { return c.Approve(ctx, shop, "amber-otter") },
		"pause":   func() (loop.Status, error) { return c.Pause(ctx, shop, state.Pause{Host: "web-1", Reason: "disk"}) },
		"unpause": func() (loop.Status, error) { return c.Unpause(ctx, shop, "web-1", "") },
		"resume":  func() (loop.Status, error) { return c.Resume(ctx, shop) },
		"look":    func() (loop.Status, error) { return c.Look(ctx, shop) },
	} {
		if got, err := ask(); err != nil || got.App.Service != "shop" {
			t.Errorf("%s: %v %v", name, got.App, err)
		}
	}
	lines, err := c.Logs(ctx, shop, "web-1", "shop-web-v1", 2)
	if err != nil || len(lines) != 2 {
		t.Errorf("logs: %q %v", lines, err)
	}
	if f.model.looks != 1 {
		t.Errorf("it was looked at %d times", f.model.looks)
	}
	ticket, err := c.Order(ctx, loop.Order{Verb: loop.VerbRelease, App: shop, Release: &release.Release{Service: "shop", Version: "v9"}})
	if err != nil || ticket.Order.Version != "v9" || ticket.Order.By.Who == "" {
		t.Errorf("%+v %v", ticket, err)
	}
}

func TestAwaitGivesTheLinesOfItsOrderOnly(t *testing.T) {
	f := newFixture(t)
	c := f.byURL(shown["operator"])
	first, err := c.Order(t.Context(), loop.Order{Verb: loop.VerbRelease, App: shop, Version: "v2"})
	if err != nil {
		t.Fatal(err)
	}
	second, err := c.Order(t.Context(), loop.Order{Verb: loop.VerbRollback, App: shop})
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for f.open() == 0 { // until it listens
			time.Sleep(time.Millisecond)
		}
		for i, id := range []string{first.ID, second.ID} {
			f.model.begin(id)
			for n := range 3 {
				f.model.line(shop, "web-1", fmt.Sprintf("order %d line %d", i+1, n+1))
			}
			f.model.finish(id, "")
		}
	}()
	var lines []string
	ended, err := c.Await(t.Context(), second, func(p reconcile.Progress) { lines = append(lines, p.Message) })
	if err != nil || !ended.Done() || ended.Report.Version != "v1" && ended.Report.Version != "v0" {
		t.Fatalf("%+v %v", ended, err)
	}
	for _, line := range lines {
		if !strings.HasPrefix(line, "order 2 ") {
			t.Errorf("a line of another order: %q", line)
		}
	}
	if len(lines) != 3 {
		t.Errorf("%d lines came", len(lines))
	}
}

// open counts the streams that are open.
func (f *fixture) open() int {
	f.streams.mu.Lock()
	defer f.streams.mu.Unlock()
	return f.streams.all
}

func TestAnErrorIsTheDaemonsWordsAndHasNoToken(t *testing.T) {
	f := newFixture(t)
	c := f.byURL("hunter2")
	_, err := c.Apps(t.Context())
	var said *Error
	if !errors.As(err, &said) || said.Status != 401 || !strings.Contains(err.Error(), "no such token is known") {
		t.Errorf("a wrong token: %v", err)
	}
	silent, _ := NewClient("http://127.0.0.1:1", release.NewSecret("hunter2"))
	_, nobody := silent.Apps(t.Context())
	elsewhere := httptest.NewServer(http.RedirectHandler("http://127.0.0.1:1/x", http.StatusFound))
	defer elsewhere.Close()
	redirected, _ := NewClient(elsewhere.URL, release.NewSecret("hunter2"))
	_, moved := redirected.Apps(t.Context())
	_, userinfo := NewClient("https://kamald:hunter2@bastion.example.com", release.Secret{})
	_, clear := NewClient("http://bastion.example.com:8080", release.NewSecret("hunter2"))
	_, odd := NewClient("ftp://bastion.example.com", release.NewSecret("hunter2"))
	noSocket, _ := NewClient("/nonexistent/kamald.sock", release.Secret{})
	_, absent := noSocket.Apps(t.Context())
	for name, err := range map[string]error{"wrong": err, "nobody there": nobody, "redirected": moved, "in the URL": userinfo, "clear text": clear, "scheme": odd, "no socket": absent} {
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if absent == nil || !strings.Contains(absent.Error(), "/nonexistent/kamald.sock") {
		t.Errorf("no socket: %v", absent)
	}
}

func TestAwaitEndsWithItsContextAndWithAnOrderThatIsUnknown(t *testing.T) {
	f := newFixture(t)
	c := f.byURL(shown["operator"])
	if _, err := c.Await(t.Context(), loop.Ticket{ID: "t99", Order: loop.Order{App: shop}}, nil); err == nil || !strings.Contains(err.Error(), "no such order") {
		t.Errorf("an unknown order: %v", err)
	}
	ticket, err := c.Order(t.Context(), loop.Order{Verb: loop.VerbRelease, App: shop, Version: "v2"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Await(ctx, ticket, func(reconcile.Progress) {}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
