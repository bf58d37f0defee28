package secrets

import (
	"context"
	"fmt"
	"regexp"
	"slices"
)

var uuid = regexp.MustCompile(`\A[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\z`)

// bwsAll asks for every secret, of a project or of all.
const bwsAll = "all"

type bwsSecret struct{ ID, Key, Value string }

// bitwardenSM takes secrets by their IDs, one call each; by their keys from a list of all, one call; or all of the list.
func bitwardenSM(ctx context.Context, t *tool, q Query) ([]found, error) {
	if _, err := t.run(ctx, "project", "list", "--output", "json"); refused(err) {
		return nil, fmt.Errorf("%s: not logged in: set BWS_ACCESS_TOKEN to a machine account's access token: %w", t.title, err)
	} else if err != nil {
		return nil, t.cannot("its projects", err)
	}
	var all []found
	lists := map[string][]bwsSecret{}
	keys := q.Keys
	if len(keys) == 0 {
		keys = []string{bwsAll}
	}
	for _, key := range keys {
		place, name := cutLast(prefixed(q.From, key))
		if uuid.MatchString(name) {
			secret, err := bwsGet(ctx, t, name)
			if err != nil {
				return nil, err
			}
			all = append(all, found{secret.Key, key, secret.Value})
			continue
		}
		list, ok := lists[place]
		if !ok {
			var err error
			if list, err = bwsList(ctx, t, place); err != nil {
				return nil, err
			}
			lists[place] = list
		}
		some, err := bwsPick(t, list, name, key)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}

func bwsGet(ctx context.Context, t *tool, id string) (secret bwsSecret, err error) {
	out, err := t.run(ctx, "secret", "get", id, "--output", "json")
	if err != nil {
		return secret, t.cannot("the secret "+id, err)
	}
	return secret, t.decode(out, &secret)
}

func bwsList(ctx context.Context, t *tool, project string) (list []bwsSecret, err error) {
	args, what := []string{"secret", "list"}, "the secrets"
	if project != "" {
		args, what = append(args, project), "the secrets of the project "+project
	}
	out, err := t.run(ctx, append(args, "--output", "json")...)
	if err != nil {
		return nil, t.cannot(what, err)
	}
	return list, t.decode(out, &list)
}

func bwsPick(t *tool, list []bwsSecret, name, asked string) ([]found, error) {
	if name != bwsAll {
		i := slices.IndexFunc(list, func(s bwsSecret) bool { return s.Key == name })
		if i < 0 {
			return nil, t.lacks("secret "+asked, "")
		}
		return []found{{list[i].Key, asked, list[i].Value}}, nil
	}
	var all []found
	for _, s := range list {
		all = append(all, found{key: s.Key, value: s.Value})
	}
	return all, nil
}
