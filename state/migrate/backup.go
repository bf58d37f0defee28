package migrate

import "github.com/kamald/kamald/state"

// reads is how often an app is read until two reads in a row have the same.
const reads = 10

// Backup brings all that a store keeps into an empty one while others may write to the first. What it takes of an app two reads in a row
// have the same, so that it is of one moment. Of an app that nobody leaves alone for that long it takes the last read, and says so: what
// came meanwhile may be there in part. At the end the other store is read anew, and an error names the app of which it has not the same.
func Backup(from, to state.Store) ([]Moved, error) {
	apps, err := from.Apps()
	if err != nil {
		return nil, err
	}
	moved := make([]Moved, 0, len(apps))
	for _, app := range apps {
		all, moving, err := readStill(from, app)
		if err != nil {
			return moved, err
		}
		if err := all.write(to, content{app: app}); err != nil {
			return moved, err
		}
		is, err := read(to, app)
		if err != nil {
			return moved, err
		}
		m, err := alike(all, is)
		if err != nil {
			return moved, err
		}
		m.Moving = moving
		moved = append(moved, m)
	}
	return moved, nil
}

// readStill reads an app until it stands still; moving tells that it did not.
func readStill(from state.Store, app state.App) (all content, moving bool, err error) {
	all, err = read(from, app)
	for n := 1; n < reads && err == nil; n++ {
		before := all
		if all, err = read(from, app); err == nil && all.moved() == before.moved() {
			return all, false, nil
		}
	}
	return all, true, err
}
