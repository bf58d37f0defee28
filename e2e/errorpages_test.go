package e2e

import (
	"strings"
	"testing"

	"github.com/kamald/kamald/lab"
)

// closedPage is a page of the shop's own for what the proxy answers by itself.
func closedPage(edition string) string {
	return "<html><body><h1>The shop, " + edition + "</h1><p>{{ .Status }}: {{ .Message }}</p></body></html>\n"
}

// An app's own error pages, with the message of the maintenance in them: before and after a release, a reboot of the proxy, a change of
// the pages and a way back. docs/assets.md says all of it; T-12 of docs/kamal-parity.md is the first half.
func TestErrorPagesOnRealServers(t *testing.T) {
	f := newFixture(t)
	f.image("v1", nil)
	f.image("v2", nil)
	for _, name := range []string{"413.html", "502.html", "503.html"} {
		f.write("public/"+name, closedPage("first edition"), 0o600)
	}
	f.write("public/404.html", closedPage("no such page"), 0o600)
	f.deploy(settings{root: `error_pages_path = "public"`, web: "proxy {\n  buffering {\n    max_request_body = 1000\n  }\n}"})
	f.must(0, "apply", "--version", "v1")
	f.statuses(200, 200, 200)
	for _, part := range []struct {
		name string
		do   func(f *fixture)
	}{
		{"the page of a maintenance has its message", messageOnThePage},
		{"after a release as before it", messageAfterARelease},
		{"what the proxy refuses, and what nobody answers", otherPages},
		{"a proxy that was made anew has them", pagesOfANewProxy},
		{"other pages come without another container", otherEdition},
		{"pages that a hand took away are drift", pagesByHand},
		{"an app that was stopped has no route, and no page", stoppedWithPages},
	} {
		if !t.Run(part.name, func(t *testing.T) { part.do(f.within(t)) }) {
			break // each begins with what the one before has left
		}
	}
}

// wantPage wants a status and the app's own page for it.
func (f *fixture) wantPage(h *lab.Host, status int, texts ...string) {
	f.t.Helper()
	got, body := f.answer(h, "shop.example.com")
	if got != status {
		f.t.Errorf("%s answers %d, want %d", h.Name, got, status)
	}
	for _, text := range append(texts, "<h1>The shop, ") {
		if !strings.Contains(body, text) {
			f.t.Errorf("%s: the page does not say %q:\n%.400s", h.Name, text, body)
		}
	}
}

func messageOnThePage(f *fixture) {
	f.must(0, "app", "maintenance", "--message", "Back at <five>")
	for _, h := range []*lab.Host{f.host(1), f.host(2)} {
		f.wantPage(h, 503, "first edition", "503: Back at &lt;five&gt;")
	}
}

func messageAfterARelease(f *fixture) {
	f.must(0, "apply", "--version", "v2")
	f.wantRunning(f.host(1), "shop-web-v2")
	for _, h := range []*lab.Host{f.host(1), f.host(2)} {
		f.wantPage(h, 503, "first edition", "503: Back at &lt;five&gt;")
	}
	f.must(0, "app", "live")
	f.statuses(200, 200, 200)
	f.emptyTwice("v2")
	f.must(0, "app", "maintenance", "--message", "Once more")
	f.wantPage(f.host(2), 503, "first edition", "503: Once more")
	f.must(0, "app", "live")
}

func otherPages(f *fixture) {
	out := f.exec(f.host(1), "sh", "-c", "head -c 2000 /dev/zero | curl -s -w '%{http_code}' --data-binary @- -H 'Host: shop.example.com' http://127.0.0.1/echo")
	if !strings.Contains(out, "<h1>The shop, first edition</h1>") || !strings.HasSuffix(out, "413") {
		f.t.Errorf("a body that is too long: %s", out)
	}
	f.exec(f.host(1), "docker", "stop", "-t", "1", "shop-web-v2")
	f.wantPage(f.host(1), 502, "first edition")
	f.must(0, "apply", "--version", "v2")
	f.statuses(200, 200, 200)
}

func pagesOfANewProxy(f *fixture) {
	f.must(0, "app", "maintenance", "--message", "Through a reboot")
	f.must(0, "proxy", "reboot", "-y", "--hosts", f.host(1).Name)
	f.wantPage(f.host(1), 503, "first edition", "Through a reboot")
	f.must(0, "app", "live")
}

func otherEdition(f *fixture) {
	before := f.containers(f.host(1))
	f.write("public/503.html", closedPage("second edition"), 0o600)
	f.says(f.must(0, "plan", "--version", "v2"), "error pages")
	f.must(0, "apply", "--version", "v2")
	if after := f.containers(f.host(1)); len(after) != len(before) || after[0].ID != before[0].ID {
		f.t.Errorf("containers were %v and are %v", before, after)
	}
	f.emptyTwice("v2")
	f.must(0, "app", "maintenance", "--message", "New")
	f.wantPage(f.host(1), 503, "second edition", "New")
	f.must(0, "app", "live")
	if sets := strings.Fields(f.exec(f.host(1), "ls", "/root/.kamal/proxy/apps-config/shop/error_pages")); len(sets) != 1 {
		f.t.Errorf("there are the pages of %v", sets)
	}
}

func pagesByHand(f *fixture) {
	f.exec(f.host(2), "sh", "-c", "rm -r /root/.kamal/proxy/apps-config/shop/error_pages/*")
	f.exec(f.host(2), "docker", "restart", "kamal-proxy") // until then it has them in memory
	f.says(f.must(3, "drift"), "warning", f.host(2).Name, "error pages", "bring the error pages again")
	f.must(0, "apply", "--version", "v2")
	f.emptyTwice("v2")
	f.must(0, "app", "maintenance", "--message", "Healed")
	f.wantPage(f.host(2), 503, "second edition", "Healed")
	f.must(0, "app", "live")
}

func stoppedWithPages(f *fixture) {
	f.must(0, "app", "stop", "--hosts", f.host(1).Name)
	if status, body := f.answer(f.host(1), "shop.example.com"); status != 404 || strings.Contains(body, "The shop") {
		f.t.Errorf("a host without a route answers %d: %s", status, body)
	}
	f.must(0, "app", "start")
	f.statuses(200, 200, 200)
}
