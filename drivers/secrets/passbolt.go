package secrets

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

type passboltFolder struct {
	ID       string
	ParentID string `json:"folder_parent_id"`
	Name     string
}

type passboltResource struct {
	Name, Password string
	FolderID       string `json:"folder_parent_id"`
}

// passbolt takes passwords of resources, [folder/…]name; one call gives all. Its filters are expressions in CEL.
func passbolt(ctx context.Context, t *tool, q Query) ([]found, error) {
	if _, err := t.run(ctx, "verify"); refused(err) {
		return nil, fmt.Errorf("%s: not logged in: run `passbolt configure` before: %w", t.title, err)
	} else if err != nil {
		return nil, t.cannot("whether it is set up", err)
	}
	folders, err := passboltFolders(ctx, t, q)
	if err != nil {
		return nil, err
	}
	resources, err := passboltResources(ctx, t, q, folders)
	if err != nil {
		return nil, err
	}
	var all []found
	for _, key := range q.Keys {
		place, name := cutLast(prefixed(q.From, key))
		i := slices.IndexFunc(resources, func(r passboltResource) bool {
			return r.Name == name && (place == "" || r.FolderID == "" || r.FolderID == folders[place])
		})
		if i < 0 {
			return nil, t.lacks("resource "+prefixed(q.From, key), "")
		}
		all = append(all, found{name, key, resources[i].Password})
	}
	return all, nil
}

// passboltFolders gives the IDs of the folders that the keys are in: those at the top by one call, each below by another.
func passboltFolders(ctx context.Context, t *tool, q Query) (map[string]string, error) {
	var places, tops, conditions []string
	for _, key := range q.Keys {
		place, _ := cutLast(prefixed(q.From, key))
		if place == "" || slices.Contains(places, place) {
			continue
		}
		places = append(places, place)
		if top, _, _ := strings.Cut(place, "/"); !slices.Contains(tops, top) {
			tops = append(tops, top)
			conditions = append(conditions, "Name == "+strconv.Quote(top))
		}
	}
	ids := map[string]string{}
	if len(places) == 0 {
		return ids, nil
	}
	found, err := passboltListFolders(ctx, t, strings.Join(conditions, " || "))
	if err != nil {
		return nil, err
	}
	for _, folder := range found { // one at the top goes before one of that name elsewhere
		if _, known := ids[folder.Name]; !known || folder.ParentID == "" {
			ids[folder.Name] = folder.ID
		}
	}
	for _, place := range places {
		if err := passboltDescend(ctx, t, ids, place); err != nil {
			return nil, err
		}
	}
	return ids, nil
}

// passboltDescend finds the folders on a path below the first.
func passboltDescend(ctx context.Context, t *tool, ids map[string]string, place string) error {
	names := strings.Split(place, "/")
	path := names[0]
	if ids[path] == "" {
		return t.lacks("folder "+path, "")
	}
	for _, name := range names[1:] {
		parent := ids[path]
		path += "/" + name
		if ids[path] != "" {
			continue
		}
		found, err := passboltListFolders(ctx, t, "Name == "+strconv.Quote(name)+" && FolderParentID == "+strconv.Quote(parent))
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return t.lacks("folder "+path, "")
		}
		ids[path] = found[0].ID
	}
	return nil
}

func passboltListFolders(ctx context.Context, t *tool, filter string) (folders []passboltFolder, err error) {
	out, err := t.run(ctx, "list", "folders", "--filter", filter, "--json")
	if err != nil {
		return nil, t.cannot("its folders", err)
	}
	return folders, t.decode(out, &folders)
}

func passboltResources(ctx context.Context, t *tool, q Query, folders map[string]string) (resources []passboltResource, err error) {
	var conditions, within []string
	loose := false // one that is in no folder: then not only folders are searched
	for _, key := range q.Keys {
		place, name := cutLast(prefixed(q.From, key))
		condition := "Name == " + strconv.Quote(name)
		if place == "" {
			loose = true
		} else {
			id := folders[place]
			condition = "(" + condition + " && FolderParentID == " + strconv.Quote(id) + ")"
			if !slices.Contains(within, id) {
				within = append(within, id)
			}
		}
		conditions = append(conditions, condition)
	}
	args := []string{"list", "resources", "--filter", strings.Join(conditions, " || ")}
	for _, id := range within {
		if !loose {
			args = append(args, "--folder", id)
		}
	}
	out, err := t.run(ctx, append(args, "--column", "name", "--column", "password", "--json")...)
	if err != nil {
		return nil, t.cannot(strings.Join(q.Keys, ", "), err)
	}
	return resources, t.decode(out, &resources)
}
