package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/state"
)

func TestLinesOfSeveralPlacesAreToldApart(t *testing.T) {
	var out, errs bytes.Buffer
	p := newProgram(&out, &errs)
	c, err := p.newConduit(execFlags{}, []string{"web-1 web", "jobs-1 workers"})
	if err != nil {
		t.Fatal(err)
	}
	web, jobs := c.named("web-1 web"), c.named("jobs-1 workers")
	for _, part := range []string{"one\ntw", "o\n\nth", "ree"} {
		_, _ = web.Out.Write([]byte(part))
		_, _ = jobs.Out.Write([]byte("mine\n"))
	}
	_, _ = web.Err.Write([]byte("oh\n"))
	c.close()
	want := "web-1 web      | one\njobs-1 workers | mine\nweb-1 web      | two\nweb-1 web      | \njobs-1 workers | mine\njobs-1 workers | mine\nweb-1 web      | three\n"
	if out.String() != want || errs.String() != "web-1 web      | oh\n" {
		t.Errorf("%q\nwant\n%q\n%q", out.String(), want, errs.String())
	}
}

func TestAPlaceAloneHasItsOutputAsItIs(t *testing.T) {
	var out, errs bytes.Buffer
	p := newProgram(&out, &errs)
	p.in = strings.NewReader("typed")
	c, err := p.newConduit(execFlags{interactive: true}, []string{"web-1 web"})
	if err != nil {
		t.Fatal(err)
	}
	s := c.place(reconcile.Place{Host: "web-1", Role: "web"})
	_, _ = s.Out.Write([]byte{0, 255, '\n', 13})
	if !bytes.Equal(out.Bytes(), []byte{0, 255, '\n', 13}) || s.In == nil || s.Terminal != nil {
		t.Errorf("%q %+v", out.Bytes(), s)
	}
}

// Whatever several write at once: no line is torn, none is lost, and a line without an end does not grow for ever.
func TestManyWritersTearNoLine(t *testing.T) {
	var out bytes.Buffer
	p := newProgram(&out, &out)
	names := []string{"a", "b", "c", "d"}
	c, err := p.newConduit(execFlags{}, names)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for _, name := range names {
		w := c.named(name).Out
		all.Go(func() {
			for n := range 500 {
				fmt.Fprintf(w, "%s says %d", name, n)
				fmt.Fprint(w, " and more\n")
			}
		})
	}
	all.Wait()
	next := map[string]int{}
	for line := range strings.Lines(out.String()) {
		name, _, _ := strings.Cut(line, " ")
		if want := fmt.Sprintf("%s | %s says %d and more\n", name, name, next[name]); line != want {
			t.Fatalf("%q, want %q", line, want)
		}
		next[name]++
	}
	out.Reset()
	w := c.named("a").Out
	for range 3 {
		_, _ = w.Write(bytes.Repeat([]byte("x"), lineHeld/2))
	}
	if got := strings.Count(out.String(), "\n"); got != 1 {
		t.Errorf("%d lines came of one that does not end", got)
	}
}

func TestTheAuditHasAProgramAndNoSecretOfALine(t *testing.T) {
	for line, want := range map[string]string{
		"uptime": "uptime", "  df -h /": "df", "/usr/bin/apt-get update": "/usr/bin/apt-get", "TOKEN=hidden deploy --key x": "deploy",
		"A=1 B=2 run": "run", `TOKEN="hi dden" deploy`: "a command", "TOKEN=hidden": "a command", "(hidden)": "a command", "": "a command",
		"'hidden prog'": "a command", "cat<hidden": "cat", "$HIDDEN x": "a command", "A=$(hidden x) run": "a command", "é": "a command",
	} {
		if got := firstWord(line); got != want {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
}

func TestAPrefixHasTheVersionWhereSeveralContainersWrite(t *testing.T) {
	var out, errs bytes.Buffer
	v := &logView{p: newProgram(&out, &errs), out: &out, app: state.App{Service: "shop"}, seen: map[string]logID{}, width: len("h1 web")}
	at := time.Date(2026, 1, 31, 18, 0, 0, 5e6, time.UTC)
	for _, l := range []reconcile.LogLine{
		{At: at, Host: "h1", Role: "web", ID: "a1", Version: "v1", Text: "one"},
		{At: at, Host: "h2", Role: "web", ID: "b1", Version: "v1", Text: "two"},
		{At: at, Host: "h1", Role: "web", ID: "a2", Version: "v2", Text: "three"},
		{At: at, Host: "h1", Role: "web", ID: "a1", Version: "v1", Text: "four"},
		{At: at, Host: "h1", Role: "web", ID: "a3", Version: "v2", Text: "five"},
		{At: at, Host: "h2", Role: "web", ID: "b1", Version: "v1", Text: "six"},
	} {
		v.line(l)
	}
	want := "h1 web | one\nh2 web | two\nh1 web v2 | three\nh1 web v1 | four\nh1 web v2 a3 | five\nh2 web       | six\n"
	if out.String() != want {
		t.Errorf("%s\nwant\n%s", out.String(), want)
	}
	out.Reset()
	v.stamps, v.p.out.file, v.p.out.color = true, os.Stdout, true
	v.line(reconcile.LogLine{At: at, Host: "h2", Role: "web", ID: "b1", Version: "v1", Text: "seven"})
	if got := out.String(); !strings.HasPrefix(got, "\x1b[2m2026-01-31T18:00:00.005Z\x1b[0m \x1b[") || !strings.HasSuffix(got, "\x1b[0m seven\n") {
		t.Errorf("%q", got)
	}
}
