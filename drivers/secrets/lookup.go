// Package secrets looks secrets' values up on the machine that kamald runs on: in dotenv files, which refer to the environment
// and to commands, in password managers by their command lines, and in files encrypted with age.
package secrets

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/kamald/kamald/release"
)

// Lookup finds secrets: in dotenv files first, then in fetch blocks. Nothing is run or fetched before a secret that needs it
// is asked for, and then once. It is safe for concurrent use.
type Lookup struct {
	files  *dotenv
	blocks blocks
}

// Load reads the files, relative to dir, in their order: later ones win, and files that are not there are skipped. Fetches are
// asked for what no file has; later ones win. env looks up variables of the process; nil is the process's own. Errors name
// file, line and key, all at once, and never a value.
func Load(dir string, files []string, fetches []release.Fetch, env func(string) (string, bool)) (*Lookup, error) {
	at := here(dir)
	if env != nil {
		at.env = env
	}
	return load(at, files, fetches)
}

func load(at surroundings, files []string, fetches []release.Fetch) (*Lookup, error) {
	read, err := readDotenv(at, files)
	errs := []error{err}
	l := &Lookup{files: read}
	for _, f := range fetches {
		b, err := newBlock(at, f)
		errs = append(errs, err)
		l.blocks = append(l.blocks, b)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if len(l.blocks) > 0 {
		read.fetched = l.blocks.find
	}
	return l, nil
}

// Secret gives a value; false when no file and no block has the name, or its line refers to a variable that is set nowhere
// (Sources tells which). The error is of a command or a fetch that failed.
func (l *Lookup) Secret(name string) (release.Secret, bool, error) {
	if l.files.has(name) {
		return l.files.secret(name)
	}
	v := l.blocks.find(name, true)
	if !v.known || v.err != nil {
		return release.Secret{}, false, v.err
	}
	return release.NewSecret(v.secret), true, nil
}

// Sources names the files and blocks that are searched, and after the first Secret the references that led nowhere.
func (l *Lookup) Sources() []string {
	sources := l.files.searched()
	for _, b := range l.blocks {
		sources = append(sources, b.String())
	}
	return sources
}

// Named is a secret and its name.
type Named struct {
	Name   string
	Secret release.Secret
}

// All gives every secret that can be looked up, those of the files first, in their order. The errors name those that cannot,
// each once.
func (l *Lookup) All() (all []Named, failed []error) {
	names := l.files.names()
	for _, b := range l.blocks {
		c, err := b.get()
		if err != nil && len(b.Keys) == 0 {
			failed = append(failed, err)
		}
		for _, key := range b.Keys {
			if name, _ := b.Name(key); err != nil {
				names = append(names, name)
			}
		}
		names = append(names, c.names...)
	}
	done := map[string]bool{}
	for _, name := range names {
		if done[name] {
			continue
		}
		done[name] = true
		secret, ok, err := l.Secret(name)
		switch {
		case err != nil:
			failed = append(failed, fmt.Errorf("%s: %w", name, err))
		case !ok:
			failed = append(failed, fmt.Errorf("%s: %s", name, cmp.Or(l.files.unsetBy(name), "no file and no block has a value")))
		default:
			all = append(all, Named{name, secret})
		}
	}
	return all, failed
}
