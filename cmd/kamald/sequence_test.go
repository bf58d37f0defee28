package main

import (
	"bytes"
	"os"
	"testing"

	"github.com/kamald/kamald/reconcile"
)

func TestOfALineOnATerminalOnlyColoursComeThrough(t *testing.T) {
	for line, want := range map[string]string{
		"plain\ttext, é and 日本":                   "plain\ttext, é and 日本",
		"\x1b]52;c;eA==\x07\x1b[2J":               "^[]52;c;eA==^G^[[2J",
		"\x1b[1;31mred\x1b[0m and \x1b[38:5:9mon": "\x1b[1;31mred\x1b[0m and \x1b[38:5:9mon\x1b[0m",
		"10 %\r20 %\b\x7f\x00":                    "10 %^M20 %^H^?^@",
		"\x1b[3\x1b[?25l\x1b":                     "^[[3^[[?25l^[",
		"\u009b2J \x9b2J \xc3":                    "\ufffd2J \ufffd2J \ufffd",
		"":                                        "",
	} {
		if got := harmless(line); got != want {
			t.Errorf("%q is shown as %q, want %q", line, got, want)
		}
	}
}

// What a server says does nothing to a terminal, and forges no line of another's; a pipe gets it as it is.
func TestWhatServersSayDoesNothingToATerminal(t *testing.T) {
	const said = "\x1b]52;c;eA==\x07\x1b[2J\r\x1b[31mred"
	for _, terminal := range []bool{false, true} {
		want := said
		var out, errs bytes.Buffer
		p := newProgram(&out, &errs)
		if terminal {
			p.out.file, want = os.Stdout, "^[]52;c;eA==^G^[[2J^M\x1b[31mred\x1b[0m"
		}
		c, err := p.newConduit(execFlags{}, []string{"a", "b"})
		if err != nil {
			t.Fatal(err)
		}
		_, _ = c.named("a").Out.Write([]byte(said + "\n"))
		v := &logView{p: p, out: &out, seen: map[string]logID{}}
		v.line(reconcile.LogLine{Host: "a", Text: said})
		if got := out.String(); got != "a | "+want+"\na | "+want+"\n" {
			t.Errorf("on a terminal: %v: %q", terminal, got)
		}
		out.Reset()
		if c, err = p.newConduit(execFlags{}, []string{"a"}); err != nil {
			t.Fatal(err)
		}
		_, _ = c.named("a").Out.Write([]byte(said))
		if got := out.String(); got != said {
			t.Errorf("of one place alone: %q", got)
		}
	}
}
