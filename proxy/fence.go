package proxy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"
)

// fencesKept is how many services without a deployment are remembered by their fence; the least recent go first.
const fencesKept = 1000

// ErrFenced is why a command under an older fence than one seen before is refused.
var ErrFenced = errors.New("a newer writer has changed this service")

// fencedError says which fences met. It is an ErrFenced.
type fencedError struct {
	service        string
	highest, yours uint64
}

func (e fencedError) Error() string {
	return fmt.Sprintf("service %s: a newer writer, fence %d, has changed this service; yours is %d: look at what it did before you write again", e.service, e.highest, e.yours)
}

func (e fencedError) Is(target error) bool { return target == ErrFenced }

// fences holds the highest fence that was seen of each service. Those of services with a deployment are in the state
// file; those of others, which a late writer could bring back, are in a file beside it. The router's lock guards it.
type fences struct {
	path    string
	highest map[string]fenceMark
	written []byte
}

type fenceMark struct {
	Fence uint64    `json:"fence"`
	At    time.Time `json:"at"`
}

func newFences(statePath string) fences {
	return fences{path: statePath + ".fences", highest: map[string]fenceMark{}}
}

func (f *fences) of(service string) uint64 { return f.highest[service].Fence }

// check refuses a fence below the highest seen. 0 is a caller that has none and is never refused.
func (f *fences) check(service string, fence uint64) error {
	if highest := f.of(service); fence != 0 && fence < highest {
		return fencedError{service, highest, fence}
	}
	return nil
}

// raise notes a fence that was checked, and returns what takes that back.
func (f *fences) raise(service string, fence uint64) (undo func()) {
	before, had := f.highest[service]
	if fence > before.Fence {
		f.highest[service] = fenceMark{fence, time.Now().UTC().Truncate(time.Second)}
	}
	return func() {
		if had {
			f.highest[service] = before
		} else {
			delete(f.highest, service)
		}
	}
}

// restore takes what was read from the state file; the higher one counts.
func (f *fences) restore(service string, fence uint64) {
	if fence > f.of(service) {
		f.highest[service] = fenceMark{fence, time.Now().UTC().Truncate(time.Second)}
	}
}

func (f *fences) read() error {
	data, err := os.ReadFile(f.path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = json.Unmarshal(data, &f.highest)
	}
	if err != nil {
		f.highest = map[string]fenceMark{}
		return errors.Join(fmt.Errorf("the fences of removed services in %s are lost: %w", f.path, err), os.Rename(f.path, f.path+".corrupt"))
	}
	f.written = data
	return nil
}

// write saves the fences of the services that the state file does not hold. It comes before the state file's own
// writing, so that at any moment one of the two has the fence.
func (f *fences) write(live map[string]serviceRecord) error {
	gone := map[string]fenceMark{}
	for name, mark := range f.highest {
		if rec, ok := live[name]; !ok || rec.raw != nil { // a damaged record is written as it was read
			gone[name] = mark
		}
	}
	names := slices.SortedFunc(maps.Keys(gone), func(a, b string) int { return gone[b].At.Compare(gone[a].At) })
	for i := fencesKept; i < len(names); i++ {
		delete(gone, names[i])
		delete(f.highest, names[i])
	}
	if len(gone) == 0 && f.written == nil {
		return nil
	}
	data, err := json.Marshal(gone)
	if err != nil {
		return fmt.Errorf("saving the fences: %w", err)
	}
	if data = append(data, '\n'); bytes.Equal(data, f.written) {
		return nil
	}
	if err := writeAtomically(f.path, data); err != nil {
		return fmt.Errorf("saving the fences (nothing was changed): %w", err)
	}
	f.written = data
	return nil
}
