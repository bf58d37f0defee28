package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"

	"github.com/kamald/kamald/cmd/kamald/screen"
)

// What a person sees of a release while it goes on, on real servers: in a terminal, a narrow one and one that changes its size, in a pipe,
// as JSON, and when something is stuck or fails.
func TestReleasesAreSeenWhileTheyGoOn(t *testing.T) {
	f := newFixture(t)
	f.deploy(settings{timeout: "30s"})
	for _, version := range []string{"v1", "v2"} { // slow enough to be seen
		f.image(version, map[string]string{"APP_START_DELAY": "1s"})
	}
	f.image("sick", map[string]string{"APP_SICK": "true"})
	for _, part := range []struct {
		name string
		do   func(f *fixture)
	}{
		{"a tree in a terminal, and a summary at its end", wideTerminal},
		{"no colour where none is wanted, in forty columns", narrowTerminal},
		{"a terminal that changes its size", resizedTerminal},
		{"a line an event in a pipe", pipedEvents},
		{"an object an event as JSON, and the result", jsonEvents},
		{"only the result, and every call", quietAndLoud},
		{"what is not healthy says why, and for how long", neverHealthy},
		{"an engine that does not answer shows itself, by its call", stuckCall},
	} {
		if !t.Run(part.name, func(t *testing.T) { part.do(f.within(t)) }) {
			break // each begins with what the one before has left
		}
	}
}

// watched is a terminal of which every whole drawing is kept.
type watched struct {
	*terminal
	screen *screen.Screen
	rows   int
	pages  []page
}

// page is what stood on the screen when a drawing was whole.
type page struct {
	columns int
	text    string
}

// watch runs kamald in a terminal with colours, unless the environment says otherwise.
func (f *fixture) watch(columns, rows int, environment []string, args ...string) *watched {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	f.t.Cleanup(cancel)
	cmd := f.commandOf(ctx, args...)
	cmd.Args = slices.DeleteFunc(cmd.Args, func(word string) bool { return word == "--no-color" })
	cmd.Env = append(append(slices.Clone(cmd.Env), "NO_COLOR="), environment...)
	x := &watched{screen: screen.New(columns), rows: rows}
	x.terminal = f.onTerminal(uint16(columns), uint16(rows), cmd, x.take) //nolint:gosec // a few hundred
	return x
}

// take draws what came; each end of a drawing is a page.
func (x *watched) take(data []byte) {
	end := []byte(ansi.ResetModeSynchronizedOutput)
	for len(data) > 0 {
		part, rest, whole := bytes.Cut(data, end)
		_, _ = x.screen.Write(part)
		if whole {
			_, _ = x.screen.Write(end)
			if text := x.screen.Text(); len(x.pages) == 0 || x.pages[len(x.pages)-1].text != text {
				x.pages = append(x.pages, page{x.screen.Width, text})
			}
		}
		data = rest
	}
}

// becomes makes the terminal another size just after a drawing: the next is far off.
func (x *watched) becomes(columns, rows int) {
	x.t.Helper()
	x.draws(1)
	x.mu.Lock()
	defer x.mu.Unlock()
	x.resize(uint16(columns), uint16(rows)) //nolint:gosec // a few hundred
	x.screen.Resize(columns)
	x.rows = rows
}

// draws waits for so many drawings from here on.
func (x *watched) draws(n int) {
	x.t.Helper()
	limit := time.NewTimer(time.Minute)
	defer limit.Stop()
	for begun := -1; ; {
		x.mu.Lock()
		drawn, more := strings.Count(x.shown.String(), ansi.ResetModeSynchronizedOutput), x.more
		x.mu.Unlock()
		if begun < 0 {
			begun = drawn
		}
		if drawn >= begun+n {
			return
		}
		select {
		case <-more:
		case <-x.ended:
			x.t.Fatalf("it ended before it was drawn:\n%s", x.screen.Text())
		case <-limit.C:
			x.t.Fatalf("nothing is drawn:\n%s", x.screen.Text())
		}
	}
}

