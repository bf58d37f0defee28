package lab

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
)

// Host is a test host: a container with its own sshd on port 22 and its own Docker engine. Root and the user deploy
// (in the group docker) log in with the lab's key.
//
// Its methods act from outside, over this machine's engine: they open no SSH connection unless they say so, and work on
// a host that is cut off.
type Host struct {
	// Name is h1, h2 or h3.
	Name string
	// Address is its fixed address on the lab's network, reachable from this machine.
	Address string
	// Container is its name on this machine's engine.
	Container string

	keyFile, knownHosts string
}

// Exec runs a program on the host and returns its output. The error carries what it said on standard error.
func (h *Host) Exec(ctx context.Context, argv ...string) (string, error) {
	return docker(ctx, append([]string{"exec", h.Container}, argv...)...)
}

// Reset brings the host back to how it was made: running, not paused, not cut off, its engine running; without any
// container, image, volume, custom network, registry login or .kamal directory; with an empty SSH log. The image of
// kamald/proxy stays: see ResetBare.
func (h *Host) Reset(ctx context.Context) error { return h.reset(ctx) }

// ResetBare is Reset, and removes the image of kamald/proxy too.
func (h *Host) ResetBare(ctx context.Context) error { return h.reset(ctx, "bare") }

func (h *Host) reset(ctx context.Context, args ...string) error {
	have, err := inspect(ctx, h.Container)
	if err != nil {
		return err
	}
	// A host that runs needs no look at whether it answers: lab-reset waits for the engine, and ends a cut.
	if !have.running || have.paused {
		if err := h.revive(ctx, have); err != nil {
			return err
		}
	}
	_, err = h.Exec(ctx, append([]string{"lab-reset"}, args...)...)
	return err
}

// Stop stops the host as a power cut does: its containers are given no time.
func (h *Host) Stop(ctx context.Context) error {
	_, err := docker(ctx, "stop", "-t", "3", h.Container)
	return err
}

// Start starts a stopped host and returns when its engine answers over SSH.
func (h *Host) Start(ctx context.Context) error {
	if _, err := docker(ctx, "start", h.Container); err != nil {
		return err
	}
	return h.waitReady(ctx)
}

// Restart is Stop and Start.
func (h *Host) Restart(ctx context.Context) error {
	if err := h.Stop(ctx); err != nil {
		return err
	}
	return h.Start(ctx)
}

// Pause freezes every process of the host; connections to it stay open and hang.
func (h *Host) Pause(ctx context.Context) error {
	_, err := docker(ctx, "pause", h.Container)
	return err
}

// Unpause ends Pause.
func (h *Host) Unpause(ctx context.Context) error {
	_, err := docker(ctx, "unpause", h.Container)
	return err
}

// Cut drops every packet between the host and the others, this machine included; its processes go on.
func (h *Host) Cut(ctx context.Context) error {
	_, err := h.Exec(ctx, "lab-cut", "on")
	return err
}

// Heal ends Cut; without one it does nothing.
func (h *Host) Heal(ctx context.Context) error {
	_, err := h.Exec(ctx, "lab-cut", "off")
	return err
}

// ensure makes or revives the host and waits until its engine answers over SSH.
func (h *Host) ensure(ctx context.Context, l *Lab, image, digest string) error {
	have, err := inspect(ctx, h.Container)
	if err != nil {
		return err
	}
	if have.exists && (have.recipe != digest || !have.whole) {
		if _, err := docker(ctx, "rm", "-f", h.Container); err != nil {
			return err
		}
		if _, err := docker(ctx, "volume", "rm", "-f", h.volume()); err != nil {
			return err
		}
		have.exists = false
	}
	if !have.exists {
		if err := h.create(ctx, l, image, digest); err != nil {
			return err
		}
		have = container{exists: true}
	}
	return h.revive(ctx, have)
}

