package live

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/charmbracelet/x/ansi"
)

// Pane is the end of a terminal where lines stand that are drawn over. What is written through it stands above them. The cursor is never
// hidden, and rests below the lines: whatever ends the program, the terminal is in order.
type Pane struct {
	w    io.Writer
	size func() (width, height int)

	mu    sync.Mutex
	lines []string
	drawn []int // how wide the lines are that stand there
	open  bool  // what was written through it last did not end its line: it waits there for an answer
}

// NewPane makes a pane of a terminal; size is asked before each drawing.
func NewPane(w io.Writer, size func() (width, height int)) *Pane { return &Pane{w: w, size: size} }

// Size is that of the terminal now.
func (p *Pane) Size() (width, height int) { return p.size() }

// Show draws lines in place of those that stand there; none takes them away.
func (p *Pane) Show(lines []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(lines) == 0 && len(p.drawn) == 0 {
		p.lines = nil
		return
	}
	p.lines = lines
	var b bytes.Buffer
	p.clear(&b)
	p.draw(&b)
	p.put(&b)
}

// Write implements io.Writer: above the lines.
func (p *Pane) Write(data []byte) (int, error) { return p.Beside(p.w).Write(data) }

// Beside gives a writer to the same terminal by another way, which respects the lines.
func (p *Pane) Beside(w io.Writer) io.Writer { return beside{p, w} }

type beside struct {
	pane *Pane
	w    io.Writer
}

// Write implements io.Writer.
func (b beside) Write(data []byte) (int, error) {
	p := b.pane
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.drawn) > 0 {
		var before bytes.Buffer
		p.clear(&before)
		p.put(&before)
	}
	n, err := b.w.Write(data)
	p.open = n > 0 && data[n-1] != '\n'
	if len(p.lines) > 0 {
		var after bytes.Buffer
		p.draw(&after)
		p.put(&after)
	}
	return n, err
}

// Forget lets what stands there be: somebody else has written to the terminal, or somebody has typed an answer there, and the lines are
// drawn anew below it.
func (p *Pane) Forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.drawn, p.open = nil, false
}

// put writes a drawing at once, so that the terminal shows none of it half done.
func (p *Pane) put(b *bytes.Buffer) {
	if b.Len() == 0 {
		return
	}
	_, _ = fmt.Fprintf(p.w, "%s%s%s", ansi.SetModeSynchronizedOutput, b.Bytes(), ansi.ResetModeSynchronizedOutput)
}

// clear takes the lines away. A terminal that became narrower has broken them: each takes as many rows as it needs now.
func (p *Pane) clear(b *bytes.Buffer) {
	if len(p.drawn) == 0 {
		return
	}
	width, _ := p.size()
	rows := 0
	for _, columns := range p.drawn {
		rows += max(1, (columns+width-1)/max(1, width))
	}
	b.WriteString("\r" + ansi.CursorUp(rows) + ansi.EraseScreenBelow)
	p.drawn = nil
}

func (p *Pane) draw(b *bytes.Buffer) {
	if p.open { // a question stands there: its answer is not drawn over
		return
	}
	for _, line := range p.lines {
		p.drawn = append(p.drawn, ansi.StringWidth(line))
	}
	if len(p.lines) > 0 {
		b.WriteString(strings.Join(p.lines, "\r\n") + "\r\n")
	}
}
