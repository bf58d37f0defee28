package traefik

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kamald/kamald/state"
)

func shop(target string) state.Route {
	return state.Route{Name: "shop-web", Targets: []string{target}, Options: state.RouteOptions{
		Hosts: []string{"shop.example.com"}, PathPrefixes: []string{"/"}, StripPathPrefix: true, TLSRedirect: true, ForwardHeaders: true,
		ResponseTimeout: 30 * time.Second, HealthPath: "/up", HealthInterval: time.Second, HealthTimeout: 5 * time.Second}}
}

func prepared(t *testing.T) (*standin, *Driver) {
	t.Helper()
	s, d := newStandin(t)
	if err := d.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	until(t, "it has read the catch-all", func() bool { return d.Answers(t.Context(), container) == nil })
	return s, d
}

func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", patience, what)
		}
	}
}

func deploy(t *testing.T, d *Driver, route state.Route) {
	t.Helper()
	if err := d.Deploy(t.Context(), container, route, patience, 0); err != nil {
		t.Fatal(err)
	}
}

func TestARouteIsServedWhenDeployReturnsAndAnswers502WhenItIsGone(t *testing.T) {
	s, d := prepared(t)
	if status, _ := s.get("shop.example.com", "/"); status != 502 {
		t.Errorf("before any route: %d", status)
	}
	one, two := app(t, "one"), app(t, "two")
	for target, name := range map[string]string{one: "one", two: "two"} {
		deploy(t, d, shop(target))
		if status, body := s.get("shop.example.com", "/a"); status != 200 || body != name+" /a" {
			t.Errorf("to %s: %d %q", name, status, body)
		}
		routes, err := d.Routes(t.Context(), container)
		if want := []state.Route{shop(target)}; err != nil || !reflect.DeepEqual(routes, want) {
			t.Errorf("got  %+v, %v\nwant %+v", routes, err, want)
		}
	}
	if status, _ := s.get("other.example.com", "/"); status != 502 {
		t.Errorf("a host of nobody's: %d", status)
	}
	for range 2 {
		if err := d.Remove(t.Context(), container, "shop-web"); err != nil {
			t.Fatal(err)
		}
		if status, _ := s.get("shop.example.com", "/"); status != 502 {
			t.Errorf("after its removal: %d", status)
		}
	}
}

func TestNoRequestFailsWhileRoutesAreSwitched(t *testing.T) {
	s, d := prepared(t)
	targets := []string{app(t, "one"), app(t, "two")}
	deploy(t, d, shop(targets[0]))
	stop := make(chan struct{})
	var asking sync.WaitGroup
	for range 4 {
		asking.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if status, _, err := s.try("shop.example.com", "/"); status != 200 {
					t.Errorf("%d, %v while switching", status, err)
					return
				}
			}
		})
	}
	for n := range 10 {
		deploy(t, d, shop(targets[n%2]))
	}
	close(stop)
	asking.Wait()
}

func TestAPrefixIsMatchedToASlashAndStripped(t *testing.T) {
	s, d := prepared(t)
	root, api := shop(app(t, "root")), shop(app(t, "api"))
	api.Name, api.Options.PathPrefixes = "shop-api", []string{"/api"}
	deploy(t, d, root)
	deploy(t, d, api)
	for path, want := range map[string]string{"/api": "api /", "/api/x": "api /x", "/apix": "root /apix", "/": "root /"} {
		if _, body := s.get("shop.example.com", path); body != want {
			t.Errorf("%s goes to %q, want %q", path, body, want)
		}
	}
}

