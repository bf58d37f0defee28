package kamal

import (
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// counterparts are the commands of Kamal that kamald has, by their first words; a second word that is none of a list's stays
// with Kamal.
var counterparts = map[string][]string{
	"setup": nil, "deploy": nil, "rollback": nil, "details": nil, "audit": nil, "config": nil, "docs": nil, "init": nil, "remove": nil,
	"version":   nil,
	"app":       {"boot", "start", "stop", "details", "exec", "containers", "images", "logs", "remove", "live", "maintenance", "version", "stale_containers"},
	"proxy":     {"boot", "reboot", "start", "stop", "restart", "details", "logs", "remove"},
	"accessory": {"boot", "reboot", "start", "stop", "restart", "details", "exec", "logs", "remove"},
	"build":     {"push", "remove", "details"},
	"prune":     {"all", "images", "containers"},
	"lock":      {"status", "acquire", "release"},
	"registry":  {"login", "logout"},
	"server":    {"exec", "bootstrap"},
	"secrets":   {"fetch", "extract", "print"},
}

// ownCommands are kamald's own first words, which no alias can have.
var ownCommands = []string{"init", "validate", "fmt", "config", "import", "adopt", "docs", "doctor", "plan", "apply", "deploy", "setup",
	"drift", "status", "details", "run", "release", "rollback", "history", "show", "diff", "approve", "pause", "unpause", "resume", "build", "push",
	"app", "accessory", "proxy", "server", "registry", "env", "secrets", "prune", "lock", "audit", "store", "remove", "version",
	"completion", "help"}

// flags of Kamal's that have another spelling.
var otherFlags = map[string]string{"-r": "--roles", "-h": "--hosts"}

// foreignFlags are flags of Kamal's that kamald does not have.
var foreignFlags = []string{"--lock-wait-timeout", "--lock-wait-interval"}

func (t *translation) aliases(p place) {
	if !t.open(p) {
		return
	}
	for _, e := range p.entries() {
		t.alias(e)
	}
}

func (t *translation) alias(p place) {
	switch {
	case slices.Contains(ownCommands, p.name()):
		t.todo(t.root, p, "kamald has a command of that name; give the alias another")
		return
	case !p.scalar() || p.open():
		t.todo(t.root, p, "an alias is a command that is known here")
		return
	}
	command, why := aliasCommand(p.text())
	if why != "" {
		t.todo(t.root, p, why)
		return
	}
	if command != p.text() {
		t.changed(p, "as kamald takes it", "-r is --roles and -h is --hosts there, and what exec runs is words and no line for a shell")
	}
	b := t.root.child("alias", p.name())
	t.comments(t.root, b, p)
	t.put(b, "command", raw(quote(command)), p)
}

// aliasCommand is Kamal's command as kamald takes it, or why it has no counterpart.
func aliasCommand(text string) (command, why string) {
	var words []string
	for word, err := range syntax.NewParser().WordsSeq(strings.NewReader(text)) {
		if err != nil {
			return "", "it is no simple command"
		}
		words = append(words, text[word.Pos().Offset():word.End().Offset()])
	}
	if len(words) == 0 {
		return "", "it says nothing"
	}
	rest, known := counterparts[words[0]]
	switch {
	case !known:
		return "", "kamald has no command " + words[0]
	case rest != nil && (len(words) < 2 || !slices.Contains(rest, words[1])):
		return "", "kamald has no command " + strings.Join(words[:min(2, len(words))], " ")
	}
	for i, word := range words {
		name, _, _ := strings.Cut(word, "=")
		if slices.Contains(foreignFlags, name) && ownFlag(words[:i]) {
			return "", "kamald has no flag " + name
		}
		if other, ok := otherFlags[name]; ok && ownFlag(words[:i]) {
			words[i] = other + strings.TrimPrefix(word, name)
		}
	}
	return strings.Join(execWords(words), " "), ""
}

// execWords gives the command of an exec in words of its own: Kamal has the host's shell read it, and kamald runs it without one. What
// needs a shell gets one.
func execWords(words []string) []string {
	last := len(words) - 1
	if last < 2 || words[1] != "exec" {
		return words
	}
	before := slices.Clone(words[:last])
	if words[0] == "accessory" && last > 2 {
		before = slices.Delete(before, 2, 3) // its name
	}
	if !ownFlag(before) {
		return words
	}
	text, quoted := strings.CutPrefix(words[last], words[last][:1])
	text = strings.TrimSuffix(text, words[last][:1])
	switch {
	case !quoted || words[last][0] != '"' && words[last][0] != '\'':
		return words
	case strings.ContainsAny(text, "|&;<>()$`\\\"'*?[]{}~#!=\n"):
		return append(words[:last:last], "sh", "-c", words[last])
	}
	return append(words[:last:last], strings.Fields(text)...)
}

// ownFlag tells whether a flag behind these words is Kamal's, and not one of the command that exec runs.
func ownFlag(before []string) bool {
	if len(before) < 2 || before[1] != "exec" {
		return true
	}
	for i, word := range before[2:] {
		takes := i > 0 && slices.Contains([]string{"-r", "-h", "-d", "-e", "--roles", "--hosts"}, before[2+i-1])
		if !strings.HasPrefix(word, "-") && !takes && !strings.HasPrefix(word, `"`) && !strings.HasPrefix(word, "'") {
			return false
		}
	}
	return true
}