// revive brings an existing host to run, whatever a test has done to it.
func (h *Host) revive(ctx context.Context, have container) error {
	if !have.exists {
		return fmt.Errorf("lab: host %s has no container; run `make lab-up`", h.Name)
	}
	if err := wake(ctx, h.Container, have); err != nil {
		return err
	}
	if have.running {
		// A host that has just been started is neither frozen nor cut off.
		if _, err := h.Exec(ctx, "lab-cut", "off"); err != nil {
			return err
		}
		if _, err := h.Exec(ctx, "pkill", "-CONT", "sshd|dockerd|containerd"); err != nil {
			return err
		}
	}
	return h.waitReady(ctx)
}

// create makes the host's container, unstarted, with its keys in place.
func (h *Host) create(ctx context.Context, l *Lab, image, digest string) error {
	subnet, err := netip.ParsePrefix(l.Subnet)
	if err != nil {
		return fmt.Errorf("lab: subnet: %w", err)
	}
	files, err := h.files(l)
	if err != nil {
		return err
	}
	if _, err := docker(ctx, "volume", "create", "--label", label, h.volume()); err != nil {
		return err
	}
	registry, _, _ := strings.Cut(l.Registry.Server, ":")
	arguments := []string{"create", "--name", h.Container, "--hostname", h.Container,
		"--label", label, "--label", dirLabel + "=" + l.Dir, "--label", recipeLabel + "=" + digest, "--init", "--cgroupns", "private", "--memory", "3g",
		"--network", l.Network, "--ip", h.Address, "--dns", "127.0.0.1",
		"--add-host", registry + ":" + address(subnet, registryAddress),
		// An overlay does not lie on an overlay: the inner engine needs a real file system.
		"--volume", h.volume() + ":/var/lib/docker"}
	arguments = append(arguments, privileges...)
	if _, err := docker(ctx, append(arguments, image, "lab-boot")...); err != nil {
		return err
	}
	_, err = dockerWith(ctx, bytes.NewReader(files), "cp", "-", h.Container+":/")
	return err
}

// privileges is --privileged without CAP_SYS_RESOURCE, which some machines may not hand on; asking for it would fail.
var privileges = []string{"--cap-add", "ALL", "--cap-drop", "SYS_RESOURCE",
	"--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined",
	"--security-opt", "systempaths=unconfined", "--device-cgroup-rule", "a *:* rwm"}

// files packs the keys that make this host this host, its settings and its programs.
func (h *Host) files(l *Lab) ([]byte, error) {
	hostKey, err := os.ReadFile(filepath.Join(l.Dir, hostKeyDir, h.Name))
	if err != nil {
		return nil, fmt.Errorf("lab: key of host %s: %w; run `make lab-down lab-up`", h.Name, err)
	}
	client, err := os.ReadFile(l.KeyFile + ".pub")
	if err != nil {
		return nil, fmt.Errorf("lab: client key: %w; run `make lab-down lab-up`", err)
	}
	files := []file{
		{path: "/etc/ssh/lab/ssh_host_ed25519_key", mode: 0o600, content: hostKey},
		// sshd reads it as the user who logs in.
		{path: "/etc/ssh/lab/authorized_keys", mode: 0o644, content: client},
	}
	settings, err := settingsFiles()
	if err != nil {
		return nil, err
	}
	return archive(append(files, settings...))
}

// settingsFiles are the settings and programs that every host has.
func settingsFiles() ([]file, error) {
	var files []file
	for _, f := range hostFiles {
		content, err := recipe.ReadFile("recipe/host/" + f.name)
		if err != nil {
			return nil, fmt.Errorf("lab: read the recipe: %w", err)
		}
		files = append(files, file{path: f.path, mode: f.mode, content: content})
	}
	return files, nil
}

// hostFiles says where the files of recipe/host go.
var hostFiles = []struct {
	name, path string
	mode       int64
}{
	{"boot.sh", "/usr/local/sbin/lab-boot", 0o755},
	{"cut.sh", "/usr/local/sbin/lab-cut", 0o755},
	{"reset.sh", "/usr/local/sbin/lab-reset", 0o755},
	{"sshd_config", "/etc/ssh/sshd_config", 0o644},
	{"daemon.json", "/etc/docker/daemon.json", 0o644},
}

func (h *Host) volume() string { return h.Container + "-docker" }
