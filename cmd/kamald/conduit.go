package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"golang.org/x/term"

	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/state"
)

// conduit is what commands on servers are given for their input and output: our terminal, or what stands in its place.
type conduit struct {
	p     *program
	width int // of the longest name of a place
	many  bool

	in       io.Reader
	terminal *state.Terminal
	restore  func()
	left     context.CancelCauseFunc

	mu      sync.Mutex // one line at a time
	writers []*prefixed
}

// newConduit makes one for places by their names. With a terminal in front of us, an interactive command gets it: what is typed goes to the
// command alone, Ctrl-C too.
func (p *program) newConduit(e execFlags, names []string) (*conduit, error) {
	c := &conduit{p: p, many: len(names) > 1 && !e.raw, restore: func() {}, left: func(error) {}}
	for _, name := range names {
		c.width = max(c.width, len(name))
	}
	if p.flags.json && (e.interactive || e.raw) {
		return nil, errors.New("--json does not go with --interactive or --raw: the output is the command's own")
	}
	if !e.interactive {
		return c, nil
	}
	c.in = p.in
	file, ok := p.in.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return c, nil
	}
	sizes, enough := terminalSizes(file)
	c.terminal = &state.Terminal{Kind: os.Getenv("TERM"), Size: terminalSize(file), Resized: sizes}
	typed := &rawTerminal{file: file}
	c.in, c.restore = typed, sync.OnceFunc(func() {
		enough()
		typed.restore()
	})
	p.interrupt.before(c.restore)
	return c, nil
}

// rawTerminal is our terminal as a command's input. It is the command's alone from the first time that something is read: until then, as
// long as a server is being reached, Ctrl-C is ours.
type rawTerminal struct {
	file *os.File

	mu     sync.Mutex
	before *term.State // nil: as it was
	over   bool
}

// Read implements io.Reader.
func (r *rawTerminal) Read(b []byte) (int, error) {
	if err := r.begin(); err != nil {
		return 0, err
	}
	return r.file.Read(b)
}

func (r *rawTerminal) begin() (err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.over:
		return io.EOF
	case r.before == nil:
		if r.before, err = term.MakeRaw(int(r.file.Fd())); err != nil {
			return fmt.Errorf("the terminal: %w", err)
		}
	}
	return nil
}

// restore gives it back as it was.
func (r *rawTerminal) restore() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over = true; r.before != nil {
		_ = term.Restore(int(r.file.Fd()), r.before)
	}
}

// terminalSize is the zero value where it is not known.
func terminalSize(file *os.File) state.Size {
	width, height, err := term.GetSize(int(file.Fd()))
	if err != nil {
		return state.Size{}
	}
	return state.Size{Width: width, Height: height}
}

// close gives the terminal back, and writes what lines were begun.
func (c *conduit) close() {
	c.restore()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, w := range c.writers {
		w.end()
	}
	c.writers = nil
}

// heard gives a context that ends, too, when what commands say cannot be written any more.
func (c *conduit) heard(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, c.left = context.WithCancelCause(ctx)
	return ctx, func() { c.left(nil) }
}

// place gives a place's streams.
func (c *conduit) place(place reconcile.Place) state.Streams { return c.named(placeName(place)) }

// named gives the streams of a place by its name: of several, each line bears it.
func (c *conduit) named(name string) state.Streams {
	if c.p.flags.json {
		return state.Streams{Out: c.writer(name, c.p.err, ""), Err: c.writer(name, c.p.err, "")}
	}
	if c.many {
		color := colorOf(name)
		return state.Streams{Out: c.writer(name, c.p.out, color), Err: c.writer(name, c.p.err, color)}
	}
	return state.Streams{In: c.in, Out: audience{c.p.out, c.left}, Err: audience{c.p.err, c.left}, Terminal: c.terminal, Over: c.restore}
}

func (c *conduit) writer(name string, to terminal, color string) io.Writer {
	c.mu.Lock()
	defer c.mu.Unlock()
	text := name + strings.Repeat(" ", c.width-len(name)) + " | "
	if color != "" {
		text = to.in(color, text)
	}
	w := &prefixed{one: &c.mu, to: audience{to, c.left}, prefix: text, terminal: to.file != nil}
	c.writers = append(c.writers, w)
	return w
}

// lineHeld is how much of a line is held until its end comes.
const lineHeld = 64 << 10

// prefixed writes whole lines with a prefix: what several write at once is told apart.
type prefixed struct {
	one      *sync.Mutex
	to       io.Writer
	prefix   string
	terminal bool // to is one: what would do anything to it is taken out
	begun    []byte
}

// Write implements io.Writer.
func (w *prefixed) Write(b []byte) (int, error) {
	w.one.Lock()
	defer w.one.Unlock()
	n := len(b)
	for {
		line, rest, ended := bytes.Cut(b, []byte("\n"))
		w.begun = append(w.begun, line...)
		if !ended {
			if len(w.begun) >= lineHeld {
				w.end()
			}
			return n, nil
		}
		w.flush()
		b = rest
	}
}

// end writes a line that was begun.
func (w *prefixed) end() {
	if len(w.begun) > 0 {
		w.flush()
	}
}

func (w *prefixed) flush() {
	line := string(w.begun)
	if w.terminal {
		line = harmless(strings.TrimSuffix(line, "\r"))
	}
	_, _ = io.WriteString(w.to, w.prefix+line+"\n") // it never fails: whoever reads it may leave
	w.begun = w.begun[:0]
}
