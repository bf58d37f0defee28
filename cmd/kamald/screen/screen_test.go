package screen

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestAScreenShowsWhatATerminalShows(t *testing.T) {
	for name, c := range map[string]struct {
		written, text string
		unknown       int
	}{
		"lines":                     {"one\r\ntwo\r\n", "one\ntwo\n", 0},
		"a line that is too wide":   {"0123456789abc", "0123456789\nabc\n", 0},
		"over a line":               {"hello\rHE", "HEllo\n", 0},
		"a line that is taken off":  {"one\r\ntwo\r\x1b[2Kthree", "one\nthree\n", 0},
		"lines that are drawn over": {"one\r\ntwo\r\nthree\r\n\r\x1b[2A\x1b[J2\r\n", "one\n2\n", 0},
		"wide characters":           {"网络网络网络", "网络网络网\n络\n", 0},
		"colours":                   {"\x1b[1;31mred\x1b[0m \x1b[90mgrey\x1b[m", "red grey\n", 0},
		"what it does not know":     {"a\x1b[5Cb\x1b[48mc\x07\x1bM", "abc\n", 4},
	} {
		s := New(10)
		for _, b := range []byte(c.written) { // however it comes
			_, _ = s.Write([]byte{b})
		}
		if s.Text() != c.text || len(s.Unknown()) != c.unknown {
			t.Errorf("%s: it shows %q, want %q; it does not know %q", name, s.Text(), c.text, s.Unknown())
		}
	}
	s := New(10)
	_, _ = s.Write([]byte("ab\x1b[?25l"))
	if row, column, visible := s.CursorAt(); row != 0 || column != 2 || visible {
		t.Errorf("the cursor is at %d, %d, visible: %v", row, column, visible)
	}
}

func TestAPictureHasTheScreensWordsInEachTheme(t *testing.T) {
	first, last := New(30), New(30)
	_, _ = first.Write([]byte("$ kamald <apply>\r\n"))
	_, _ = last.Write([]byte("$ kamald <apply>\r\n\x1b[31mfailed:\x1b[0m   web-1 & web-2"))
	for _, theme := range []Theme{Light, Dark} {
		var b bytes.Buffer
		if err := Recording(&b, theme, `a "picture"`, []Frame{{Screen: first}, {At: time.Second, Screen: last}}); err != nil {
			t.Fatal(err)
		}
		var words []string
		for decoder := xml.NewDecoder(&b); ; {
			token, err := decoder.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if text, ok := token.(xml.CharData); ok && strings.TrimSpace(string(text)) != "" && !strings.Contains(string(text), "{") {
				words = append(words, string(text))
			}
		}
		want := []string{`a "picture"`, "$ kamald <apply>", "$ kamald <apply>", "failed:", "web-1 & web-2"}
		if !slices.Equal(words, want) {
			t.Errorf("%s: the words are %q, want %q", theme.Name, words, want)
		}
	}
}
