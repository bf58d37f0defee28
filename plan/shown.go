package plan

import "fmt"

// Shown is what the text of a plan says, for a page that lays it out itself. What comes from servers is printable.
type Shown struct {
	Title    string
	Scope    string   // what it is limited to; "" when to nothing
	Choice   []string // how a policy chose the version
	Hosts    []ShownHost
	Lists    []ShownList // what else is to know, in the order of the text
	Deferred []ShownItem
	Problems []ShownProblem
	Notes    []string // which image is meant, how it goes over the hosts, what is not recorded
	Summary  string
}

// ShownHost is a host's part of the diff.
type ShownHost struct {
	Name  string
	Items []ShownItem
}

// ShownItem is one line of the diff.
type ShownItem struct {
	Action Action
	Host   string
	What   string // what it is about
	Why    string // the reason, the cause and the risk
	Risk   Risk
	Fields []ShownField
	Waits  string // of a deferred one: for what, where that is not what the whole plan waits for
}

// ShownField is one difference.
type ShownField struct{ Path, Before, After string }

// ShownList is lines under a title.
type ShownList struct {
	Title string
	Lines []string
}

// ShownProblem is why the plan cannot be carried out.
type ShownProblem struct{ Where, Summary, Next string }

// Shown gives the words of Text.
func (p Plan) Shown() Shown {
	o := p.outline()
	s := Shown{Title: Printable(o.title), Scope: Printable(o.scope), Summary: o.summary}
	if p.VersionPolicy != nil && p.VersionPolicy.Version != "" {
		s.Choice = append([]string{Printable(p.VersionPolicy.String())}, printables(p.VersionPolicy.Notes())...)
	}
	for _, host := range o.hosts {
		shown := ShownHost{Name: host.name}
		for _, item := range host.items {
			shown.Items = append(shown.Items, item.shown())
		}
		s.Hosts = append(s.Hosts, shown)
	}
	s.lists(p, o)
	for _, item := range o.deferred {
		shown := item.shown()
		if item.Deferred != p.Waits {
			shown.Waits = Printable(item.Deferred)
		}
		s.Deferred = append(s.Deferred, shown)
	}
	for _, problem := range p.Problems {
		s.Problems = append(s.Problems, ShownProblem{problem.where(), indent(problem.Summary), indent(problem.Next)})
	}
	for _, note := range []string{Printable(o.pinned), o.rollout, o.unrecorded} {
		if note != "" {
			s.Notes = append(s.Notes, note)
		}
	}
	return s
}

func (s *Shown) lists(p Plan, o outline) {
	add := func(title string, lines []string) {
		if len(lines) > 0 {
			s.Lists = append(s.Lists, ShownList{title, lines})
		}
	}
	var moved, gates []string
	for _, m := range p.Moved {
		moved = append(moved, m.String())
	}
	for _, g := range p.Gates {
		gates = append(gates, g.String())
	}
	hosts := func(skipped []Skipped) (lines []string) {
		for _, host := range skipped {
			lines = append(lines, fmt.Sprintf("%s: %s", host.Host, indent(host.Reason)))
		}
		return lines
	}
	add("Moved by hand", moved)
	add("Not serving, on purpose", gates)
	add(hooksTitle, o.hooks)
	add(notesTitle, printables(p.Notes))
	add(warningsTitle, printables(p.Warnings))
	add("Unreachable", hosts(o.skipped))
	add("Left out", hosts(p.Cordoned))
	add("Left behind: they left the file and cannot be reached", hosts(p.Left))
}

func (i Item) shown() ShownItem {
	s := ShownItem{Action: i.Action, Host: i.Host, What: Printable(i.what()), Why: Printable(i.why()), Risk: i.Risk}
	for _, f := range i.Fields {
		before, after := f.values()
		s.Fields = append(s.Fields, ShownField{Printable(f.Path), before, after})
	}
	return s
}

func printables(texts []string) (list []string) {
	for _, text := range texts {
		list = append(list, Printable(text))
	}
	return list
}