// until waits for a text on the screen.
func (x *watched) until(text string) {
	x.t.Helper()
	limit := time.NewTimer(time.Minute)
	defer limit.Stop()
	for {
		x.mu.Lock()
		seen, more := x.screen.Text(), x.more
		x.mu.Unlock()
		if strings.Contains(seen, text) {
			return
		}
		select {
		case <-more:
		case <-x.ended:
			x.t.Fatalf("it ended and %q never stood there:\n%s", text, seen)
		case <-limit.C:
			x.t.Fatalf("%q does not come:\n%s", text, seen)
		}
	}
}

// drew wants each of these expressions to be true of a page.
func (x *watched) drew(expressions ...string) {
	x.t.Helper()
	for _, expression := range expressions {
		re := regexp.MustCompile(expression)
		if !slices.ContainsFunc(x.pages, func(p page) bool { return re.MatchString(p.text) }) {
			x.t.Errorf("no drawing has %q; one of them was\n%s", expression, x.pages[len(x.pages)/2].text)
		}
	}
}

// inOrder wants a terminal on which nothing is left of the tree, each page to have had the tree once, and no line wider than the terminal.
func (x *watched) inOrder(code int) string {
	x.t.Helper()
	x.ends(code)
	text := x.screen.Text()
	for _, left := range []string{"Releasing ", "●", "○", "\x1b"} {
		if strings.Contains(text, left) {
			x.t.Errorf("%q is left on the screen:\n%s", left, text)
		}
	}
	if unknown := x.screen.Unknown(); len(unknown) > 0 {
		x.t.Errorf("the screen does not know %q", unknown)
	}
	if row, column, visible := x.screen.CursorAt(); !visible || column != 0 || row < strings.Count(text, "\n") {
		x.t.Errorf("the cursor is at line %d, column %d, visible: %v", row, column, visible)
	}
	for _, p := range x.pages {
		if n := strings.Count(p.text, "Releasing shop"); n > 1 {
			x.t.Errorf("the tree stands there %d times:\n%s", n, p.text)
		}
		_, tree, _ := strings.Cut(p.text, "Releasing shop")
		if n := strings.Count(tree, "\n") + 1; n > x.rows {
			x.t.Errorf("the tree has %d lines in a terminal of %d:\n%s", n, x.rows, p.text)
		}
	}
	return text
}

func wideTerminal(f *fixture) {
	x := f.watch(100, 30, nil, "apply", "--version", "v1")
	text := x.inOrder(0)
	x.drew(
		`Releasing shop v1 +\d+ of \d+ steps  \d+\.\ds\n`, // how far, and since when
		`✓ prepare +3 hosts +\d+\.\ds\n`,
		`● primary +\d of 2 hosts +\d+\.\ds\n(.*\n)*  ● h[12]  web +(start|prove) shop-web-v1.* \d+\.\ds\n`, // phase, host, role, step, time
		`○ others +waits for h[12]: `,
		`○ switch +waits for h\d: `,
	)
	if !strings.Contains(x.shown.String(), "\x1b[32m") {
		f.t.Error("nothing is in colour")
	}
	for _, want := range []string{"✓ prepare   3 hosts", "✓ primary   2 hosts", "✓ others    1 host", "HOST  ROLE     BEFORE  WANTED  NOW\n", "h3    workers  none    v1      v1\n", "Released shop v1 (release 1) in "} {
		if strings.Count(text, want) != 1 {
			f.t.Errorf("the summary has not once %q:\n%s", want, text)
		}
	}
}

func narrowTerminal(f *fixture) {
	x := f.watch(40, 24, []string{"NO_COLOR=1"}, "apply", "--version", "v2")
	text := x.inOrder(0)
	x.drew(`(?m)^  ● h[12]  web +`, `(?m)^Releasing shop v2`)
	if strings.Contains(x.shown.String(), "\x1b[3") {
		f.t.Error("there is colour")
	}
	for _, drawing := range strings.SplitAfter(x.shown.String(), "\n") {
		if width := ansi.StringWidth(strings.TrimRight(drawing, "\r\n")); width > 40 {
			f.t.Errorf("%d columns in a terminal of 40: %q", width, drawing)
		}
	}
	if !strings.Contains(text, "Released shop v2 (release 2)") {
		f.t.Errorf("the end is\n%s", text)
	}
}

