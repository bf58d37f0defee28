package ruby

import "strconv"

// entryList is a mapping as Ruby keeps it: a key that comes again replaces the value and keeps its place.
type entryList struct {
	entries []Entry
	index   map[string]int
}

// put sets an entry and tells the line in which its key was written before, 0 for not.
func (l *entryList) put(e Entry) int {
	id := identity(e.Key)
	i, there := l.index[id]
	if !there {
		if l.index == nil {
			l.index = map[string]int{}
		}
		l.index[id] = len(l.entries)
		l.entries = append(l.entries, e)
		return 0
	}
	previous := l.entries[i].Key
	l.entries[i] = e
	if previous.Merged {
		return 0
	}
	return previous.Line
}

// identity tells keys apart as Ruby does: "1" and 1, :a and "a" are two.
func identity(key *Node) string {
	id := strconv.Itoa(int(key.Kind))
	switch {
	case key.Symbol:
		return id + ":" + key.Text
	case key.Kind == Sequence || key.Kind == Mapping || key.Parts != nil && !key.Known():
		return id + "@" + strconv.Itoa(key.Line) + "," + strconv.Itoa(key.Column) + key.Written
	}
	return id + "=" + key.Text
}
