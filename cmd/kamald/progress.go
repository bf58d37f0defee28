package main

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
)

// progress shows what happens: one event a line, and on a terminal below them what is under way.
type progress struct {
	out   terminal
	quiet bool
	wide  int // of the longest host name

	mu      sync.Mutex
	running []reconcile.Progress // begun and not ended, in the order they began
	done    []reconcile.Progress // ended well and not undone
	drawn   bool                 // the line of what is under way stands
	said    map[string]time.Time // when there was last a line about a step's bytes, or it began
}

// bytesEvery is how often a line is said about bytes that move, where there is no terminal to write it over.
const bytesEvery = 5 * time.Second

func newProgress(out terminal, desired release.Release, quiet, logged bool) *progress {
	out.live = out.live && !logged // log lines come between
	p := &progress{out: out, quiet: quiet, said: map[string]time.Time{}}
	for _, host := range desired.Hosts {
		p.wide = max(p.wide, len(host.Name))
	}
	return p
}

// report takes one event; it is called from many goroutines.
func (p *progress) report(event reconcile.Progress) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.track(event)
	if p.quiet {
		return
	}
	p.clear()
	if line := p.line(event); line != "" {
		_, _ = fmt.Fprintln(p.out, line)
	}
	p.draw()
}

// end takes the line of what is under way off the terminal.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
}

// left says what has been begun and not undone, for whoever leaves at once.
func (p *progress) left() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var lines []string
	for _, event := range p.done {
		lines = append(lines, fmt.Sprintf("%s: %s (done)", event.Host, event.Message))
	}
	for _, event := range p.running {
		lines = append(lines, fmt.Sprintf("%s: %s (under way)", event.Host, event.Message))
	}
	if len(lines) == 0 {
		lines = append(lines, "nothing was changed yet, as far as is known")
	}
	return lines
}

func (p *progress) track(event reconcile.Progress) {
	same := func(other reconcile.Progress) bool { return other.Step == event.Step }
	switch event.Kind {
	case "begin":
		p.running = append(p.running, event)
		p.said[event.Step] = event.At
	case "bytes":
		if i := slices.IndexFunc(p.running, same); i >= 0 {
			p.running[i].Message = event.Message
		}
	case "done", "failed":
		p.running = slices.DeleteFunc(p.running, same)
		if event.Kind == "done" && event.Host != "" {
			p.done = append(p.done, event)
		}
	case "undone":
		p.done = slices.DeleteFunc(p.done, same)
	}
}

// line is an event for a person, "" when it is not worth one.
func (p *progress) line(event reconcile.Progress) string {
	message, _, _ := strings.Cut(strings.TrimPrefix(event.Message, event.Host+": "), "\n")
	switch event.Kind {
	case "begin", "skipped":
		return ""
	case "bytes":
		if p.out.live || event.At.Sub(p.said[event.Step]) < bytesEvery {
			return "" // on a terminal it stands in the line of what is under way
		}
		p.said[event.Step] = event.At
	case "done":
		message = fmt.Sprintf("%s … %s", message, short(event.Took))
	case "failed":
		message = p.out.in(red, "failed: ") + message
	case "warn":
		message = p.out.in(yellow, "warning: ") + message
	case "undone":
		message = p.out.in(yellow, "undone: ") + message
	case "lock":
		message = "lock: " + message
	}
	if event.Host == "" {
		return message
	}
	return fmt.Sprintf("%-*s  %s", p.wide, event.Host, message)
}

func (p *progress) draw() {
	if !p.out.live || len(p.running) == 0 {
		return
	}
	var parts []string
	for _, event := range p.running {
		parts = append(parts, strings.TrimSpace(event.Host+" "+event.Message))
	}
	line := []rune("… " + strings.Join(parts, " · "))
	if limit := p.out.width() - 1; len(line) > limit {
		line = append(line[:limit-1], '…')
	}
	_, _ = fmt.Fprint(p.out, p.out.in(faint, string(line)))
	p.drawn = true
}

func (p *progress) clear() {
	if p.drawn {
		_, _ = fmt.Fprint(p.out, p.out.freshLine())
		p.drawn = false
	}
}

// short is a duration as a person reads it: 0.3s, 1m5s.
func short(d time.Duration) string {
	if d >= time.Minute {
		return d.Round(time.Second).String()
	}
	return fmt.Sprintf("%.1fs", d.Seconds())
}
