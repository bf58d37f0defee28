package kamal

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/release/kamal/ruby"
)

// SecretLine is a line for .kamald/secrets: a name, and the right side of it as dotenv has it.
type SecretLine struct {
	Name    string
	Line    release.Secret
	Missing bool // only Ruby could tell it: a person is to write it
}

// keptLine is a line and what tells its secret from another that is to have the same name. It stays in the ledger: of a field that
// is not exported fmt prints the value, whatever its type.
type keptLine struct {
	SecretLine
	content string
}

// ledger keeps what stood in the source and belongs into the secrets file.
type ledger struct {
	lines    []keptLine
	reserved []string // names of secrets that the source refers to
	literals []string // texts that no report may show
}

// keep gives the name under which a line is kept, "" for one that a person is to write. Another value has another name; a
// destination's ends in its own.
func (l *ledger) keep(name, destination, content, line string) string {
	if destination != "" {
		if i := slices.IndexFunc(l.lines, func(s keptLine) bool { return s.Name == name && s.content == content }); i >= 0 {
			return name
		}
	}
	free := func(name string) bool {
		return !slices.Contains(l.reserved, name) && !slices.ContainsFunc(l.lines, func(s keptLine) bool {
			return s.Name == name && s.content != content
		})
	}
	if !free(name) && destination != "" {
		name += "_" + variable(destination)
	}
	for stem, n := name, 2; !free(name); n++ {
		name = fmt.Sprintf("%s_%d", stem, n)
	}
	if !slices.ContainsFunc(l.lines, func(s keptLine) bool { return s.Name == name }) {
		l.lines = append(l.lines, keptLine{SecretLine{Name: name, Line: release.NewSecret(line), Missing: line == ""}, content})
	}
	return name
}

func (l *ledger) reserve(name string) {
	if !slices.Contains(l.reserved, name) {
		l.reserved = append(l.reserved, name)
	}
}

// hide keeps a text out of every message.
func (l *ledger) hide(text string) {
	for _, line := range append([]string{text}, strings.Split(text, "\n")...) {
		if line = strings.TrimSpace(line); len(line) > 3 && !slices.Contains(l.literals, line) {
			l.literals = append(l.literals, line)
		}
	}
}

// secrets are the lines for the secrets file.
func (l *ledger) secrets() []SecretLine {
	var all []SecretLine
	for _, line := range l.lines {
		all = append(all, line.SecretLine)
	}
	return all
}

// own tells whether there is something for kamald's own secrets file.
func (l *ledger) own() bool { return len(l.lines) > 0 }

// passwordLine is a comment in which a secret may stand: an entry that was commented out.
var passwordLine = regexp.MustCompile(`(?i)^(\s*(?:-\s+)?["']?[a-z_]*(?:password|passwd|secret|token|api_key|private_key|key_data)["']?\s*[:=]\s+)([^\s<\[*&|>].*)$`)

// maskedComment is a comment without what must not be shown.
func (l *ledger) maskedComment(line string) string {
	return passwordLine.ReplaceAllString(l.masked(line), "${1}(left out)")
}

// maskedError is an error without what must not be shown.
func (l *ledger) maskedError(err error) error {
	var failed *unsettled
	if !errors.As(err, &failed) {
		return errors.New(l.masked(err.Error()))
	}
	for n, o := range failed.obstacles {
		failed.obstacles[n].what = l.masked(o.what)
	}
	return failed
}

// masked is a text without what must not be shown.
func (l *ledger) masked(text string) string {
	for _, literal := range l.literals {
		text = strings.ReplaceAll(text, literal, "(secret)")
	}
	return text
}

var notInName = regexp.MustCompile(`[^A-Z0-9]+`)

// variable makes a name of the environment of a text.
func variable(s string) string {
	return strings.Trim(notInName.ReplaceAllString(strings.ToUpper(s), "_"), "_")
}

var secretName = regexp.MustCompile(`\A[A-Za-z_][A-Za-z0-9_.-]*\z`)

// secret sets an attribute to a reference to a secret: a list of one names it, anything else is a value or a command that
// belongs into the secrets file under the given name.
func (t *translation) secret(b *block, attribute string, p place, name string) bool {
	v := t.secretValue(b, p, name)
	if v == nil {
		return false
	}
	f := t.put(b, attribute, v, p)
	for _, item := range p.items() {
		f.with(t.comment(item))
	}
	return true
}

func (t *translation) secretValue(b *block, p place, name string) *value {
	switch {
	case !t.says(p):
		return nil
	case p.mapping():
		t.drop(p, "Kamal takes a text here, or a list of one secret's name")
		return nil
	case p.sequence():
		items := p.items()
		if len(items) == 1 && items[0].scalar() && !items[0].open() && secretName.MatchString(items[0].text()) {
			return t.named(items[0].text())
		}
		t.todo(b, p, "Kamal takes a text here, or a list of one secret's name")
		return nil
	}
	return t.kept(p, name)
}

