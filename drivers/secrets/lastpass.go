package secrets

import (
	"context"
	"slices"
	"strings"
)

type lastPassItem struct{ Fullname, Password string }

// lastPass takes items' passwords by name, with the folder before it; one call gives all.
func lastPass(ctx context.Context, t *tool, q Query) ([]found, error) {
	status, err := t.run(ctx, "status", "--color", "never")
	if err != nil && !refused(err) {
		return nil, t.cannot("who is logged in", err)
	}
	if strings.TrimSpace(string(status)) != "Logged in as "+q.Account+"." {
		if _, err := t.ask(ctx, err, "run `lpass login "+q.Account+"` before", "login", q.Account); err != nil {
			return nil, err
		}
	}
	args := []string{"show"}
	for _, key := range q.Keys {
		args = append(args, prefixed(q.From, key))
	}
	out, err := t.run(ctx, append(args, "--json")...)
	if err != nil {
		return nil, t.cannot(strings.Join(args[1:], ", "), err)
	}
	var items []lastPassItem
	if err := t.decode(out, &items); err != nil {
		return nil, err
	}
	var all []found
	for _, key := range q.Keys {
		path := prefixed(q.From, key)
		i := slices.IndexFunc(items, func(item lastPassItem) bool { return item.Fullname == path })
		if i < 0 {
			return nil, t.lacks("item "+path, "")
		}
		all = append(all, found{path, key, items[i].Password})
	}
	return all, nil
}
