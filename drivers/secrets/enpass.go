package secrets

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// enpassEntry is a password as `enpass-cli -json show` has it.
type enpassEntry struct{ Title, Label, Password string }

// enpass takes items, or single fields of them, from the vault in a directory.
func enpass(ctx context.Context, t *tool, q Query) ([]found, error) {
	if q.From == "" {
		return nil, fmt.Errorf("%s: the vault's directory is needed: --from, or from in its fetch block", t.title)
	}
	args := []string{"-json", "-vault", q.From, "show"}
	for _, key := range q.Keys {
		title, name := cutLast(key)
		if title == "" {
			title = name
		}
		if !slices.Contains(args[4:], title) {
			args = append(args, title)
		}
	}
	out, err := t.call(ctx, t.at.timeout, t.at.terminal, args) // it asks for the vault's password unless MASTERPW has it
	if err != nil {
		return nil, t.cannot(strings.Join(q.Keys, ", "), err)
	}
	var entries []enpassEntry
	if err := t.decode(out, &entries); err != nil {
		return nil, err
	}
	return enpassPick(t, q.Keys, entries)
}

func enpassPick(t *tool, keys []string, entries []enpassEntry) ([]found, error) {
	var all []found
	seen := map[string]bool{}
	answered := map[string]bool{}
	for _, e := range entries {
		key := e.Title
		if e.Label != "" {
			key += "/" + e.Label
		}
		byTitle, byKey := slices.Contains(keys, e.Title), slices.Contains(keys, key)
		if e.Title == "" || e.Password == "" || !byTitle && !byKey {
			continue
		}
		if seen[key] {
			return nil, fmt.Errorf("%s: %s is there more than once; give one of them another title", t.title, key)
		}
		f := found{key: key, value: e.Password}
		if byKey {
			f.asked = key
		}
		seen[key], answered[key], answered[e.Title] = true, true, answered[e.Title] || byTitle
		all = append(all, f)
	}
	for _, key := range keys {
		if !answered[key] {
			return nil, t.lacks(key+" with a password", " in the vault")
		}
	}
	return all, nil
}
