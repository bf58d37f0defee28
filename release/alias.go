package release

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Alias is a name for a command of kamald's.
type Alias struct {
	Name  string
	Words []string // of the command, without kamald before it
}

var aliasName = regexp.MustCompile(`\A[a-z0-9_][a-z0-9_-]*\z`)

// Expanded gives the words that stand for a command line whose first word is an alias, with the others behind its own; false when it
// is none. An alias may begin with another; one that comes to itself again is an error.
func Expanded(aliases []Alias, args []string) (words []string, found bool, err error) {
	var way []string
	for len(args) > 0 {
		i := slices.IndexFunc(aliases, func(a Alias) bool { return a.Name == args[0] })
		if i < 0 || len(aliases[i].Words) == 0 {
			break
		}
		if way = append(way, args[0]); slices.Contains(way[:len(way)-1], args[0]) {
			return nil, false, fmt.Errorf("alias %q comes to itself again: %s", way[0], strings.Join(way, " → "))
		}
		args = append(slices.Clone(aliases[i].Words), args[1:]...)
	}
	return args, len(way) > 0, nil
}

// compileAliases reads what the aliases stand for.
func (c *compiler) compileAliases() {
	blocks := c.root.children("alias")
	for _, b := range blocks {
		if !aliasName.MatchString(b.label) {
			c.errorf(b.rng, "Bad name", "%q cannot name an alias: lower-case letters, digits, - and _, the first no dash.%s", b.label, foreignLetter(b.label))
		}
		if slices.Contains(c.opts.Commands, b.label) {
			c.errorf(b.rng, "A command has this name", "kamald has a command %q, so the alias would never be used: give it another name.", b.label)
		}
		c.rel.Aliases = append(c.rel.Aliases, c.aliasOf(b))
	}
	for _, b := range blocks {
		if len(c.opts.Commands) == 0 {
			return // whoever reads the file has no commands
		}
		words, _, err := Expanded(c.rel.Aliases, []string{b.label})
		switch {
		case err != nil:
			c.errorf(b.get("command").rng, "An alias of itself", "%v.", err)
		case len(words) > 0 && !strings.HasPrefix(words[0], "-") && !slices.Contains(c.opts.Commands, words[0]):
			c.errorf(b.get("command").rng, "Unknown command", "kamald has no command %q.%s", words[0], didYouMean(words[0], c.opts.Commands))
		}
	}
}

func (c *compiler) aliasOf(b *block) Alias {
	v := b.get("command")
	if !v.set() || v.unknown {
		return Alias{Name: b.label}
	}
	words, err := splitCommand(v.text())
	switch {
	case err != nil:
		c.errorf(v.rng, "Bad command", "It cannot be split into words: %v.", err)
		return Alias{Name: b.label}
	case len(words) == 0:
		c.errorf(v.rng, "Bad command", "command says nothing.")
	case words[0] == "kamald":
		c.errorf(v.rng, "Bad command", "command is what follows kamald: write %q.", strings.Join(words[1:], " "))
	}
	return Alias{Name: b.label, Words: words}
}
