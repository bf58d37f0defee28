package console

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/reconcile/loop"
	"github.com/kamald/kamald/state"
)

// amiss gives what is wrong with the page's form: labels, landmarks, headings, and width.
const amiss = `(() => {
	const wrong = [];
	const one = (what) => { const n = document.querySelectorAll(what).length; if (n !== 1) wrong.push(n + " of " + what); };
	one("main"); one("h1"); one("body > header"); one("a.skip");
	if (!document.title || !document.documentElement.lang) wrong.push("no title or language");
	for (const e of document.querySelectorAll("input:not([type=hidden]), select, textarea"))
		if (!e.labels.length) wrong.push("no label: " + e.outerHTML);
	for (const e of document.querySelectorAll("a, button")) {
		if (!e.textContent.trim()) wrong.push("no text: " + e.outerHTML);
		if (e.tabIndex < 0) wrong.push("not by tab: " + e.outerHTML);
	}
	for (const e of document.querySelectorAll(".badge, .chip")) if (!e.textContent.trim() || !e.querySelector("svg")) wrong.push("colour alone: " + e.outerHTML);
	const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
	for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) wrong.push("twice: #" + id);
	for (const e of document.querySelectorAll("[aria-labelledby], [aria-describedby]"))
		for (const id of (e.getAttribute("aria-labelledby") + " " + e.getAttribute("aria-describedby")).split(" "))
			if (id !== "null" && !document.getElementById(id)) wrong.push("names nothing: " + id);
	if (document.querySelector("[style], style, script:not([src]), [onclick], [onload]")) wrong.push("something inline");
	const width = document.documentElement.scrollWidth;
	if (width > innerWidth) wrong.push("wider than the window: " + width + " of " + innerWidth);
	return wrong;
})()`

// faint gives texts whose contrast is less than 4.5 to 1 (WCAG AA), whatever the colours are written as.
const faint = `(() => {
	const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
	const seen = new Map();
	const paint = (layers) => {
		const key = layers.join();
		if (!seen.has(key)) {
			canvas.fillStyle = "white"; canvas.fillRect(0, 0, 1, 1);
			for (const c of layers) { canvas.fillStyle = c; canvas.fillRect(0, 0, 1, 1); }
			const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
			seen.set(key, 0.2126 * r + 0.7152 * g + 0.0722 * b);
		}
		return seen.get(key);
	};
	const wrong = new Set();
	const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	while (walker.nextNode()) {
		const e = walker.currentNode.parentElement;
		if (!walker.currentNode.data.trim() || !e.checkVisibility() || e.closest(".sr, .skip, option, script, noscript") || !getComputedStyle(e).fontSize.replace(/^0px/, "")) continue;
		const layers = [];
		for (let at = e; at; at = at.parentElement) layers.unshift(getComputedStyle(at).backgroundColor);
		const back = paint(layers), text = paint([...layers, getComputedStyle(e).color]);
		const ratio = (Math.max(back, text) + 0.05) / (Math.min(back, text) + 0.05);
		if (ratio < 4.5) wrong.add(e.className + " " + ratio.toFixed(2) + ": " + walker.currentNode.data.trim().slice(0, 40));
	}
	return [...wrong];
})()`

