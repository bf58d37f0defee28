package live

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"
	"pgregory.net/rapid"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/reconcile"
)

// views are trees, each with the second of the run at which it is looked at.
var views = map[string]struct {
	at   float64
	tree func() *Tree
}{
	"looking": {12.5, func() *Tree {
		t := &play{Tree: &Tree{Name: "apply shop", Began: noon}}
		t.call("", "web-1", "Engine.Info", 12.4)
		t.call("", "web-2", "Connect", 0.1)
		return t.Tree
	}},
	"pulling": {6.1, func() *Tree {
		t := newPlay(released([][]string{{"web-1", "web-2"}}, "jobs-1"))
		t.does("image/web-1/", 0.2, 3.1, "get image registry.example.com/acme/shop:v2")
		t.tell("begin", "image/web-2/", 0.2, "get image registry.example.com/acme/shop:v2")
		t.tell("bytes", "image/web-2/", 5.2, "get image registry.example.com/acme/shop:v2: 12.0 MiB of 48.0 MiB")
		t.call("image/web-2/", "web-2", "Engine.Pull", 0.3)
		t.tell("begin", "image/jobs-1/", 4, "get image registry.example.com/acme/shop:v2")
		return t.Tree
	}},
	"waiting": {9.3, func() *Tree {
		t := newPlay(released([][]string{{"web-1", "web-2"}}, "jobs-1"))
		t.prepared("web-1", "web-2", "jobs-1")
		t.does("prove/web-1/web", 4.5, 6, "prove shop-web-v2 healthy")
		t.byID["barrier//web"].status = done
		t.tell("begin", "prove/web-2/web", 4.5, "prove shop-web-v2 healthy")
		t.tell("waiting", "prove/web-2/web", 5, "prove shop-web-v2 healthy: GET /up answers 503")
		t.call("prove/web-2/web", "web-2", "Prober.HTTP", 9.1)
		t.tell("begin", "start/jobs-1/workers", 6, "start shop-workers-v2")
		return t.Tree
	}},
	"stuck": {47, func() *Tree {
		t := newPlay(released([][]string{{"ec2-203-0-113-25.eu-central-1.compute.amazonaws.example", "web-2"}}, "jobs-1"))
		t.prepared("ec2-203-0-113-25.eu-central-1.compute.amazonaws.example", "web-2", "jobs-1")
		t.tell("begin", "prove/ec2-203-0-113-25.eu-central-1.compute.amazonaws.example/web", 4.5, "prove shop-web-0f3c9d1a7b5e2c4d6f8091a3b5c7d9e1f2a4b6c8 healthy")
		t.call("prove/ec2-203-0-113-25.eu-central-1.compute.amazonaws.example/web", "ec2-203-0-113-25.eu-central-1.compute.amazonaws.example", "Engine.Inspect", 5)
		t.does("prove/web-2/web", 4.5, 5.5, "prove shop-web-v2 healthy")
		return t.Tree
	}},
	"failed": {14.2, func() *Tree {
		t := newPlay(released([][]string{{"web-1", "web-2"}}, "jobs-1"))
		t.prepared("web-1", "web-2", "jobs-1")
		t.tell("begin", "prove/web-1/web", 4.5, "prove shop-web-v2 healthy")
		t.tell("failed", "prove/web-1/web", 13, "web-1: prove shop-web-v2 healthy: it ended 3 times: exit code 3\n  | boom")
		t.tell("begin", "prove/web-2/web", 4.5, "prove shop-web-v2 healthy")
		t.tell("skipped", "prove/web-2/web", 13, "prove shop-web-v2 healthy: nobody waits for it any more")
		t.tell("undone", "start/web-1/web", 14, "undo: start shop-web-v2")
		t.tell("undone", "create/web-1/web", 14, "undo: create shop-web-v2")
		t.call("", "web-2", "Engine.Stop", 8)
		t.Stopped = true
		return t.Tree
	}},
	"fleet": {32, func() *Tree { return fleet(200, 1).Tree }},
	"groups": {75, func() *Tree {
		t := fleet(200, 10)
		for id, s := range t.steps {
			if s.Group > 0 && s.Group < 4 {
				t.does(id, 5, 60, "done")
			}
			if s.Group == 4 && s.Kind == plan.StepCreate {
				t.does(id, 61, 62, "create shop-web-v2")
			}
		}
		t.does("start/web-061/web", 62, 63, "start shop-web-v2")
		t.tell("begin", "prove/web-061/web", 63, "prove shop-web-v2 healthy")
		return t.Tree
	}},
	"command": {3.2, func() *Tree {
		t := &play{Tree: &Tree{Name: "reboot shop", Began: noon}}
		t.Take(reconcile.Progress{At: after(0.3), Kind: "begin", Host: "web-1", Step: "reboot/web-1", Message: "reboot kamal-proxy"})
		t.Take(reconcile.Progress{At: after(2.3), Kind: "done", Host: "web-1", Step: "reboot/web-1", Message: "reboot kamal-proxy"})
		t.Take(reconcile.Progress{At: after(2.3), Kind: "begin", Host: "web-2", Step: "reboot/web-2", Message: "reboot kamal-proxy"})
		return t.Tree
	}},
}

