package reconcile_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
)

const pagesDir = ".kamal/proxy/apps-config/shop/error_pages"

func (w *world) withPages(version, text string) release.Release {
	desired := w.release(version)
	desired.ErrorPages = map[string]string{"404.html": text, "503.html": text + " later"}
	return desired
}

func (w *world) mustShow(host string, desired release.Release) {
	w.t.Helper()
	want := map[string]string{}
	for name, text := range desired.ErrorPages {
		want[desired.ErrorPageSet()+"/"+name] = text
	}
	if got := w.Tree(host, pagesDir); !maps.Equal(got, want) {
		w.t.Errorf("%s has %v, want %v", host, got, want)
	}
	path := ""
	if len(want) > 0 {
		path = "/home/kamal-proxy/.apps-config/shop/error_pages/" + desired.ErrorPageSet()
	}
	if got := w.Routes(host)[0].Options.ErrorPagePath; got != path {
		w.t.Errorf("%s routes with the pages of %q, want %q", host, got, path)
	}
}

func TestErrorPagesComeBeforeTheRouteAndGoAfterIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 5001)
		one, two := w.withPages("v1", "one"), w.withPages("v1", "two")
		w.mustApply(one)
		for _, host := range []string{"h1", "h2"} {
			w.mustShow(host, one)
			if mode := w.Mode(host, pagesDir+"/"+one.ErrorPageSet()+"/404.html"); mode != 0o644 {
				t.Errorf("%s: the page has %o: the proxy may have a user of its own", host, mode)
			}
		}
		if w.Tree("h3", pagesDir) != nil {
			t.Error("a host without a proxied role has pages")
		}
		w.mustApply(w.release("v1"))
		w.mustShow("h1", w.release("v1"))
		w.mustApply(two) // the same version
		w.mustShow("h1", two)
		w.mustApply(w.withPages("v2", "two"))
		if got := len(w.sentTo("h1", "Files.Write", "404.html")); got != 2 {
			t.Errorf("pages were written %d times: those that are there are not written again", got)
		}
		three := w.withPages("v3", "three")
		w.mustApply(three)
		c := w.controller()
		defer func() { _ = c.Close() }()
		if _, err := c.Rollback(t.Context(), three, reconcile.Back{}, reconcile.Options{}); err != nil {
			t.Fatal(err)
		}
		w.mustShow("h1", w.withPages("v2", "two")) // its own, though today's directory has others
	})
}

func (w *world) sentTo(host, method, args string) (calls []sim.Call) {
	for _, c := range w.History() {
		if c.Host == host && c.Method == method && strings.Contains(c.Args, args) {
			calls = append(calls, c)
		}
	}
	return calls
}

// A release that fails goes back to routes whose pages are still there.
func TestErrorPagesOfTheOldRouteStayUntilTheReleaseIsThrough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 5002)
		one := w.withPages("v1", "one")
		w.mustApply(one)
		w.image("v2", sim.NeverHealthy(500))
		if _, err := w.apply(t.Context(), w.withPages("v2", "two")); err == nil {
			t.Fatal("it succeeded")
		}
		if got := w.Routes("h1")[0].Options.ErrorPagePath; !strings.HasSuffix(got, one.ErrorPageSet()) {
			t.Errorf("it routes with %q", got)
		}
		if tree := w.Tree("h1", pagesDir); tree[one.ErrorPageSet()+"/404.html"] != "one" {
			t.Errorf("h1 has %v", slices.Sorted(maps.Keys(tree)))
		}
		w.mustApply(one)
	})
}

func TestErrorPagesThatWereTakenAwayAreDriftAndHealed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 5003)
		one := w.withPages("v1", "one")
		w.mustApply(one)
		w.RemoveFile("h1", pagesDir+"/"+one.ErrorPageSet())
		c := w.controller()
		defer func() { _ = c.Close() }()
		planned, err := c.Drift(t.Context(), one, reconcile.Options{})
		if err != nil || len(planned.Plan.Items) != 1 || planned.Plan.Items[0].Cause != "drift" {
			t.Fatalf("%v %+v", err, planned.Plan.Items)
		}
		before := len(w.sentTo("h1", "Proxy.Deploy", ""))
		w.mustApply(one)
		w.mustShow("h1", one)
		if after := len(w.sentTo("h1", "Proxy.Deploy", "")); after != before+1 {
			t.Errorf("the proxy was told %d times of pages that it may have lost over a restart", after-before)
		}
		order := slices.DeleteFunc(w.History(), func(c sim.Call) bool {
			return c.Host != "h1" || c.Method != "Proxy.Deploy" && !(c.Method == "Files.Write" && strings.Contains(c.Args, "404.html"))
		})
		if last := order[len(order)-2:]; last[0].Method != "Files.Write" || last[1].Method != "Proxy.Deploy" {
			t.Errorf("it did %v: the pages come first", last)
		}
	})
}
