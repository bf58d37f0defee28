package reconcile_test

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
)

// page states the invariants in public; its figures are written by the tests themselves.
const page = "../docs/invariants.md"

var writingFigures sync.Mutex

// figures puts text between a pair of markers of the page, when figures are wanted (`make long`, `make soak`).
func figures(t *testing.T, name, text string) {
	if os.Getenv("KAMALD_FIGURES") == "" {
		return
	}
	writingFigures.Lock()
	defer writingFigures.Unlock()
	data, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	begin, end := fmt.Sprintf("<!-- %s -->\n", name), fmt.Sprintf("<!-- /%s -->", name)
	before, rest, ok := strings.Cut(string(data), begin)
	_, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		t.Fatalf("%s has no markers %s", page, name)
	}
	if err := os.WriteFile(page, []byte(before+begin+text+"\n"+end+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

// table is the runs of each pair of scenario and fault.
func (l *tally) table() string {
	var text strings.Builder
	text.WriteString("| scenario |")
	for _, f := range faults {
		text.WriteString(" " + f.name + " |")
	}
	text.WriteString("\n|---|" + strings.Repeat("---:|", len(faults)) + "\n")
	for _, s := range scenarios {
		text.WriteString("| " + s.name + " |")
		for _, f := range faults {
			fmt.Fprintf(&text, " %d |", l.runs[s.name][f.name])
		}
		text.WriteString("\n")
	}
	return text.String() + "\n" + l.String() + "."
}