// fleet is a release on many hosts, of which some pull, some have failed, and most wait for their turn.
func fleet(n, groups int) *play {
	var parts [][]string
	for i := range n {
		if i%(n/groups) == 0 {
			parts = append(parts, nil)
		}
		parts[len(parts)-1] = append(parts[len(parts)-1], fmt.Sprintf("web-%03d", i+1))
	}
	t := newPlay(released(parts, "jobs-1"))
	if groups > 1 {
		for _, host := range append(flat(parts), "jobs-1") {
			t.does("image/"+host+"/", 0.2, 4.6, "get image registry.example.com/acme/shop:v2")
		}
		return t
	}
	for i, host := range flat(parts) {
		switch {
		case i < 150:
			t.does("image/"+host+"/", 0.2, 5+float64(i)/10, "get image registry.example.com/acme/shop:v2")
		case i < 190:
			t.tell("begin", "image/"+host+"/", float64(i)/20, "get image registry.example.com/acme/shop:v2")
		}
	}
	return t
}

// A step that asks again and again is in no call for long: what it says itself is worth the room.
func TestAStepOfManyShortCallsIsShownWithoutThem(t *testing.T) {
	tree := views["waiting"].tree()
	if step := tree.byID["prove/web-2/web"]; step == nil || len(tree.Calls) != 1 {
		t.Fatal("the view is another")
	}
	for _, c := range []struct {
		since float64
		shown bool
	}{{11.9, false}, {9.9, true}} {
		tree.Calls[0].Since = after(c.since)
		text := strings.Join(tree.Lines(100, 24, after(12), Styles{}), "\n")
		if strings.Contains(text, "Prober.HTTP") != c.shown || !strings.Contains(text, "GET /up answers 503") {
			t.Errorf("a call since second %g, at second 12:\n%s", c.since, text)
		}
	}
}

