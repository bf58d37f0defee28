package live

import (
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"
	"pgregory.net/rapid"
)

func TestALongLineGoesOnBelowItselfAndAWordStaysWhole(t *testing.T) {
	var b strings.Builder
	_, _ = io.WriteString(Fold(&b, 46), "    image: registry.example.com/acme/shop:v1 → registry.example.com/acme/shop:v2\nshort\n\nGo on? [y/N] ")
	want := "    image: registry.example.com/acme/shop:v1 →\n      registry.example.com/acme/shop:v2\nshort\n\nGo on? [y/N]"
	if b.String() != want {
		t.Errorf("it is\n%s\nwant\n%s", b.String(), want)
	}
}

func TestFoldingChangesNothingButTheBreaksHoweverItIsWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOfN(rapid.StringMatching(`(\x1b\[31m)?[a-zé→]{1,12}(\x1b\[0m)?`), 1, 30).Draw(t, "words")
		indent, columns := rapid.IntRange(0, 8).Draw(t, "indent"), rapid.IntRange(24, 90).Draw(t, "columns")
		text := strings.Repeat(" ", indent) + strings.Join(words, " ") + "\n"
		var b strings.Builder
		w := Fold(&b, columns)
		for rest := text; rest != ""; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "piece")
			if cut := strings.LastIndexAny(rest[:n], " \n"); cut >= 0 && n < len(rest) {
				n = cut + 1 // a word comes whole
			} else if n < len(rest) {
				n = len(rest)
			}
			_, _ = io.WriteString(w, rest[:n])
			rest = rest[n:]
		}
		if got := strings.Fields(b.String()); !slices.Equal(got, strings.Fields(text)) {
			t.Fatalf("the words are %q, want %q", got, strings.Fields(text))
		}
		for line := range strings.Lines(b.String()) {
			if w := ansi.StringWidth(strings.TrimSuffix(line, "\n")); w > columns {
				t.Fatalf("%d columns in %d: %q", w, columns, line)
			}
		}
	})
}