// named is a reference to a secret of the source's own.
func (t *translation) named(name string) *value {
	t.ledger.reserve(name)
	return raw("secret(" + quote(name) + ")")
}

// kept moves a value into the secrets file.
func (t *translation) kept(p place, name string) *value {
	t.ledger.hide(p.text())
	parts := p.parts()
	content, literal, ok := dotenv(parts)
	if !ok {
		name = t.ledger.keep(name, t.destination, asWritten(parts), "")
		t.report(p, Todo, "secret("+quote(name)+")", "Ruby computes its value, and kamald runs no Ruby; give .kamald/secrets a line "+name+"=…")
		return raw("secret(" + quote(name) + ")")
	}
	name = t.ledger.keep(name, t.destination, content, content)
	why := "its value is computed by a line of .kamald/secrets, as Ruby computed it here"
	if literal {
		why = "its value stood here; it is in .kamald/secrets now, which must not be committed"
	}
	t.changed(p, "secret("+quote(name)+")", why)
	return raw("secret(" + quote(name) + ")")
}

// asWritten tells one computed value from another.
func asWritten(parts []ruby.Part) string {
	var b strings.Builder
	for _, part := range parts {
		b.WriteString(part.Text)
		if part.Expr != nil {
			b.WriteString("<%=" + part.Expr.Source + "%>")
		}
	}
	return b.String()
}

// dotenv writes a value as the right side of a line. literal tells that it holds text of the source's own.
func dotenv(parts []ruby.Part) (content string, literal, ok bool) {
	if len(parts) == 1 && parts[0].Expr == nil && !strings.ContainsAny(parts[0].Text, "'\\") {
		return "'" + parts[0].Text + "'", true, true
	}
	var b strings.Builder
	for _, part := range parts {
		switch {
		case part.Expr == nil:
			b.WriteString(inDoubleQuotes.Replace(part.Text))
			literal = literal || strings.TrimSpace(part.Text) != ""
		default:
			text, ok := dotenvExpression(part.Expr)
			if !ok {
				return "", false, false
			}
			b.WriteString(text)
		}
	}
	if len(parts) == 1 && parts[0].Expr != nil {
		return b.String(), literal, true
	}
	return `"` + b.String() + `"`, literal, true
}

var inDoubleQuotes = strings.NewReplacer(`\`, `\\`, `"`, `\"`, `$`, `\$`)

// dotenvExpression refers to the environment, to a command or to a file.
func dotenvExpression(e *ruby.Expr) (string, bool) {
	for _, call := range e.Calls {
		if !slices.Contains([]string{"strip", "chomp", "to_s", "freeze"}, call.Method) {
			return "", false
		}
	}
	switch e.Kind {
	case ruby.Command:
		return "$(" + e.Name + ")", !strings.ContainsAny(e.Name, "\n\r") && balanced(e.Name)
	case ruby.File:
		return "$(cat " + shellQuote(e.Name) + ")", !strings.ContainsAny(e.Name, "\n\r")
	case ruby.Env:
		if !secretName.MatchString(e.Name) {
			return "", false
		}
		if len(e.Default) == 0 {
			return "${" + e.Name + "}", true
		}
		if len(e.Default) == 1 && e.Default[0].Expr == nil && !strings.ContainsAny(e.Default[0].Text, "\n\r'\"\\") {
			return "$(printenv " + e.Name + " || printf %s " + shellQuote(e.Default[0].Text) + ")", true
		}
	}
	return "", false
}

// balanced tells whether a command's brackets end where they should.
func balanced(command string) bool { return strings.Count(command, "(") == strings.Count(command, ")") }

func shellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// secretFiles names Kamal's files where they have another name than Kamal gives them, or where there are others beside them.
func (t *translation) secretFiles(p place) {
	t.secretsBlock = t.root.child("secrets", "")
	if p.isFalse() {
		t.nothing(p)
		return
	}
	if p.scalar() && !p.open() {
		t.secretsPath = p.text()
		t.translated(p, "secrets.files")
		return
	}
	if t.says(p) {
		t.todo(t.root, p, "the name of the secrets files is not known here")
	}
}

// nameSecretFiles writes the secrets block, once it is known whether there are own secrets.
func (t *translation) nameSecretFiles(own bool) {
	if t.secretsPath == "" && !own && !t.opts.exists(".kamald/secrets") {
		return
	}
	path := t.secretsPath
	if path == "" {
		path = ".kamal/secrets"
	}
	q := release.Unquoted(path)
	files := []string{`"` + q + `-common"`, `destination == "" ? "` + q + `" : "` + q + `.${destination}"`}
	if own || t.opts.exists(".kamald/secrets") {
		files = append(files, `".kamald/secrets"`)
	}
	list := &value{kind: listValue}
	for _, file := range files {
		list.list = append(list.list, &field{value: raw(file)})
	}
	t.secretsBlock.set("files", list)
}
