package secrets

import (
	"strings"

	"mvdan.cc/sh/v3/syntax"

	"github.com/kamald/kamald/release"
)

// Renew is Secret for one that was refused, a token that has expired perhaps: the commands of its lines are run again, with those of
// the lines that they refer to, and the blocks that it comes from are asked again. Everything else stays as it was looked up.
func (l *Lookup) Renew(name string) (release.Secret, bool, error) {
	names := l.files.behind(name)
	for _, b := range l.blocks {
		if b.gave(names) {
			b.forget()
		}
	}
	l.files.renew(names)
	return l.Secret(name)
}

// gave tells whether the block was asked, and has one of some names.
func (b *block) gave(names map[string]bool) bool {
	b.mu.Lock()
	asked := b.asked
	b.mu.Unlock()
	if !asked {
		return false
	}
	c, _ := b.get()
	for name := range names {
		_, declared := b.declared[name]
		_, found := c.values[name]
		if declared || found {
			return true
		}
	}
	return false
}

// renew expands again what has one of some names.
func (d *dotenv) renew(names map[string]bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.values != nil {
		d.evaluate(func(e entry) bool { return !names[e.key] })
	}
}

// behind are the names that a name's value is made of, at any depth, and the name itself.
func (d *dotenv) behind(name string) map[string]bool {
	names := map[string]bool{}
	todo := []string{name}
	for len(todo) > 0 {
		next := todo[0]
		todo = todo[1:]
		if names[next] {
			continue
		}
		names[next] = true
		for _, e := range d.entries {
			if e.key == next {
				todo = append(todo, e.refers()...)
			}
		}
	}
	return names
}

// refers are the variables that an entry's value names. What a command takes from its environment without naming it is not known.
func (e entry) refers() []string {
	var names []string
	for _, p := range e.parts {
		switch p.kind {
		case variable:
			names = append(names, p.text)
		case command:
			names = append(names, variables(p.text)...)
		case literal:
		}
	}
	return names
}

// variables are those that a script refers to; one that does not read refers to none, and fails when it is run.
func variables(script string) []string {
	file, err := syntax.NewParser(syntax.Variant(syntax.LangPOSIX)).Parse(strings.NewReader(script), "")
	if err != nil {
		return nil
	}
	var names []string
	syntax.Walk(file, func(node syntax.Node) bool {
		if p, ok := node.(*syntax.ParamExp); ok && p.Param != nil {
			names = append(names, p.Param.Value)
		}
		return true
	})
	return names
}
