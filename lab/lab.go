// Package lab makes real test hosts on one machine: three containers, each with its own sshd and its own Docker
// engine, and a registry with a password. Only tests and the demo import it, and it imports no other package of the
// module.
//
// A lab is described by the files of its state directory (see Dir) and by containers, a network and volumes that carry
// the label kamald.lab=1. Nothing in it reaches beyond this machine, and nothing listens but on loopback and on the
// engine's own networks.
package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
)

const (
	label       = "kamald.lab=1"
	dirLabel    = "kamald.lab.dir"
	recipeLabel = "kamald.lab.recipe"
	hostCount   = 3
	deployUser  = "deploy"
	rootUser    = "root"
)

// Lab is a running set of hosts and a registry.
type Lab struct {
	// Dir is the state directory, which holds the files below.
	Dir string
	// KeyFile is the client key (ed25519, OpenSSH form) that every host accepts for root and for the user deploy.
	KeyFile string
	// KnownHosts is a known_hosts file with the key of every host. The keys stay the same for as long as the lab does.
	KnownHosts string
	// Network is the name of the engine's network, Subnet its addresses in CIDR form.
	Network string
	Subnet  string
	// Hosts are h1, h2 and h3, in that order.
	Hosts []Host
	// Registry is reached by the hosts and by this machine.
	Registry Registry
}

// Registry is a registry that asks for a password for pulls and pushes, over plain HTTP.
type Registry struct {
	// Server is its address as the hosts' engines see it: the part of an image's name before the first slash.
	Server string
	// Push is its address as this machine sees it, on loopback.
	Push     string
	Username string
	Password Password
}

// Dir is the state directory: $KAMALD_LAB_DIR, else kamald-lab in the user's cache directory.
func Dir() (string, error) {
	if dir := os.Getenv("KAMALD_LAB_DIR"); dir != "" {
		return filepath.Abs(dir)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("lab: no state directory: %w; set KAMALD_LAB_DIR", err)
	}
	return filepath.Join(cache, "kamald-lab"), nil
}

// Up brings the lab up and returns it: it makes what is missing, starts what is stopped, and ends cuts and pauses.
// The first call on a machine builds the hosts' image from the machine's package mirror, which takes minutes and needs
// root; later ones take seconds. It is safe to call from several processes, but does not wait for a test that uses the
// hosts: take a lease (Acquire) first when one might.
func Up(ctx context.Context) (*Lab, error) {
	dir, err := Dir()
	if err != nil {
		return nil, err
	}
	unlock, err := lockFile(ctx, filepath.Join(dir, "up.lock"), "lab up")
	if err != nil {
		return nil, err
	}
	defer unlock()

	if err := checkEngine(ctx); err != nil {
		return nil, err
	}
	if err := checkOwner(ctx, dir); err != nil {
		return nil, err
	}
	image, err := ensureImage(ctx)
	if err != nil {
		return nil, err
	}
	lab, err := ensureState(ctx, dir)
	if err != nil {
		return nil, err
	}
	digest, err := recipeDigest(image)
	if err != nil {
		return nil, err
	}
	if err := lab.ensure(ctx, image, digest); err != nil {
		return nil, err
	}
	return lab, removeOldImages(ctx, image)
}

// Load returns the lab that Up described in the state directory, without asking whether it runs. The error wraps
// os.ErrNotExist when there is none.
func Load() (*Lab, error) {
	dir, err := Dir()
	if err != nil {
		return nil, err
	}
	return loadState(dir)
}

// Down removes the lab's containers, networks, volumes and state; with all also the hosts' image, so that the next Up
// takes minutes. It removes by label and so also what an interrupted Up has left.
func (l *Lab) Down(ctx context.Context, all bool) error {
	return Remove(ctx, all)
}

// Remove is Down for a lab that cannot be loaded.
func Remove(ctx context.Context, all bool) error {
	dir, err := Dir()
	if err != nil {
		return err
	}
	unlock, err := lockFile(ctx, filepath.Join(dir, "up.lock"), "lab down")
	if err != nil {
		return err
	}
	defer unlock()
	if err := checkOwner(ctx, dir); err != nil {
		return err
	}
	if err := removeObjects(ctx); err != nil {
		return err
	}
	if all {
		if err := removeImages(ctx); err != nil {
			return err
		}
	}
	return removeState(dir)
}

// ensure brings every part to run, hosts and registry at once.
func (l *Lab) ensure(ctx context.Context, image, digest string) error {
	if err := l.ensureNetwork(ctx); err != nil {
		return err
	}
	errs := make([]error, len(l.Hosts)+1)
	var group sync.WaitGroup
	group.Go(func() { errs[len(l.Hosts)] = l.ensureRegistry(ctx, image, digest) })
	for i := range l.Hosts {
		group.Go(func() { errs[i] = l.Hosts[i].ensure(ctx, l, image, digest) })
	}
	group.Wait()
	return errors.Join(errs...)
}
