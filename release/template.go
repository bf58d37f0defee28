package release

import "strings"

// Piece is a part of a text as a file writes it: text itself, or the source of an expression.
type Piece struct {
	Text       string
	Expression bool
}

// Template writes pieces as one text in quotes. "$${" would be read as an escape, so dollar signs before an expression are written
// as expressions, too.
func Template(pieces []Piece) string {
	var b strings.Builder
	text := ""
	for _, p := range pieces {
		if !p.Expression {
			text += p.Text
			continue
		}
		plain := strings.TrimRight(text, "$")
		b.WriteString(Unquoted(plain) + strings.Repeat(`${"$"}`, len(text)-len(plain)) + "${" + p.Text + "}")
		text = ""
	}
	return `"` + b.String() + Unquoted(text) + `"`
}

// Unquoted is a text escaped for a place within quotes.
func Unquoted(s string) string {
	return strings.TrimSuffix(strings.TrimPrefix(Quote(s), `"`), `"`)
}