func TestAStoppedRouteStaysStoppedWhenItIsDeployedAndResumesAtTheNewTarget(t *testing.T) {
	s, d := prepared(t)
	deploy(t, d, shop(app(t, "one")))
	is := func(what string, status int, stopped bool) {
		t.Helper()
		if got, _ := s.get("shop.example.com", "/"); got != status {
			t.Errorf("%s: %d, want %d", what, got, status)
		}
		routes, err := d.Routes(t.Context(), container)
		if err != nil || len(routes) != 1 || routes[0].Stopped != stopped {
			t.Errorf("%s: %+v, %v", what, routes, err)
		}
		listed, err := d.List(t.Context(), container)
		if want := map[bool]string{false: "running", true: "stopped"}[stopped]; err != nil || len(listed) != 1 || listed[0].State != want {
			t.Errorf("%s: listed %+v, %v", what, listed, err)
		}
	}
	for range 2 {
		if err := d.Stop(t.Context(), container, "shop-web", "", 0); err != nil {
			t.Fatal(err)
		}
		is("stopped", 503, true)
	}
	deploy(t, d, shop(app(t, "two")))
	is("stopped, and deployed", 503, true)
	for range 2 {
		if err := d.Resume(t.Context(), container, "shop-web"); err != nil {
			t.Fatal(err)
		}
		is("resumed", 200, false)
	}
	if _, body := s.get("shop.example.com", "/"); body != "two /" {
		t.Errorf("resumed at %q", body)
	}
	s.frozen.Store(true)
	data, _, err := render(shop("4f2a90c1d3e5:3000"), 3)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.dir, "shop-web.yml"), data, 0o600); err != nil {
		t.Fatal(err)
	}
	if listed, err := d.List(t.Context(), container); err != nil || listed[0].State != "broken" || listed[0].Error == "" {
		t.Errorf("a file that is not served by: %+v, %v", listed, err)
	}
}

func TestWhatTraefikHasNoGateForIsRefused(t *testing.T) {
	_, d := prepared(t)
	for what, err := range map[string]error{
		"cannot hold": d.Pause(t.Context(), container, "shop-web", 0, time.Minute), "message": d.Stop(t.Context(), container, "shop-web", "soon", 0),
		"no route": d.Stop(t.Context(), container, "shop-web", "", 0), "negative": d.Stop(t.Context(), container, "shop-web", "", -1),
		"shop-web": d.Resume(t.Context(), container, "shop-web"), "invalid": d.Resume(t.Context(), container, "../x"),
	} {
		if err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("want %q, got %v", what, err)
		}
	}
	if err := d.Resume(t.Context(), container, "shop-web"); !errors.Is(err, state.ErrNotFound) {
		t.Errorf("%v", err)
	}
}

func TestAFileThatTraefikDoesNotTakeIsPutBackAndItsLogIsTold(t *testing.T) {
	s, d := prepared(t)
	one := shop(app(t, "one"))
	deploy(t, d, one)
	foreign := filepath.Join(s.dir, "byhand.yml")
	if err := os.WriteFile(foreign, []byte("http: {routers: {a: {colour: red}}}"), 0o600); err != nil {
		t.Fatal(err)
	}
	until(t, "it met the broken file", func() bool { return s.broken.Load() != nil })
	err := d.Deploy(t.Context(), container, shop(app(t, "two")), 300*time.Millisecond, 0)
	if err == nil || !strings.Contains(err.Error(), "colour") {
		t.Errorf("%v", err)
	}
	if err := os.Remove(foreign); err != nil {
		t.Fatal(err)
	}
	until(t, "the old route serves", func() bool { _, body := s.get("shop.example.com", "/"); return body == "one /" })
	if routes, err := d.Routes(t.Context(), container); err != nil || !reflect.DeepEqual(routes, []state.Route{one}) {
		t.Errorf("%+v, %v", routes, err)
	}
	s.frozen.Store(true)
	other := shop(app(t, "two"))
	other.Name, other.Options.Hosts = "blog-web", []string{"blog.example.com"}
	if err := d.Deploy(t.Context(), container, other, 200*time.Millisecond, 0); err == nil {
		t.Error("a Traefik that reads nothing took a route")
	}
	if _, err := os.Stat(filepath.Join(s.dir, "blog-web.yml")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the file of a route that was not taken: %v", err)
	}
}

func TestWhereSSHForwardsNothingTraefikIsAskedWithinItsContainer(t *testing.T) {
	s, d := prepared(t)
	s.denied = true
	deploy(t, d, shop(app(t, "one")))
	if status, _ := s.get("shop.example.com", "/"); status != 200 {
		t.Errorf("%d", status)
	}
	if err := d.Remove(t.Context(), container, "shop-web"); err != nil {
		t.Error(err)
	}
}