func resizedTerminal(f *fixture) {
	x := f.watch(120, 30, nil, "apply", "--version", "v1")
	x.until("Releasing shop v1 ")
	for _, columns := range []int{60, 37, 90} {
		x.becomes(columns, 20)
		x.draws(2) // one may have been on its way
	}
	if text := x.inOrder(0); !strings.Contains(text, "Released shop v1 (release 3)") || strings.Count(text, "✓ primary") != 1 {
		f.t.Errorf("the end is\n%s", text)
	}
}

// piped is a line where nobody looks: time, host, role and step, each where there is one.
var piped = regexp.MustCompile(`^\d\d:\d\d:\d\d  (?:steps planned: \d+|open the barrier: .* … \d+\.\ds|h[123]  (?:web    |workers|       )  \S.* … \d+\.\ds)$`)

func pipedEvents(f *fixture) {
	r := f.must(0, "apply", "--version", "v2")
	lines := strings.Split(strings.TrimSpace(r.stderr), "\n")
	for _, line := range lines {
		if !piped.MatchString(line) {
			f.t.Errorf("this line is no event: %q", line)
		}
	}
	if !slices.IsSortedFunc(lines, func(a, b string) int { return strings.Compare(a[:8], b[:8]) }) && !strings.HasPrefix(lines[len(lines)-1], "00:") {
		f.t.Error("they are not in their order")
	}
	if len(lines) < 15 || strings.Contains(r.all(), "\x1b") {
		f.t.Errorf("there are %d lines, or sequences of a terminal", len(lines))
	}
}

func jsonEvents(f *fixture) {
	ctx, cancel := context.WithTimeout(f.t.Context(), time.Minute)
	defer cancel()
	cmd := f.command(ctx, "apply", "--version", "v1", "--json")
	var both bytes.Buffer // one pipe for both, as 2>&1 makes it
	cmd.Stdout, cmd.Stderr = &both, &both
	if err := cmd.Run(); err != nil {
		f.t.Fatalf("%v\n%s", err, both.String())
	}
	begun, ended := map[string]bool{}, map[string]bool{}
	var last time.Time
	decoder, events := json.NewDecoder(&both), 0
	for decoder.More() {
		var event struct {
			Schema                                   int
			At                                       time.Time
			Kind, Host, Role, Step, Message, Outcome string
			Took                                     time.Duration
		}
		var raw json.RawMessage
		if err := decoder.Decode(&raw); err != nil {
			f.t.Fatal(err)
		}
		if err := json.Unmarshal(raw, &event); err != nil || event.Schema != 1 {
			f.t.Errorf("%v: schema %d in %.200s", err, event.Schema, raw)
		}
		if event.Outcome != "" {
			if event.Outcome != "succeeded" || decoder.More() || events == 0 {
				f.t.Errorf("the result is %q, more: %v, after %d events", event.Outcome, decoder.More(), events)
			}
			continue
		}
		events++
		if event.At.Before(last) {
			f.t.Errorf("%s comes after what was later", raw)
		}
		last = event.At
		switch event.Kind {
		case "begin":
			begun[event.Step] = true
		case "done":
			if !begun[event.Step] || ended[event.Step] || event.Took <= 0 || event.Message == "" {
				f.t.Errorf("an end without a beginning, or the second: %s", raw)
			}
			ended[event.Step] = true
		case "planned", "waiting", "bytes":
		default:
			f.t.Errorf("not expected: %s", raw)
		}
	}
	if len(begun) < 15 || len(begun) != len(ended) {
		f.t.Errorf("%d steps began and %d ended", len(begun), len(ended))
	}
}

