package docker

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kamald/kamald/state"
)

const stamp = "2026-01-31T18:00:00.123456789Z "

// framed is a frame of a log's stream.
func framed(stream byte, text string) string {
	head := [8]byte{0: stream}
	binary.BigEndian.PutUint32(head[4:], uint32(len(text)))
	return string(head[:]) + text
}

// linesOf reads a stream as ReadLog does.
func linesOf(stream string) (lines []string, err error) {
	source := bufio.NewReader(strings.NewReader(stream))
	told := func(l state.LogLine) {
		mark := "out "
		if l.Stderr {
			mark = "err "
		}
		if l.At.IsZero() {
			mark += "undated "
		}
		lines = append(lines, mark+l.Text)
	}
	if multiplexed(source) {
		return lines, readFrames(source, told)
	}
	return lines, readLines(source, told)
}

func TestALogsStreamIsReadAsLines(t *testing.T) {
	long := strings.Repeat("x", 20<<10)
	for name, c := range map[string]struct {
		stream string
		lines  []string
		err    error
	}{
		"nothing":           {stream: ""},
		"both streams":      {framed(1, stamp+"one\n") + framed(2, stamp+"two\n") + framed(1, stamp+"three\n"), []string{"out one", "err two", "out three"}, nil},
		"a line in parts":   {framed(1, stamp+long) + framed(2, stamp+"between\n") + framed(1, stamp+"end\n"), []string{"err between", "out " + long + "end"}, nil},
		"an empty line":     {framed(1, stamp+"\n"), []string{"out "}, nil},
		"an end without":    {framed(1, stamp+"no end"), []string{"out no end"}, nil},
		"a carriage return": {framed(1, stamp+"a\r\n"), []string{"out a"}, nil},
		"undated":           {framed(1, "what is this\n"), []string{"out undated what is this"}, nil},
		"cut off":           {framed(1, stamp+"one\n") + framed(1, stamp+"two\n")[:20], []string{"out one"}, io.ErrUnexpectedEOF},
		"cut in a head":     {framed(1, stamp+"one\n") + "\x01\x00\x00", []string{"out one"}, io.ErrUnexpectedEOF},
		"a terminal's":      {stamp + "one\r\n" + stamp + "two\r\n" + stamp + "three", []string{"out one", "out two", "out three"}, nil},
		"a terminal's long": {stamp + strings.Repeat("y", 100<<10) + "\n" + stamp + "two\n", []string{"out " + strings.Repeat("y", 100<<10), "out two"}, nil},
		"too long": {framed(1, stamp+strings.Repeat("z", 2*state.LogLineLimit)+"\n") + framed(1, stamp+"two\n"),
			[]string{"out " + strings.Repeat("z", state.LogLineLimit) + state.LogLineCut, "out two"}, nil},
	} {
		lines, err := linesOf(c.stream)
		if !slices.Equal(lines, c.lines) || !errors.Is(err, c.err) || (err != nil) != (c.err != nil) {
			t.Errorf("%s: %d lines, %v; want %d, %v\n%.200q\n%.200q", name, len(lines), err, len(c.lines), c.err, lines, c.lines)
		}
	}
	if _, err := linesOf("\x01\x00\x00\x00\x00\x00\x00\x02ab" + "HTTP/1.1 500 Oh"); err == nil {
		t.Error("what is no log was read as one")
	}
}

// Whatever comes: no line is longer than it may be, and nothing is read for ever.
func FuzzALogsStream(f *testing.F) {
	f.Add([]byte(framed(1, stamp+"one\n") + framed(2, stamp+"two")))
	f.Add([]byte(stamp + "one\r\n"))
	f.Add([]byte{1, 0, 0, 0, 255, 255, 255, 255, 'a'})
	f.Fuzz(func(t *testing.T, data []byte) {
		lines, _ := linesOf(string(data))
		size := 0
		for _, line := range lines {
			size += len(line)
		}
		if size > len(data)+20*len(lines)+len(lines)*len(state.LogLineCut) {
			t.Errorf("%d bytes of lines came of %d", size, len(data))
		}
	})
}

func TestALogIsFollowedToItsEndAndTakenUpAgain(t *testing.T) {
	e, ctx := realEngine(t), t.Context()
	withImage(t, e)
	id := made(t, e, uniqueName(), state.Spec{Image: testImage, Cmd: []string{"/app", "lines", "50"}}, nil)
	if err := e.Start(ctx, id); err != nil {
		t.Fatal(err)
	}
	var all []state.LogLine
	if err := e.ReadLog(ctx, id, state.LogQuery{Follow: true}, func(l state.LogLine) { all = append(all, l) }); err != nil || len(all) != 51 {
		t.Fatalf("%d lines, %v", len(all), err)
	}
	// The engine dates a line before it writes it, each stream's by itself: the order of the two is not that of their times.
	var rest []state.LogLine
	since := all[30].At
	late := slices.DeleteFunc(slices.Clone(all), func(l state.LogLine) bool { return l.At.Before(since) })
	if err := e.ReadLog(ctx, id, state.LogQuery{Since: since}, func(l state.LogLine) { rest = append(rest, l) }); err != nil || !slices.Equal(rest, late) || len(rest) < 10 {
		t.Errorf("since the 31st come %d lines, not %d, %v", len(rest), len(late), err)
	}
	if time.Since(all[0].At).Abs() > time.Hour || !slices.ContainsFunc(all, func(l state.LogLine) bool { return l.Stderr }) {
		t.Errorf("the first is of %s, and none of them of standard error", all[0].At)
	}
}

func TestAContainerForOneCommandHasItsStreamsAndIsGone(t *testing.T) {
	e, ctx := realEngine(t), t.Context()
	withImage(t, e)
	var out, errs bytes.Buffer
	id := made(t, e, uniqueName(), state.Spec{Image: testImage, Cmd: []string{"/app", "speak"}, Restart: "no", Passing: true}, nil)
	if code, err := e.RunThrough(ctx, id, state.Streams{Out: &out, Err: &errs}); err != nil || code != 7 || out.String() != "out" || errs.String() != "err" {
		t.Errorf("%d %v %q %q", code, err, out.String(), errs.String())
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if _, err := e.Inspect(ctx, id, state.View{}); errors.Is(err, state.ErrNotFound) {
			return
		} else if time.Now().After(deadline) {
			t.Fatalf("it is there still: %v", err)
		}
	}
}
