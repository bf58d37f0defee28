package proxy

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// gatedWriter takes nothing until it is opened.
type gatedWriter struct {
	open chan struct{}
	mu   sync.Mutex
	got  bytes.Buffer
}

func (g *gatedWriter) Write(p []byte) (int, error) {
	<-g.open
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.got.Write(p)
}

func TestALogThatNobodyReadsHoldsNothingUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := &gatedWriter{open: make(chan struct{})}
		w := newLineWriter(to)
		for n := range heldLines + 100 { // were one to wait, this test would never end
			_, _ = fmt.Fprintf(w, "line %d\n", n)
			synctest.Wait()
		}
		began := time.Now()
		w.Close(time.Second)
		if took := time.Since(began); took != time.Second {
			t.Errorf("the end waited %s for the reader, want its limit of 1s", took)
		}
		close(to.open)
		synctest.Wait()
		_, _ = w.Write([]byte("the last\n"))
		w.Close(time.Second)
		lines := strings.Split(strings.TrimSpace(to.got.String()), "\n")
		if lines[0] != "line 0" || lines[len(lines)-1] != "the last" || len(lines) != heldLines+3 {
			t.Errorf("%d lines, from %q to %q", len(lines), lines[0], lines[len(lines)-1])
		}
		if !strings.Contains(to.got.String(), "\"lines_lost\":99") {
			t.Errorf("it does not say how many were lost: %q", lines[1])
		}
	})
}

// pieces keeps each write.
type pieces struct {
	mu  sync.Mutex
	got []string
}

func (p *pieces) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.got = append(p.got, string(b))
	return len(b), nil
}

func TestLinesThatComeTogetherAreWrittenTogetherAndWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := &pieces{}
		w := newLineWriter(to)
		_, _ = fmt.Fprintln(w, "alone")
		synctest.Wait()
		if len(to.got) != 1 {
			t.Fatalf("a line after a silence waits: %q", to.got)
		}
		want := "alone\n"
		for n := range 100 {
			line := fmt.Sprintf("%d %s\n", n, strings.Repeat("x", 400))
			if n == 50 {
				line = strings.Repeat("y", 2*atomicWrite) + "\n"
			}
			want += line
			_, _ = w.Write([]byte(line))
		}
		synctest.Wait()
		if len(to.got) != 1 {
			t.Errorf("lines did not wait for each other: %d writes", len(to.got))
		}
		w.Close(time.Second)
		if got := strings.Join(to.got, ""); got != want {
			t.Errorf("%d bytes were written of %d", len(got), len(want))
		}
		if len(to.got) > 15 {
			t.Errorf("%d writes for 100 lines", len(to.got))
		}
		for _, piece := range to.got {
			if !strings.HasSuffix(piece, "\n") || len(piece) > atomicWrite && strings.Count(piece, "\n") > 1 {
				t.Errorf("a write of %d bytes tears lines", len(piece))
			}
		}
	})
}