func quietAndLoud(f *fixture) {
	r := f.must(0, "apply", "--version", "v2", "-q")
	if lines := strings.Split(strings.TrimSpace(r.all()), "\n"); len(lines) != 1 || !strings.HasPrefix(lines[0], "Released shop v2 (release ") {
		f.t.Errorf("it says\n%s", r.all())
	}
	f.says(f.must(0, "apply", "--version", "v1", "-v"), "DBG Engine.Start host=h1", "DBG Proxy.Deploy host=h2", "start shop-web-v1 … ", "Released shop v1")
	x := f.watch(80, 24, nil, "apply", "--version", "v2", "-q")
	if text := x.inOrder(0); strings.Count(text, "\n") != 1 || len(x.pages) > 0 {
		f.t.Errorf("in a terminal it says, in %d drawings,\n%s", len(x.pages), text)
	}
}

func neverHealthy(f *fixture) {
	f.deploy(settings{timeout: "7s"})
	x := f.watch(100, 30, nil, "apply", "--version", "sick")
	text := x.inOrder(1)
	x.drew(`  ● h[12]  web +prove shop-web-sick healthy: GET :3000/up: 503 Service Unavailable +[5-7]\.\ds\n`, `Releasing shop sick \(failed\)`)
	f.failedWell(text)
	f.stillV("v2")
	if !long() {
		return
	}
	f.deploy(settings{timeout: "12s"})
	r := f.must(1, "apply", "--version", "sick")
	f.says(r, "web      prove shop-web-sick healthy: GET :3000/up: 503 Service Unavailable: still under way after 1")
	f.failedWell(r.all())
}

// failedWell wants the end of a release that failed: what failed, why, what runs now, what to do.
func (f *fixture) failedWell(text string) {
	f.t.Helper()
	text = strings.ReplaceAll(text, "\n  ", " ") // lines that a terminal would break are broken at words
	for _, want := range []string{"failed: prove shop-web-sick healthy", "503", "sick: the database does not answer", "it was undone: every role runs what it ran before.", "\nnext: mend what is said above and run `kamald apply` again; `kamald plan` shows where the servers stand", "h1    web      v2      sick    v2"} {
		if !strings.Contains(text, want) {
			f.t.Errorf("the end does not say %q:\n%s", want, text)
		}
	}
}

// stillV wants a version to serve, whatever was tried since.
func (f *fixture) stillV(version string) {
	f.t.Helper()
	f.wantRunning(f.host(1), "shop-web-"+version)
	f.wantRunning(f.host(2), "shop-web-"+version)
	f.wantRunning(f.host(3), "shop-workers-"+version)
	f.wantLatest(version)
}

// stuckCall has the second host's engine stand still in the middle of a release.
func stuckCall(f *fixture) {
	f.deploy(settings{timeout: "60s"})
	still := func(signal string) { f.exec(f.host(2), "pkill", signal, "-x", "dockerd") }
	x := f.watch(100, 30, nil, "apply", "--version", "v1")
	x.until("start shop-web-v1")
	still("-STOP")
	x.until(" for 6.")
	still("-CONT")
	x.inOrder(0)
	x.drew(`● h2  web +(start|prove) shop-web-v1.* \((Engine|Prober)\.\w+ for [5-9]\.\ds\)`, `waits for h2: `)
	if !long() {
		return
	}
	p := f.begin("apply", "--version", "v2")
	p.hears("steps planned", 1)
	still("-STOP")
	defer still("-CONT")
	p.hears(": still under way after 1", 1)
	still("-CONT")
	r := p.wait()
	if !regexp.MustCompile(`(?m)^\d\d:\d\d:\d\d  h2  web +(start|prove) shop-web-v2.*: still under way after 1\d\.\ds, in (Engine|Prober)\.\w+ for \d+\.\ds$`).MatchString(r.stderr) || r.code != 0 {
		f.t.Error("it is not said what is stuck")
	}
}
