package secrets

import (
	"bytes"
	"context"
	"fmt"
	"strings"
)

// bwItem is an item as `bw get item` has it.
type bwItem struct {
	Login struct{ Password *string }
	// Fields are the item's own; a password is none of them.
	Fields []struct {
		Name  string
		Value *string
	}
}

// bwAsked is an item and the keys that name it.
type bwAsked struct {
	item string
	keys []string // item, or item/field
}

func bitwarden(ctx context.Context, t *tool, q Query) ([]found, error) {
	if err := bwUnlock(ctx, t, q.Account); err != nil {
		return nil, err
	}
	var items []*bwAsked
	index := map[string]*bwAsked{}
	for _, key := range q.Keys {
		item, _, _ := strings.Cut(prefixed(q.From, key), "/")
		if index[item] == nil {
			index[item] = &bwAsked{item: item}
			items = append(items, index[item])
		}
		index[item].keys = append(index[item].keys, key)
	}
	var all []found
	for _, asked := range items {
		out, err := t.run(ctx, "get", "item", asked.item)
		if err != nil {
			return nil, t.cannot("the item "+asked.item, err)
		}
		var item bwItem
		if err := t.decode(out, &item); err != nil {
			return nil, err
		}
		for _, key := range asked.keys {
			some, err := item.values(t, asked.item, key, prefixed(q.From, key))
			if err != nil {
				return nil, err
			}
			all = append(all, some...)
		}
	}
	return all, nil
}

// bwUnlock logs in where nobody is, unlocks where it is locked, and brings the vault up to date.
func bwUnlock(ctx context.Context, t *tool, account string) error {
	const otherwise = "run `bw login` and `bw unlock` before, and set BW_SESSION"
	status, err := bwStatus(ctx, t)
	if err == nil && status == "unauthenticated" {
		if _, err := t.ask(ctx, nil, otherwise, "login", account); err != nil {
			return err
		}
		status, err = bwStatus(ctx, t)
	}
	if err == nil && status == "locked" {
		session, asked := t.ask(ctx, nil, otherwise, "unlock", "--raw")
		if asked != nil {
			return asked
		}
		if session = bytes.TrimSpace(session); len(session) > 0 {
			t.session = []string{"BW_SESSION=" + string(session)}
		}
		status, err = bwStatus(ctx, t)
	}
	switch {
	case err != nil:
		return err
	case status != "unlocked":
		return fmt.Errorf("%s: it stays locked: %s", t.title, otherwise)
	}
	if _, err := t.run(ctx, "sync"); err != nil {
		return t.cannot("what is new", err)
	}
	return nil
}

func bwStatus(ctx context.Context, t *tool) (string, error) {
	out, err := t.run(ctx, "status")
	if err != nil {
		return "", t.cannot("its status", err)
	}
	var answer struct{ Status string }
	err = t.decode(out, &answer)
	return answer.Status, err
}

// values are a field, or without one the password, or else all fields.
func (i bwItem) values(t *tool, item, key, path string) ([]found, error) {
	parts := strings.Split(path, "/")
	if len(parts) > 1 {
		for _, f := range i.Fields {
			if f.Name == parts[1] && f.Value != nil {
				return []found{{item + "/" + f.Name, key, *f.Value}}, nil
			}
		}
		return nil, t.lacks("field "+parts[1]+" with a value", " in the item "+item)
	}
	if i.Login.Password != nil {
		return []found{{item, key, *i.Login.Password}}, nil
	}
	var all []found
	for _, f := range i.Fields {
		if f.Value != nil {
			all = append(all, found{key: item + "/" + f.Name, value: *f.Value})
		}
	}
	if len(all) == 0 {
		return nil, t.lacks("password and no field", " in the item "+item)
	}
	return all, nil
}