func TestWhatTraefikCannotDoIsRefusedByName(t *testing.T) {
	_, d := prepared(t)
	deploy(t, d, shop(app(t, "one")))
	for want, change := range map[string]func(*state.Route){
		"host settings conflict with another service (shop-web)": func(r *state.Route) { r.Name = "other-web" },
		"buffers both or neither":                                func(r *state.Route) { r.Options.BufferRequests = true },
		"error_pages_path":                                       func(r *state.Route) { r.Options.ErrorPagePath = "/pages" },
		"forward_headers":                                        func(r *state.Route) { r.Options.ForwardHeaders = false },
		"proxy.logging":                                          func(r *state.Route) { r.Options.LogRequestHeaders = []string{"X-A"} },
		"no readers":                                             func(r *state.Route) { r.Readers = r.Targets },
		"canonical host":                                         func(r *state.Route) { r.Options.CanonicalHost = "www.example.com" },
		"no target":                                              func(r *state.Route) { r.Targets = nil },
		"container:port":                                         func(r *state.Route) { r.Targets = []string{"a/b:80"} },
		"the host":                                               func(r *state.Route) { r.Options.Hosts = []string{"a`b"} },
		"the path prefix":                                        func(r *state.Route) { r.Options.PathPrefixes = []string{"/{a}"} },
		"route name":                                             func(r *state.Route) { r.Name = "../x" },
		"is invalid":                                             func(r *state.Route) { r.Name = "kamald-catch-all" },
		`"kamald-unavailable" is invalid`:                        func(r *state.Route) { r.Name = "kamald-unavailable" },
		"its certificate":                                        func(r *state.Route) { r.Options.PrivateKeyPath = "/key.pem" },
	} {
		route := shop("4f2a90c1d3e5:3000")
		change(&route)
		if err := d.Deploy(t.Context(), container, route, time.Second, 0); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}

func TestATraefikThatReadsNoFilesOfKamaldsIsNamed(t *testing.T) {
	s, d := prepared(t)
	s.containers = []state.Container{{ID: "kamal1", Name: "traefik", Status: state.StatusRunning, Live: state.Spec{Image: "traefik:v2.10"}}}
	if err := d.Deploy(t.Context(), "kamal1", shop(app(t, "one")), time.Second, 0); !errors.Is(err, errNotOurs) || !strings.Contains(err.Error(), "kamald proxy switch") {
		t.Errorf("%v", err)
	}
}

// What Kamal 1 said by labels is read where no file of kamald's is, and only there.
func TestTheRoutesOfKamal1AreReadFromLabels(t *testing.T) {
	s, d := newStandin(t)
	labels := func(rule, port string) state.Spec {
		all := map[string]string{"traefik.http.routers.shop-web.rule": rule, "traefik.http.routers.shop-web.priority": "2",
			"traefik.http.services.shop-web.loadbalancer.server.scheme": "http"}
		if port != "" {
			all["traefik.http.services.shop-web.loadbalancer.server.port"] = port
		}
		return state.Spec{Labels: all}
	}
	at := func(id, service, role, destination string, live state.Spec, status state.Status) state.Container {
		return state.Container{ID: id, Service: service, Role: role, Destination: destination, Live: live, Status: status}
	}
	s.containers = []state.Container{
		at("newer0000001", "shop", "web", "", labels("Host(`shop.example.com`, `www.example.com`) && PathPrefix(`/shop`)", "3000"), state.StatusRunning),
		at("older0000001", "shop", "web", "", labels("PathPrefix(`/`)", ""), state.StatusRunning),
		at("staging00001", "shop", "web", "staging", labels("PathPrefix(`/`)", ""), state.StatusRunning),
		at("stopped00001", "blog", "web", "", labels("PathPrefix(`/`)", ""), state.StatusExited),
		at("workers00001", "shop", "workers", "", state.Spec{}, state.StatusRunning),
		at("foreign00001", "", "", "", labels("PathPrefix(`/`)", ""), state.StatusRunning),
		{ID: "kamal1", Name: "traefik", Status: state.StatusRunning},
	}
	got, err := d.Routes(t.Context(), "kamal1")
	if err != nil {
		t.Fatal(err)
	}
	text := ""
	for _, r := range got {
		text += fmt.Sprintln(r.Name, r.Targets, r.Options.Hosts, r.Options.PathPrefixes, r.Implied)
	}
	want := "shop-web [newer0000001:3000] [shop.example.com www.example.com] [/shop] true\nshop-web-staging [staging00001:80] [] [/] true\n"
	if text != want {
		t.Errorf("got\n%swant\n%s", text, want)
	}
	if err := d.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := d.Routes(t.Context(), container); err != nil || len(got) > 0 {
		t.Errorf("of a Traefik of kamald's: %+v, %v", got, err)
	}
	if got, err := d.Routes(t.Context(), "kamal1"); err != nil || len(got) != 2 {
		t.Errorf("with files that Kamal 1's Traefik does not read: %+v, %v", got, err)
	}
}
