package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kamald/kamald/cmd/kamald/live"
	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
)

// progress shows what happens: on a terminal as a tree that is drawn over and ends as a summary, elsewhere as one event a line, and with
// --json as one object a line.
type progress struct {
	out    terminal
	quiet  bool
	json   bool
	hosts  int // columns of the longest host's name
	roles  int
	calls  func() []reconcile.Flight
	asked  func() bool // whether somebody asked it to stop
	styles live.Styles

	mu      sync.Mutex
	tree    live.Tree
	running []reconcile.Progress // begun and not ended, in the order they began
	done    []reconcile.Progress // ended well and not undone
	said    map[string]time.Time // when there was last a line about a step or a call that lasts
	ticking chan struct{}        // closed when nothing is drawn any more; nil: not begun
	ended   bool
}

const (
	// bytesEvery is how often a line is said about bytes that move, where there is no terminal to write it over.
	bytesEvery = 5 * time.Second
	// drawEvery is how often the tree is drawn.
	drawEvery = 100 * time.Millisecond
	// lookEvery is how often it is looked for what lasts, where there is no terminal, and lastsEvery how often a line is said about it.
	lookEvery  = time.Second
	lastsFirst = 10 * time.Second
	lastsEvery = 30 * time.Second
)

func (p *program) newProgress(desired release.Release, calls func() []reconcile.Flight) *progress {
	shown := &progress{out: p.err, quiet: p.flags.quiet, json: p.flags.json, calls: calls, asked: p.interrupt.happened, said: map[string]time.Time{}}
	shown.tree.Name = strings.TrimSpace(p.running + " " + desired.App().String())
	if shown.tall() {
		p.interrupt.whenContinued(p.err.pane.Forget) // the shell has written to the terminal
	}
	if p.err.color {
		shown.styles = live.Coloured()
	}
	for _, host := range desired.Hosts {
		shown.hosts = max(shown.hosts, len(host.Name))
	}
	for _, role := range desired.Roles {
		shown.roles = max(shown.roles, len(role.Name))
	}
	return shown
}

// watch shows from here on what is under way, also before there is any event.
func (p *progress) watch() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.quiet || p.json || p.ended || p.ticking != nil {
		return
	}
	p.tree.Began, p.ticking = time.Now(), make(chan struct{})
	every, tick := lookEvery, p.sayWhatLasts
	if p.tall() {
		p.out.pane.Forget()
		every, tick = drawEvery, p.draw
	}
	go func(ended <-chan struct{}) {
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for {
			select {
			case <-ended:
				return
			case <-ticker.C:
				p.mu.Lock()
				if !p.ended {
					tick()
				}
				p.mu.Unlock()
			}
		}
	}(p.ticking)
}

// tall tells whether the tree is drawn.
func (p *progress) tall() bool { return p.out.pane != nil }

// plan takes what is going to be carried out.
func (p *progress) plan(planned plan.Plan) {
	p.watch()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tree.Plan(planned)
}

// report takes one event; it is called from many goroutines.
func (p *progress) report(event reconcile.Progress) {
	p.watch()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.track(event)
	if p.quiet {
		return
	}
	if p.json {
		writeEvent(p.out, event)
		return
	}
	if line := p.line(event); line != "" {
		_, _ = fmt.Fprintln(p.out.prose(), line)
	}
}

// end takes the tree off the terminal, and leaves its summary there.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.stop() || !p.tall() {
		return
	}
	width, _ := p.out.size()
	for _, line := range p.tree.Summary(width, time.Now(), p.styles) {
		_, _ = fmt.Fprintln(p.out, line)
	}
}

// stop ends the drawing; false: there was none.
func (p *progress) stop() bool {
	if p.ended || p.ticking == nil {
		p.ended = true
		return false
	}
	p.ended = true
	close(p.ticking)
	if p.tall() {
		p.out.pane.Show(nil)
	}
	return true
}

