package kamal

import "strings"

// volumes sets a list of volumes.
func (t *translation) volumes(b *block, p place) {
	switch {
	case !t.says(p):
		return
	case p.scalar() && !p.open() && !strings.Contains(p.text(), ":"), p.mapping():
		t.drop(p, "Kamal takes a list here, not "+kindName(p.node))
		return
	}
	items := p.oneOrMore()
	list := &value{kind: listValue}
	if options := b.find("volumes", ""); options != nil { // docker run takes both
		list.list = options.value.list
	}
	for _, item := range items {
		if v := t.volume(b, item); v != nil {
			t.mark(item.node)
			list.list = append(list.list, &field{origin: item.origin(), comment: t.comment(item), value: v})
		}
	}
	if len(list.list) > 0 || len(items) == 0 {
		t.put(b, "volumes", list, p)
		return
	}
	t.mark(p.node)
}

// homes are ways to write the SSH user's home, in which Kamal's commands run.
var homes = []string{"$PWD/", "${PWD}/", "$HOME/", "${HOME}/"}

// volume is source:target[:mode]. Kamal leaves $PWD and the like to the shell of the host, which stands in the user's home.
func (t *translation) volume(b *block, p place) *value {
	if !p.scalar() || p.open() {
		return t.scalar(b, p)
	}
	text := p.text()
	for _, home := range homes {
		if rest, ok := strings.CutPrefix(text, home); ok {
			text = "./" + rest
			if strings.Contains(home, "HOME") {
				text = "~/" + rest
			}
			t.changed(p, text, "kamald uses no shell on the hosts; ./ and ~/ are the SSH user's home")
		}
	}
	switch {
	case strings.Contains(text, "$"):
		t.todo(b, p, "the host's shell expands a part of it, and kamald uses none; write the path, or one beginning with ~/")
		return nil
	case !strings.Contains(text, ":"):
		t.todo(b, p, "it is a volume without a name; kamald's have a source: \"name:"+text+"\"")
		return nil
	}
	return raw(quote(text))
}
