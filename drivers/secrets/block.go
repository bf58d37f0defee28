package secrets

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/kamald/kamald/release"
)

// block is a fetch block of deploy.hcl. It is asked once, at the first secret that is looked for in it, and is safe for concurrent
// use.
type block struct {
	release.Fetch
	declared map[string]string // a secret's name → what the source knows it by
	open     bool              // it may have others than the declared
	ask      func() (contents, error)

	mu    sync.Mutex
	given func() (contents, error) // ask, once
	asked bool
}

// contents is what a block has given.
type contents struct {
	values map[string]string
	names  []string // each value by the name that it is best known by
}

func newBlock(at surroundings, f release.Fetch) (*block, error) {
	a, err := adapterNamed(f.Source)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f, err)
	}
	b := &block{Fetch: f, declared: map[string]string{}, open: a.open || len(f.Keys) == 0}
	q := Query{Adapter: f.Source, Account: f.Account, From: f.From, Identity: f.Identity}
	if f.File != "" {
		q.From = f.File
	}
	for _, key := range f.Keys {
		name, source := f.Name(key)
		b.declared[name] = source
		q.Keys = append(q.Keys, source)
	}
	b.ask = func() (contents, error) {
		all, err := fetch(context.Background(), at, q)
		var c contents
		if err == nil {
			c, err = b.named(all)
		}
		if err != nil {
			return contents{}, fmt.Errorf("%s: %w", f, err)
		}
		return c, nil
	}
	b.forget()
	return b, nil
}

// get gives what the source has; it is asked at the first call.
func (b *block) get() (contents, error) {
	b.mu.Lock()
	given := b.given
	b.asked = true
	b.mu.Unlock()
	return given()
}

// forget lets the next get ask again.
func (b *block) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.given, b.asked = sync.OnceValues(b.ask), false
}

// named gives what was found its names: those of the keys, and where only the source knows them the last segment of each path, as
// Kamal's `extract` finds it. Where two have one name the first counts.
func (b *block) named(all []found) (contents, error) {
	c := contents{values: map[string]string{}}
	put := func(name, value string, best bool) {
		if _, taken := c.values[name]; taken {
			return
		}
		c.values[name] = value
		if best {
			c.names = append(c.names, name)
		}
	}
	renamed := map[string]bool{}
	for _, key := range b.Keys {
		name, source := b.Name(key)
		for _, f := range all {
			if f.asked == source {
				put(name, f.value, source != key || !b.open || name == lastSegment(f.key))
			}
		}
		if _, ok := c.values[name]; source != key && !ok {
			return c, fmt.Errorf("%s is no single secret there, so that it cannot have the name %s", source, name)
		}
		renamed[source] = source != key
	}
	for _, f := range all {
		if b.open && !renamed[f.asked] {
			put(lastSegment(f.key), f.value, true)
		}
	}
	return c, nil
}

// blocks are those of a file, in its order: later ones win.
type blocks []*block

// find looks a name up: in the last block that declares it, or, with open, in those that may have it all the same, which are
// asked at once.
func (bs blocks) find(name string, open bool) value {
	for _, b := range slices.Backward(bs) {
		if _, declared := b.declared[name]; !declared {
			continue
		}
		c, err := b.get()
		if secret, ok := c.values[name]; ok || err != nil {
			return value{secret: secret, known: ok, err: err}
		}
	}
	if !open {
		return value{}
	}
	var group sync.WaitGroup
	for _, b := range bs {
		if b.open {
			group.Go(func() { _, _ = b.get() }) // its error is met below
		}
	}
	group.Wait()
	for _, b := range slices.Backward(bs) {
		if !b.open {
			continue
		}
		c, err := b.get()
		if secret, ok := c.values[name]; ok || err != nil {
			return value{secret: secret, known: ok, err: err}
		}
	}
	return value{}
}
