package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/kamald/kamald/drivers/secrets"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
	"github.com/kamald/kamald/state/bolt"
	"github.com/kamald/kamald/state/etcd"
)

// storage is a store, whatever keeps it.
type storage interface {
	state.Store
	Writable() error
	Check() error
}

// place is where a store is.
type place struct {
	// file is the store's; of a cluster it is the one that there would be without that: what belongs to this machine lies beside it,
	// such as the daemon's socket.
	file    string
	cluster release.Store // with Etcd: there instead
}

func (p place) inEtcd() bool { return len(p.cluster.Etcd) > 0 }

// String names the place for people.
func (p place) String() string {
	if p.inEtcd() {
		return "etcd at " + strings.Join(p.cluster.Etcd, ", ")
	}
	return p.file
}

// open gives the store. Nothing is made until something is kept.
func (p place) open() (storage, error) {
	if p.inEtcd() {
		store, err := p.openCluster()
		if err != nil {
			return nil, err // and no store that is nil within an interface
		}
		return store, nil
	}
	store, err := bolt.Open(p.file)
	if err != nil {
		return nil, err
	}
	return store, nil
}

func (p place) openCluster() (*etcd.Store, error) {
	c := etcd.Config{Endpoints: p.cluster.Etcd, CA: p.cluster.CA, Certificate: p.cluster.Certificate, Key: p.cluster.Key, Username: p.cluster.Username}
	if name := p.cluster.Password; name != "" {
		c.Password = func() (string, error) {
			values, err := secrets.Load("/", p.cluster.SecretFiles, nil, nil)
			if err != nil {
				return "", err
			}
			value, ok, err := values.Secret(name)
			if err == nil && !ok {
				err = fmt.Errorf("secret %s is not at hand: none of %v has it", name, values.Sources())
			}
			return value.Reveal(), err
		}
	}
	return etcd.Open(c)
}

// openStore gives the store that the flags or the machine's customs name.
func (p *program) openStore() (storage, error) {
	at, err := p.storePlace()
	if err != nil {
		return nil, err
	}
	return at.open()
}

// storeFile is the store's file, or the one beside which this machine keeps what is its own.
func (p *program) storeFile() (string, error) {
	at, err := p.storePlace()
	return at.file, err
}

// storePlace is where --store says, else where the machine's customs do.
func (p *program) storePlace() (place, error) { return placeOf(p.flags.store) }

// placeOf reads what --store takes: a file, or a bastion's file (.hcl) whose store block says where; "": the machine's customs.
func placeOf(given string) (place, error) {
	if filepath.Ext(given) != ".hcl" {
		return placeIn(release.Store{Bolt: given})
	}
	path, err := filepath.Abs(given)
	if err != nil {
		return place{}, err
	}
	store, diags := release.LoadStore(path, release.Options{KamaldVersion: version})
	if diags.HasErrors() {
		return place{}, diags
	}
	return placeIn(store)
}

// placeIn is where a bastion's file says.
func placeIn(store release.Store) (place, error) {
	file, err := storePath(store.Bolt, os.Getenv("XDG_STATE_HOME"), os.Geteuid() == 0, os.UserHomeDir)
	if err != nil {
		return place{}, err
	}
	at := place{file: file}
	if len(store.Etcd) > 0 {
		at.cluster = store
	}
	return at, nil
}

// storeBytes is how much the store takes on its disk; of a cluster, on one member's.
func (s *service) storeBytes() (int64, error) {
	if cluster, ok := s.store.(*etcd.Store); ok {
		return cluster.Size()
	}
	info, err := os.Stat(s.path)
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// errNoFile is of what only a store in a file has.
func errNoFile(at place, command, instead string) error {
	return fmt.Errorf("`kamald store %s` is for a store in a file, and this one is in %s\n  next: %s", command, at, instead)
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