// left says what has been begun and not undone, for whoever leaves at once: nothing is drawn any more.
func (p *progress) left() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stop()
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
	p.tree.Take(event)
	same := func(other reconcile.Progress) bool { return other.Step == event.Step }
	switch event.Kind {
	case "begin":
		p.running = append(p.running, event)
		p.said[event.Step] = event.At
	case "bytes", "waiting":
		if i := slices.IndexFunc(p.running, same); i >= 0 {
			p.running[i].Message = event.Message
		}
	case "done", "failed", "skipped":
		p.running = slices.DeleteFunc(p.running, same)
		if event.Kind == "done" && event.Host != "" {
			p.done = append(p.done, event)
		}
	case "undone":
		p.done = slices.DeleteFunc(p.done, same)
	}
}

// line is an event for a person, "" when it is not worth one. On a terminal the tree has most of them.
func (p *progress) line(event reconcile.Progress) string {
	message, _, _ := strings.Cut(strings.TrimPrefix(event.Message, event.Host+": "), "\n")
	if p.tall() && slices.Contains([]string{"planned", "bytes", "done"}, event.Kind) {
		return ""
	}
	switch event.Kind {
	case "begin", "skipped", "waiting":
		return ""
	case "bytes":
		if event.At.Sub(p.said[event.Step]) < bytesEvery {
			return ""
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
	return p.row(event.At, event.Host, event.Role, message)
}

// row is a line with its time, host and role.
func (p *progress) row(at time.Time, host, role, message string) string {
	line := at.Local().Format(time.TimeOnly) + "  "
	if host != "" {
		line += fmt.Sprintf("%-*s  ", p.hosts, host)
		if p.roles > 0 {
			line += fmt.Sprintf("%-*s  ", p.roles, role)
		}
	}
	return line + message
}

// writeEvent writes an event as JSON, on a line of its own.
func writeEvent(w io.Writer, event reconcile.Progress) {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(struct { // a reader that has gone away is no failure of what is done
		Schema int `json:"schema"`
		reconcile.Progress
	}{schema, event})
}

func (p *progress) draw() {
	p.look()
	width, height := p.out.size()
	// One column is left free: in the last one a terminal may break the line already.
	p.out.pane.Show(p.tree.Lines(width-1, height-1, time.Now(), p.styles))
}

func (p *progress) look() {
	if p.calls != nil {
		p.tree.Calls = p.calls()
	}
	p.tree.Stopped = p.asked()
}

// sayWhatLasts says of a step, or a call of none, that it goes on, and what it is in.
func (p *progress) sayWhatLasts() {
	p.look()
	now := time.Now()
	busy := map[string]bool{}
	for _, event := range p.running {
		busy[event.Step] = true
		in := ""
		if call := oldest(p.tree.Calls, event); call != nil && now.Sub(call.Since) >= live.CallShown {
			in = fmt.Sprintf(", in %s for %s", call.Method, short(now.Sub(call.Since)))
		}
		p.sayLasting(event.Step, event.At, now, event.Host, event.Role, fmt.Sprintf("%s: still under way after %s%s", event.Message, short(now.Sub(event.At)), in))
	}
	for _, call := range p.tree.Calls {
		if !busy[call.Step] {
			which := fmt.Sprintf("call %s %s %d", call.Host, call.Method, call.Since.UnixNano())
			p.sayLasting(which, call.Since, now, call.Host, "", fmt.Sprintf("no answer for %s: %s", short(now.Sub(call.Since)), call.Method))
		}
	}
}

// oldest is the call that a step has been in for longest.
func oldest(calls []reconcile.Flight, of reconcile.Progress) *reconcile.Flight {
	for i, call := range calls {
		if call.Step == of.Step && (of.Host == "" || call.Host == of.Host) {
			return &calls[i]
		}
	}
	return nil
}

// sayLasting says it after ten seconds, and then every thirty.
func (p *progress) sayLasting(what string, began, now time.Time, host, role, text string) {
	last := p.said[what]
	if now.Sub(began) < lastsFirst || last.After(began) && now.Sub(last) < lastsEvery {
		return
	}
	p.said[what] = now
	_, _ = fmt.Fprintln(p.out, p.row(now, host, role, text))
}

// short is a duration as a person reads it: 0.3s, 1m5s.
func short(d time.Duration) string { return live.Short(d) }
