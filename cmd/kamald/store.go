package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/kamald/kamald/state/bolt"
)

// openStore gives the store that the flags or the machine's customs name. Nothing is made until something is kept.
func (p *program) openStore() (*bolt.Store, error) {
	path, err := p.storeFile()
	if err != nil {
		return nil, err
	}
	return bolt.Open(path)
}

func (p *program) storeFile() (string, error) {
	return storePath(p.flags.store, os.Getenv("XDG_STATE_HOME"), os.Geteuid() == 0, os.UserHomeDir)
}

func storePath(given, stateHome string, root bool, home func() (string, error)) (string, error) {
	const name = "kamald/state.db"
	switch {
	case given != "":
		return given, nil
	case filepath.IsAbs(stateHome): // a relative one is to be ignored, by the specification of these directories
		return filepath.Join(stateHome, name), nil
	case root:
		return filepath.Join("/var/lib", name), nil
	}
	dir, err := home()
	if err != nil {
		return "", fmt.Errorf("no place for the store is known: %w; give one with --store FILE", err)
	}
	return filepath.Join(dir, ".local/state", name), nil
}