func TestTheTreeAsItLooks(t *testing.T) {
	for name, view := range views {
		var b strings.Builder
		for _, size := range [][2]int{{80, 24}, {120, 40}, {200, 60}, {80, 8}, {40, 12}} {
			fmt.Fprintf(&b, "== %d columns, %d lines\n", size[0], size[1])
			for _, line := range view.tree().Lines(size[0], size[1], after(view.at), Styles{}) {
				b.WriteString(line + "\n")
			}
		}
		b.WriteString("== what stays\n")
		for _, line := range view.tree().Summary(80, after(view.at), Styles{}) {
			b.WriteString(line + "\n")
		}
		golden := filepath.Join("testdata", name+".txt")
		if os.Getenv("KAMALD_GOLDEN") != "" {
			if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil { //nolint:gosec // a test's file is for all
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if b.String() != string(want) {
			t.Errorf("%s is otherwise now (KAMALD_GOLDEN=1 writes it):\n%s", golden, b.String())
		}
	}
}

// TestNoLineIsWiderThanTheTerminalAndNoneIsTooMany plays any events on any terminal.
func TestNoLineIsWiderThanTheTerminalAndNoneIsTooMany(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var groups [][]string
		for range rapid.IntRange(1, 4).Draw(t, "groups") {
			groups = append(groups, rapid.SliceOfN(rapid.StringMatching(`[a-z0-9.\-]{1,70}|[网络服务器🚀]{1,9}`), 1, 6).Draw(t, "hosts"))
		}
		p := newPlay(released(groups, "jobs-1"))
		ids := make([]string, 0, len(p.steps))
		for id := range p.steps {
			ids = append(ids, id)
		}
		slices.Sort(ids)
		kinds := rapid.SampledFrom([]string{"begin", "bytes", "waiting", "done", "failed", "skipped", "undone"})
		for i := range rapid.IntRange(0, 60).Draw(t, "events") {
			id := rapid.SampledFrom(ids).Draw(t, "step")
			p.tell("begin", id, float64(i), "begin")
			p.tell(kinds.Draw(t, "kind"), id, float64(i), rapid.String().Draw(t, "message"))
			if rapid.Bool().Draw(t, "calls") {
				p.call(id, p.steps[id].Host, "Engine.Inspect", float64(i))
			}
		}
		width, height := rapid.IntRange(1, 220).Draw(t, "width"), rapid.IntRange(1, 50).Draw(t, "height")
		styles := Styles{}
		if rapid.Bool().Draw(t, "coloured") {
			styles = Coloured()
		}
		now := after(rapid.Float64Range(0, 10000).Draw(t, "now"))
		lines := p.Lines(width, height, now, styles)
		if len(lines) > height {
			t.Fatalf("%d lines in %d:\n%s", len(lines), height, strings.Join(lines, "\n"))
		}
		for _, line := range slices.Concat(lines, p.Summary(width, now, styles)) {
			if w := ansi.StringWidth(line); w > width {
				t.Fatalf("%d columns in %d: %q", w, width, line)
			}
			if strings.ContainsAny(ansi.Strip(line), "\n\r\t\x1b") {
				t.Fatalf("a line does more than stand there: %q", line)
			}
		}
		if again := p.Lines(width, height, now, styles); !slices.Equal(again, lines) {
			t.Fatalf("it is drawn otherwise a second time:\n%q\n%q", lines, again)
		}
	})
}

func TestAFailureIsSeenHoweverManyHostsThereAre(t *testing.T) {
	tree := fleet(200, 1)
	tree.tell("failed", "image/web-177/", 20, "web-177: get image registry.example.com/acme/shop:v2: no space left on device")
	for _, height := range []int{9, 24, 60} {
		lines := tree.Lines(80, height, after(32), Styles{})
		if !slices.ContainsFunc(lines, func(line string) bool {
			return strings.Contains(line, "✗ web-177") && strings.Contains(line, "left on device")
		}) {
			t.Errorf("in %d lines it is not to be seen:\n%s", height, strings.Join(lines, "\n"))
		}
	}
}

func TestANameIsShortenedInItsMiddle(t *testing.T) {
	for _, c := range []struct {
		text    string
		columns int
		want    string
	}{
		{"web-1", 5, "web-1"}, {"web-10", 5, "we…10"}, {"web-10", 1, "…"}, {"web-10", 0, ""}, {"网络服务器", 7, "网…务器"}, {"网络服务器", 6, "网…器"},
	} {
		if got := Shorten(c.text, c.columns); got != c.want {
			t.Errorf("Shorten(%q, %d) is %q, want %q", c.text, c.columns, got, c.want)
		}
	}
}

func TestDurationsAreShort(t *testing.T) {
	for d, want := range map[time.Duration]string{340 * time.Millisecond: "0.3s", 59 * time.Second: "59.0s", 65500 * time.Millisecond: "1m6s"} {
		if got := Short(d); got != want {
			t.Errorf("Short(%v) is %s, want %s", d, got, want)
		}
	}
}
