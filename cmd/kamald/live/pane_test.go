package live

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kamald/kamald/cmd/kamald/screen"
)

// newPane is a pane on a screen of its own; the width can be changed.
func newPane(width int) (*Pane, *screen.Screen, *int) {
	s := screen.New(width)
	return NewPane(crlf{s}, func() (int, int) { return width, 20 }), s, &width
}

// crlf has a newline go to the beginning of the line, as a terminal does.
type crlf struct{ *screen.Screen }

func (c crlf) Write(data []byte) (int, error) {
	_, _ = c.Screen.Write([]byte(strings.ReplaceAll(strings.ReplaceAll(string(data), "\r\n", "\n"), "\n", "\r\n")))
	return len(data), nil
}

func TestWhatIsWrittenStandsAboveTheLinesThatAreDrawnOver(t *testing.T) {
	p, s, _ := newPane(40)
	other := p.Beside(crlf{s})
	p.Show([]string{"tree 1", "  leaf"})
	_, _ = fmt.Fprintln(p, "a log line")
	p.Show([]string{"tree 2", "  leaf", "  leaf"})
	_, _ = fmt.Fprintln(other, "a result")
	if got, want := s.Text(), "a log line\na result\ntree 2\n  leaf\n  leaf\n"; got != want {
		t.Errorf("the screen shows\n%swant\n%s", got, want)
	}
	p.Show(nil)
	_, _ = fmt.Fprintln(other, "the end")
	if got, want := s.Text(), "a log line\na result\nthe end\n"; got != want {
		t.Errorf("at the end it shows\n%swant\n%s", got, want)
	}
}

func TestATerminalThatBecameNarrowerKeepsNothingOfTheTree(t *testing.T) {
	p, s, width := newPane(60)
	_, _ = fmt.Fprintln(p, "before")
	p.Show([]string{strings.Repeat("x", 59), "short"})
	*width = 20
	s.Resize(20)
	p.Show([]string{"narrow"})
	if got, want := s.Text(), "before\nnarrow\n"; got != want {
		t.Errorf("the screen shows\n%swant\n%s", got, want)
	}
}

func TestAQuestionIsNotDrawnOver(t *testing.T) {
	p, s, _ := newPane(40)
	p.Show([]string{"tree"})
	_, _ = fmt.Fprint(p, "Go on? [y/N] ")
	p.Show([]string{"tree 2"})
	if got, want := s.Text(), "Go on? [y/N]\n"; got != want {
		t.Errorf("the screen shows\n%swant\n%s", got, want)
	}
	_, _ = s.Write([]byte("y\r\n")) // the terminal's echo of what was typed
	p.Forget()
	p.Show([]string{"tree 3"})
	if got, want := s.Text(), "Go on? [y/N] y\ntree 3\n"; got != want {
		t.Errorf("after the answer it shows\n%swant\n%s", got, want)
	}
}

func TestASuspendedProgramDrawsBelowWhatItsShellSaid(t *testing.T) {
	p, s, _ := newPane(40)
	p.Show([]string{"tree"})
	_, _ = s.Write([]byte("^Z\r\n[1]+ Stopped\r\n$ fg\r\n"))
	p.Forget()
	p.Show([]string{"tree 2"})
	if got, want := s.Text(), "tree\n^Z\n[1]+ Stopped\n$ fg\ntree 2\n"; got != want {
		t.Errorf("the screen shows\n%swant\n%s", got, want)
	}
}
