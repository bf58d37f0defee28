package ruby

import (
	"slices"

	"go.yaml.in/yaml/v4"
)

// Merge lays over on top of base as Kamal lays a destination's file over deploy.yml: mappings merge key by key, everything else
// is replaced, also by nothing (a key whose value is empty). Keys of base keep their places and new ones come after them. An
// entry that both have takes position and comments of over, but where both are mappings those of base; a key of the root counts
// as the same whether it is written as a symbol or not. An empty over changes nothing. Neither is changed.
func Merge(base, over *Node) *Node {
	switch {
	case over == nil || over.Kind == Null:
		return base.clone()
	case base == nil || base.Kind == Null:
		return over.clone()
	}
	return lay(base, over, func(key *Node) string {
		if key.Symbol {
			return identity(&Node{Kind: String, Text: key.Text})
		}
		return identity(key)
	})
}

func lay(base, over *Node, id func(*Node) string) *Node {
	if base.Kind != Mapping || over.Kind != Mapping {
		return over.clone()
	}
	merged, index := base.clone(), map[string]int{}
	for i, e := range merged.Entries {
		index[id(e.Key)] = i
	}
	for _, e := range over.Entries {
		i, there := index[id(e.Key)]
		switch {
		case !there:
			index[id(e.Key)] = len(merged.Entries)
			merged.Entries = append(merged.Entries, Entry{Key: e.Key.clone(), Value: e.Value.clone()})
		case merged.Entries[i].Value.Kind == Mapping && e.Value.Kind == Mapping:
			merged.Entries[i].Value = lay(merged.Entries[i].Value, e.Value, identity)
		default:
			merged.Entries[i] = Entry{Key: e.Key.clone(), Value: e.Value.clone()}
		}
	}
	return merged
}

// clone copies a node and all below; expressions are shared, for nothing changes them.
func (n *Node) clone() *Node {
	if n == nil {
		return nil
	}
	c := *n
	c.Parts = slices.Clone(n.Parts)
	c.Comment.Head, c.Comment.Foot = slices.Clone(n.Comment.Head), slices.Clone(n.Comment.Foot)
	c.Items, c.Entries = nil, nil
	for _, item := range n.Items {
		c.Items = append(c.Items, item.clone())
	}
	for _, e := range n.Entries {
		c.Entries = append(c.Entries, Entry{Key: e.Key.clone(), Value: e.Value.clone()})
	}
	return &c
}

// merges tells whether a key is the merge key. Psych takes it so in quotes as well.
func merges(key *Node, y *yaml.Node) bool {
	return key.Kind == String && key.Parts == nil && !key.Symbol && key.Text == "<<" && (y.Style&yaml.TaggedStyle == 0 || y.Tag != "!!str")
}

// merge lays what a merge key names into a mapping, over what stands there before it, as Ruby does, and under what follows. It
// tells the first key that it laid in, and false where the value is nothing to merge.
func (d *document) merge(entries *entryList, value *Node, y *yaml.Node) (*Node, bool, error) {
	sources := []*Node{value}
	if value.Kind == Sequence && y.Kind == yaml.SequenceNode {
		sources = slices.Clone(value.Items)
		slices.Reverse(sources)
	}
	for _, source := range sources {
		if source.Kind != Mapping {
			d.problem(d.offset(y), "<<:", "what is to be merged is no mapping")
			return nil, false, nil
		}
	}
	var first *Node
	for _, source := range sources {
		for _, e := range source.Entries {
			key, err := d.copy(e.Key, y)
			if err != nil {
				return nil, false, err
			}
			entry := Entry{Key: key, Value: e.Value}
			entry.Key.Alias, entry.Value.Merged = source.Alias, true
			entries.put(entry)
			if first == nil {
				first = key
			}
		}
	}
	return first, true, nil
}
