package secrets

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// doppler takes secrets of one config in one call; without keys all.
func doppler(ctx context.Context, t *tool, q Query) ([]found, error) {
	place, err := dopplerPlace(t, q)
	if err != nil {
		return nil, err
	}
	if _, err := t.run(ctx, "me", "--json"); refused(err) {
		if _, err := t.ask(ctx, err, "run `doppler login` before, or set DOPPLER_TOKEN", "login", "-y"); err != nil {
			return nil, err
		}
	} else if err != nil {
		return nil, t.cannot("who is logged in", err)
	}
	args := []string{"secrets"}
	if len(q.Keys) > 0 {
		args = append(args, "get")
	}
	for _, key := range q.Keys {
		args = append(args, lastSegment(key))
	}
	out, err := t.run(ctx, append(append(args, "--json"), place...)...)
	if err != nil {
		return nil, t.cannot(orAll(q.Keys), err)
	}
	var answer map[string]struct{ Computed *string }
	if err := t.decode(out, &answer); err != nil {
		return nil, err
	}
	var all []found
	for _, key := range q.Keys {
		value := answer[lastSegment(key)].Computed
		if value == nil {
			return nil, t.lacks("secret "+key+" with a value", " that may be seen")
		}
		all = append(all, found{lastSegment(key), key, *value})
	}
	if len(q.Keys) == 0 {
		for _, name := range slices.Sorted(maps.Keys(answer)) {
			if value := answer[name].Computed; value != nil {
				all = append(all, found{key: name, value: *value})
			}
		}
	}
	return all, nil
}

// dopplerPlace are the flags for project and config; a service token has both in it.
func dopplerPlace(t *tool, q Query) ([]string, error) {
	if strings.HasPrefix(t.variable("DOPPLER_TOKEN"), "dp.st") {
		return nil, nil
	}
	path := q.From
	if len(q.Keys) > 0 {
		path = prefixed(q.From, q.Keys[0])
	}
	parts := strings.Split(path, "/")
	if len(parts) < 2 || parts[0] == "" || parts[1] == "" || len(q.Keys) > 0 && len(parts) < 3 {
		return nil, fmt.Errorf("%s: project and config are needed: --from project/config, or from in its fetch block", t.title)
	}
	return []string{"-p", parts[0], "-c", parts[1]}, nil
}

func orAll(keys []string) string {
	if len(keys) == 0 {
		return "the secrets"
	}
	return strings.Join(keys, ", ")
}
