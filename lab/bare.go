package lab

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/pem"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

// Bare is a further host, as a server is that was just rented: sshd, curl, and no Docker. Its packages of Docker are purged, no
// user is in the group docker, and its engine, once it is installed, runs when its init script is asked to. Its apt knows a
// repository with Docker's packages, sudo and wget (see Lab.Bare), and nothing else.
type Bare struct {
	Host
	// KnownHosts is a known_hosts file with this host's key and no other.
	KnownHosts string
}

const (
	firstBareAddress = 31
	bareBoot         = "/usr/local/sbin/lab-boot-bare"
	// bareRepository is where a bare host's apt looks.
	bareRepository = "/opt/lab-packages"
	// bootLoop begins the part of boot.sh that keeps an engine running.
	bootLoop = "# A loop, so that an engine killed by a test comes back"
)

// Bare makes the n-th bare host (from 1) for a test, and removes it at the test's end. names are addresses that it resolves, such
// as get.docker.com, to this machine's own on the lab's network (see Gateway). The test must hold the lab.
func (l *Lab) Bare(t testing.TB, n int, names ...string) *Bare {
	t.Helper()
	b, err := l.makeBare(t.Context(), n, t.TempDir(), names)
	if b != nil {
		t.Cleanup(func() {
			// Whatever became of the test's own context.
			if _, err := docker(context.WithoutCancel(t.Context()), "rm", "-f", "-v", b.Container); err != nil {
				t.Errorf("remove bare host %s: %v", b.Name, err)
			}
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Gateway is this machine's own address on the lab's network: what listens there is reached by the hosts.
func (l *Lab) Gateway() (string, error) {
	subnet, err := netip.ParsePrefix(l.Subnet)
	if err != nil {
		return "", fmt.Errorf("lab: subnet: %w", err)
	}
	return address(subnet, 1), nil
}

func (l *Lab) makeBare(ctx context.Context, n int, dir string, names []string) (*Bare, error) {
	subnet, err := netip.ParsePrefix(l.Subnet)
	if err != nil {
		return nil, fmt.Errorf("lab: subnet: %w", err)
	}
	packages, err := l.packages(ctx)
	if err != nil {
		return nil, err
	}
	b := &Bare{KnownHosts: filepath.Join(dir, "known_hosts")}
	b.Name, b.Container = fmt.Sprintf("b%d", n), fmt.Sprintf("kamald-lab-b%d", n)
	b.Address = address(subnet, firstBareAddress+n-1)
	b.keyFile, b.knownHosts = l.KeyFile, b.KnownHosts
	// One that an earlier test left when its process was killed.
	if _, err := docker(ctx, "rm", "-f", "-v", b.Container); err != nil && !strings.Contains(err.Error(), "No such container") {
		return nil, err
	}
	return b, b.make(ctx, l, packages, names)
}

// make brings the host to run, and takes Docker off it.
func (b *Bare) make(ctx context.Context, l *Lab, packages string, names []string) error {
	image, err := ensureImage(ctx)
	if err != nil {
		return err
	}
	gateway, err := l.Gateway()
	if err != nil {
		return err
	}
	subnet, _ := netip.ParsePrefix(l.Subnet)
	registry, _, _ := strings.Cut(l.Registry.Server, ":")
	arguments := []string{"create", "--name", b.Container, "--hostname", b.Container, "--label", label, "--label", dirLabel + "=" + l.Dir,
		"--init", "--cgroupns", "private", "--memory", "3g", "--network", l.Network, "--ip", b.Address, "--dns", "127.0.0.1",
		"--add-host", registry + ":" + address(subnet, registryAddress), "--volume", "/var/lib/docker", "--volume", packages + ":" + bareRepository + ":ro"}
	for _, name := range names {
		arguments = append(arguments, "--add-host", name+":"+gateway)
	}
	arguments = append(arguments, privileges...)
	if _, err := docker(ctx, append(arguments, image, bareBoot)...); err != nil {
		return err
	}
	files, err := b.files(l)
	if err != nil {
		return err
	}
	if _, err := dockerWith(ctx, bytes.NewReader(files), "cp", "-", b.Container+":/"); err != nil {
		return err
	}
	if _, err := docker(ctx, "start", b.Container); err != nil {
		return err
	}
	if _, err := b.Exec(ctx, "sh", "-c", makeBare); err != nil {
		return err
	}
	return waitUntil(ctx, "bare host "+b.Name+" at "+b.Address, func(ctx context.Context) error {
		client, err := b.Dial(ctx, rootUser)
		if err == nil {
			err = client.Close()
		}
		return err
	})
}

// makeBare takes off what a rented server would not have. The settings of the engine stay: they are its owner's.
const makeBare = `set -e
cp /etc/docker/daemon.json /root/daemon.json
dpkg --purge docker.io containerd runc tini >/dev/null 2>&1
mkdir -p /etc/docker && mv /root/daemon.json /etc/docker/daemon.json
if getent group docker >/dev/null; then groupdel docker; fi
echo 'deb [trusted=yes] file:` + bareRepository + ` ./' >/etc/apt/sources.list
if command -v docker || command -v dockerd || [ -e /var/run/docker.sock ]; then exit 1; fi
`

// files packs the host's own key, the client's, and what every host has, with a boot that keeps no engine running.
func (b *Bare) files(l *Lab) ([]byte, error) {
	client, err := os.ReadFile(l.KeyFile + ".pub")
	if err != nil {
		return nil, fmt.Errorf("lab: client key: %w; run `make lab-down lab-up`", err)
	}
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, fmt.Errorf("lab: make a key: %w", err)
	}
	block, err := ssh.MarshalPrivateKey(private, b.Container)
	if err != nil {
		return nil, fmt.Errorf("lab: make a key: %w", err)
	}
	shown, err := ssh.NewPublicKey(public)
	if err != nil {
		return nil, fmt.Errorf("lab: make a key: %w", err)
	}
	if err := writeFile(b.KnownHosts, fmt.Appendf(nil, "%s %s", b.Address, ssh.MarshalAuthorizedKey(shown)), 0o644); err != nil {
		return nil, err
	}
	settings, err := settingsFiles()
	if err != nil {
		return nil, err
	}
	boot, err := recipe.ReadFile("recipe/host/boot.sh")
	if err != nil {
		return nil, fmt.Errorf("lab: read the recipe: %w", err)
	}
	before, _, found := strings.Cut(string(boot), bootLoop)
	if !found {
		return nil, fmt.Errorf("lab: boot.sh has no line %q any more, at which a bare host's boot ends", bootLoop)
	}
	return archive(append(settings,
		file{path: bareBoot, mode: 0o755, content: []byte(before + "\ntrap 'exit 0' TERM INT\nwhile :; do sleep 3600 & wait $!; done\n")},
		// The engine's init script raises limits first and ends when it may not; without CAP_SYS_RESOURCE nobody may.
		file{path: "/usr/lib/lsb/init-functions.d/90-lab", mode: 0o644, content: []byte("ulimit() { command ulimit \"$@\" 2>/dev/null || true; }\n")},
		file{path: "/etc/ssh/lab/ssh_host_ed25519_key", mode: 0o600, content: pem.EncodeToMemory(block)},
		file{path: "/etc/ssh/lab/authorized_keys", mode: 0o644, content: client},
	))
}
