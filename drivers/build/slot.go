package build

import (
	"fmt"
	"os"
	"path/filepath"
)

// slot is a directory that one build has to itself while it runs. A repository has as many as builds ever ran at once, each with a
// lock that ends with the process: no build waits for another, and none disturbs it. Destinations share them.
type slot struct {
	dir  string
	lock *os.File
}

// slots bounds how many builds of one repository run at once; beyond it something is wrong.
const slots = 64

// takeSlot takes the first slot of a kind that is free.
func takeSlot(kind string, r repository) (*slot, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, fmt.Errorf("there is no place for a clone: %w", err)
	}
	dir := filepath.Join(cache, "kamald", "build", digest(r.work))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("no place for a clone: %w", err)
	}
	for n := range slots {
		s := &slot{dir: filepath.Join(dir, fmt.Sprintf("%s-%d", kind, n+1))}
		switch s.lock, err = lockFile(s.dir + ".lock"); {
		case err != nil:
			return nil, err
		case s.lock != nil:
			return s, nil
		}
	}
	return nil, fmt.Errorf("%d builds of %s run already: their clones are in %s", slots, r.work, dir)
}

// clear throws away what lies in the slot.
func (s *slot) clear() error { return os.RemoveAll(s.dir) }

func (s *slot) free() error { return s.lock.Close() }