// rich gives the fixture all that pages can show.
func rich(m *model) {
	full(m)
	now := m.now()
	m.change(shop, func(s *loop.Status) {
		s.Doing = nil
		s.Conditions = append(s.Conditions,
			state.Condition{Kind: loop.ConditionUnreachable, Host: "web-1", Reason: "dial: 10.0.0.11:22: no route to host", Next: "mend it, or `kamald server cordon web-1`", Since: now.Add(-40 * time.Minute)},
			state.Condition{Kind: loop.ConditionDrifted, Host: "web-2", Role: "worker", Reason: "shop-worker-v1 does not run", Since: now.Add(-3 * time.Minute)})
	})
	m.change(shopEU, func(s *loop.Status) {
		s.Held.Hold = true
		s.Wanted = &state.Wanted{Version: "v2-with-a-name-that-is-as-long-as-names-may-get-20261129104500-1a2b3c4", From: "git production@1a2b3c4", At: now}
		s.Conditions = []state.Condition{{Kind: loop.ConditionHeld, Reason: "held at v1 by ada since yesterday", Next: "`kamald resume`", Since: now.Add(-20 * time.Hour)}}
		for i := range s.Places {
			s.Places[i].Host = fmt.Sprintf("web-%d.frankfurt.example.com", i+1)
		}
	})
	m.change(mailer, func(s *loop.Status) { s.Places[3].Version, s.Places[3].Container = "v0", "mailer-worker-v0" })
	for i := range 3 {
		m.add(state.App{Service: fmt.Sprintf("backend-%d", i)}, "app-1", "app-2", "app-3", "app-4", "app-5", "app-6")
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.apps[state.App{Service: "backend-1"}].Conditions = []state.Condition{{Kind: loop.ConditionQuarantined, Reason: "v3 failed by its own fault", Since: now}}
	m.records[shop] = append(m.records[shop], state.Record{Number: 3, App: shop, Version: "v3", Kind: "release", Who: "ci", Where: "10.0.0.5", Started: now.Add(-time.Hour), Ended: now.Add(-59 * time.Minute),
		Outcome: state.OutcomeFailed, Reason: "web-1: shop-web-v3 is unhealthy: GET /up answered 500"})
}

var appPages = []string{"", "/history", "/drift", "/logs", "/audit", "/release", "/rollback?to=1", "/pause", "/unpause?host=web-2&role=", "/look", "/approve"}

func TestEveryPageIsWellFormedInEveryLightAndWidth(t *testing.T) {
	f := newFixture(t)
	rich(f.model)
	b := newTab(t, f.served())
	check := func(name string) {
		t.Helper()
		for _, width := range []int64{1280, 360} {
			for _, scheme := range []string{"light", "dark"} {
				b.look(width, scheme)
				at := fmt.Sprintf("%s-%s-%d", name, scheme, width)
				for _, wrong := range eval[[]string](b, amiss) {
					t.Errorf("%s: %s", at, wrong)
				}
				if width == 1280 {
					for _, wrong := range eval[[]string](b, faint) {
						t.Errorf("%s: faint: %s", at, wrong)
					}
				}
				b.shoot(at)
			}
		}
	}
	b.open("/login")
	check("login")
	b.login("admin")
	check("overview")
	for _, path := range appPages {
		b.open("/apps/shop" + path)
		check("app" + strings.Trim(strings.NewReplacer("/", "-", "?", "-", "&", "-", "=", "").Replace(path), "-"))
	}
	b.open("/apps/shop@eu")
	check("held")
	b.open("/apps/shop@eu/resume")
	check("resume")
	b.open("/tickets/t1")
	check("ticket")
	b.open("/apps/nothing")
	check("failure")
	b.fine()
}

// TestPagesShowWhatThePrincipalMay, and refuse what is posted all the same.
func TestPagesShowWhatThePrincipalMay(t *testing.T) {
	for _, c := range []struct {
		who         string
		shows, lack []string
	}{
		{"reader", []string{"Pending plan", "shop-cron-v1", "It waits for somebody with the role admin."}, []string{"Look now", "Release…", "Roll back…", "Pause…", "End…", "Approve…"}},
		{"operator", []string{"Look now", "Release…", "Roll back…", "Pause…", "End…", "It waits for somebody with the role admin."}, []string{"Approve…"}},
		{"admin", []string{"Look now", "Release…", "Roll back…", "Pause…", "End…", "Approve…"}, []string{"It waits for somebody"}},
	} {
		t.Run(c.who, func(t *testing.T) {
			f := newFixture(t)
			full(f.model)
			b := newTab(t, f.served())
			b.login(c.who)
			if others := b.has("mailer"); others != (c.who != "operator") {
				t.Errorf("mailer is seen: %v", others)
			}
			b.open("/apps/shop")
			for _, text := range c.shows {
				if !b.has(text) {
					t.Errorf("no %q", text)
				}
			}
			for _, text := range c.lack {
				if b.has(text) {
					t.Errorf("there is %q", text)
				}
			}
			b.open("/apps/shop/history")
			if got := b.has("Roll back…"); got != (c.who != "reader") {
				t.Errorf("the history has a way back: %v", got)
			}
			for _, a := range actions {
				got := eval[int](b, fmt.Sprintf(`fetch("/apps/shop/%s", {method: "POST", body: new URLSearchParams({reason: "x", number: "1", word: "wrong"})}).then((r) => r.status)`, a.verb))
				role := map[string]Role{"reader": RoleRead, "operator": RoleOperate, "admin": RoleAdmin}[c.who]
				if refused := got == 403; refused != (role < a.need) {
					t.Errorf("%s posted: %d", a.verb, got)
				}
			}
			if got := eval[int](b, `fetch("/apps/mailer").then((r) => r.status)`); (got == 403) != (c.who == "operator") {
				t.Errorf("mailer: %d", got)
			}
			b.fine()
		})
	}
}

func TestEveryActionOfTheDashboard(t *testing.T) {
	f := newFixture(t)
	f.model.waitForApproval()
	b := newTab(t, f.served())
	b.login("admin")
	b.open("/apps/shop")
	b.click("Approve…")
	if !b.has("Exactly this is approved") || !b.has("shop-cron-v1") {
		t.Error("the plan is not shown before it is approved")
	}
	b.click("Approve")
	if s := f.model.mustStatus(t, shop); s.Approve != "" || !b.has("Approved.") {
		t.Errorf("approved: %+v", s)
	}
	b.click("Look now")
	if f.model.looks != 1 || !b.has("It is being looked at.") {
		t.Errorf("it was looked at %d times", f.model.looks)
	}
	b.click("Pause…")
	b.run(chromedp.SetValue("#host", "web-2"), chromedp.SetValue("#for", "4h"), chromedp.SendKeys("#reason", "new disk"))
	b.click("Pause")
	if p := f.model.mustStatus(t, shop).Pauses; len(p) != 1 || p[0].Host != "web-2" || p[0].Reason != "new disk" || p[0].Who != "admin" || p[0].Until.Sub(p[0].Since).Round(time.Minute) != 4*time.Hour {
		t.Errorf("paused: %+v", p)
	}
	b.click("End…")
	b.click("End the pause")
	if p := f.model.mustStatus(t, shop).Pauses; len(p) != 0 {
		t.Errorf("unpaused: %+v", p)
	}
	b.open("/apps/shop/history")
	b.click("Roll back… to v0")
	b.click("Roll back")
	ticket, _ := f.model.Ticket("t1")
	if ticket.Order.Verb != loop.VerbRollback || ticket.Order.Number != 1 || !b.has("Waits for its turn") {
		t.Errorf("rolled back: %+v", ticket.Order)
	}
	f.model.begin("t1")
	f.model.finish("t1", "")
	b.open("/apps/shop")
	b.click("Resume…")
	b.click("Resume")
	if f.model.mustStatus(t, shop).Held.Hold {
		t.Error("the hold is not lifted")
	}
	b.open("/apps/shop/approve")
	if !b.has(loop.ErrNothingWaits.Error()) {
		t.Error("what is approved twice is not refused")
	}
	b.open("/apps/shop/logs")
	if !b.has("<slow> query") || b.has("[31m") {
		t.Error("the log is not shown as text")
	}
	b.fine()
}

// TestAReleaseIsFollowedAsItGoes: the page shows each line without being loaded anew.
func TestAReleaseIsFollowedAsItGoes(t *testing.T) {
	f := newFixture(t)
	b := newTab(t, f.served())
	b.login("operator")
	b.open("/apps/shop")
	b.click("Release…")
	b.run(chromedp.SendKeys("#version", "v2"))
	b.click("Release")
	b.until(`document.getElementById("live").textContent === "Live"`)
	eval[bool](b, `window.same = true`)
	f.model.begin("t1")
	b.until(`document.querySelector("main").innerText.includes("Under way")`)
	f.model.line(shop, "web-1", "start shop-web-v2")
	b.until(`document.querySelector("main").innerText.includes("start shop-web-v2")`)
	b.look(1280, "light")
	b.shoot("progress")
	f.model.finish("t1", "")
	b.until(`document.querySelector("main").innerText.includes("succeeded")`)
	if !eval[bool](b, `window.same`) {
		t.Error("the page was loaded anew")
	}
	hide := `(hidden) => { Object.defineProperty(document, "hidden", { value: hidden, configurable: true }); document.dispatchEvent(new Event("visibilitychange")); }`
	eval[bool](b, `(`+hide+`)(true), true`)
	for f.open() > 0 { // a page in the background listens no more
		b.run(chromedp.Sleep(10 * time.Millisecond))
	}
	f.model.change(shop, func(s *loop.Status) {
		s.Conditions = append(s.Conditions, state.Condition{Kind: loop.ConditionQuarantined})
	})
	eval[bool](b, `(`+hide+`)(false), true`)
	b.until(`document.querySelector("main").innerText.includes("Quarantined")`)
	b.fine()
}

// TestEverythingWorksWithoutScript: forms and links alone.
func TestEverythingWorksWithoutScript(t *testing.T) {
	f := newFixture(t)
	b := newTab(t, f.served())
	command(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	b.login("operator")
	b.run(chromedp.SendKeys("#filter", "nothing of the kind"))
	b.click("Filter")
	b.run(chromedp.WaitVisible(`//p[contains(., "No service fits")]`))
	b.open("/apps/shop/release")
	b.run(chromedp.SendKeys("#version", "v2"))
	b.click("Release")
	f.model.begin("t1")
	f.model.line(shop, "web-1", "start shop-web-v2")
	b.run(chromedp.Reload(), chromedp.WaitVisible(`//*[contains(., "start shop-web-v2")]`))
	f.model.finish("t1", "")
	b.run(chromedp.WaitVisible(`//dd[contains(., "succeeded")]`)) // the page loads itself anew while something is under way
	b.fine()
}

func TestKeysColoursAndLeaving(t *testing.T) {
	f := newFixture(t)
	b := newTab(t, f.served())
	b.login("admin")
	command(b, input.DispatchKeyEvent, input.DispatchKeyEventParams{Type: "keyDown", Key: "/", Text: "/"}) // as a keyboard does: what is prevented writes nothing
	if got := eval[string](b, `document.activeElement.id`); got != "filter" {
		t.Errorf("/ goes to %q", got)
	}
	b.run(chromedp.SendKeys("#filter", "mail"))
	if got := eval[[]string](b, `[...document.querySelectorAll("[data-row]:not([hidden]) .name")].map((e) => e.textContent)`); !slices.Equal(got, []string{"mailer"}) {
		t.Errorf("the filter leaves %v", got)
	}
	b.open("/")
	b.run(chromedp.KeyEvent(kb.Tab))
	if got := eval[string](b, `document.activeElement.className`); got != "skip" {
		t.Errorf("the first tab goes to %q", got)
	}
	if got := eval[string](b, `getComputedStyle(document.activeElement).outlineStyle`); got != "solid" {
		t.Errorf("what has the focus is not seen: %q", got)
	}
	b.look(1280, "dark")
	dark := eval[string](b, `getComputedStyle(document.body).backgroundColor`)
	b.run(chromedp.Click(`//button[@name="theme"]`), chromedp.WaitVisible(`html[data-theme="light"]`))
	if got := eval[string](b, `getComputedStyle(document.body).backgroundColor`); got == dark {
		t.Errorf("light is %s, as dark is", got)
	}
	if got := eval[string](b, `document.cookie`); got != "" {
		t.Errorf("scripts can read the cookies %q", got)
	}
	b.run(chromedp.Click(`//button[.="Log out"]`), chromedp.WaitVisible("#token"))
	b.open("/apps/shop/history")
	if got := eval[string](b, `location.pathname + location.search`); got != "/login?next=%2Fapps%2Fshop%2Fhistory" {
		t.Errorf("after leaving: %s", got)
	}
	b.run(chromedp.SendKeys("#token", "wrong"), chromedp.Submit("#token"), chromedp.WaitVisible("#why"))
	b.run(chromedp.SendKeys("#token", shown["reader"]), chromedp.Submit("#token"), chromedp.WaitVisible("#releases"))
	b.fine()
}

func TestALogNeverBecomesAPage(t *testing.T) {
	for line, want := range map[string]string{
		"\x1b[1;31mred\x1b[0m": "red", "\x1b]0;title\x07text": "text", "a\u202eb": "ab", "tab\there": "tab\there", "\xff": "�", "<script>": "<script>",
	} {
		if got := clean(line); got != want {
			t.Errorf("%q becomes %q", line, got)
		}
	}
	if got := string(coded("run `kamald resume` <b>now</b>")); got != "run <code>kamald resume</code> &lt;b&gt;now&lt;/b&gt;" {
		t.Errorf("coded: %s", got)
	}
}

func TestProgressLeavesOutWhatALaterLineSaysAgain(t *testing.T) {
	lines := progressLines([]reconcile.Progress{
		{Kind: "bytes", Step: "image/a", Host: "a", Bytes: 1, Total: 4}, {Kind: "bytes", Step: "image/a", Host: "a", Bytes: 3, Total: 4}, {Kind: "bytes", Step: "image/b", Host: "b", Bytes: 1},
		{Kind: "done", Step: "image/b", Host: "b"},
	})
	if len(lines) != 2 || lines[0].Percent != 75 || lines[1].Level != levelOK {
		t.Errorf("%+v", lines)
	}
}

func TestAGlanceIsTheHeaviestOfAll(t *testing.T) {
	s := loop.Status{Round: loop.Round{Number: 1}, Conditions: []state.Condition{{Kind: loop.ConditionPaused}, {Kind: loop.ConditionReleasing}, {Kind: loop.ConditionQuarantined}, {Kind: loop.ConditionUnreachable}}}
	if got := glanceAt(s); got != (glance{levelBad, "Quarantined"}) {
		t.Errorf("%+v", got)
	}
	if got := glanceAt(loop.Status{Round: loop.Round{Number: 1}}); got.Level != levelOK {
		t.Errorf("%+v", got)
	}
	if got := glanceAt(loop.Status{}); got.Level == levelOK {
		t.Errorf("an app that was not looked at is %+v", got)
	}
	for _, kind := range conditions {
		if _, known := labels[kind]; !known {
			t.Errorf("%s has no label", kind)
		}
	}
}
