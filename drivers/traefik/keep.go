package traefik

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// records are the routes that the files hold, sorted by name.
func (d *Driver) records(ctx context.Context) ([]record, error) {
	names, err := d.files.List(ctx, d.dir)
	if err != nil {
		return nil, fmt.Errorf("list the routes of Traefik in %s: %w", d.dir, err)
	}
	var all []record
	for _, name := range names {
		if !isRouteFile(name) {
			continue
		}
		data, err := d.files.Read(ctx, d.path(name))
		if errors.Is(err, fs.ErrNotExist) {
			continue // it went between the two calls
		}
		if err != nil {
			return nil, fmt.Errorf("read the route in %s: %w", d.path(name), err)
		}
		kept, ours, err := parse(data)
		if err != nil {
			return nil, fmt.Errorf("the file %s was changed by hand and does not read: %w; remove it and apply again", d.path(name), err)
		}
		if ours {
			all = append(all, kept)
		}
	}
	slices.SortFunc(all, func(a, b record) int { return strings.Compare(a.Route.Name, b.Route.Name) })
	return all, nil
}
