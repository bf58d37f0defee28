package lab

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// barePackages are what a bare host can install: Docker as the distribution has it, and the two programs that the hosts' image
// lacks. What they need besides is in the image.
var barePackages = []string{"docker.io", "containerd", "runc", "tini", "sudo", "wget"}

// packages gives a directory with those packages and apt's index of them, fetched from this machine's mirror once.
func (l *Lab) packages(ctx context.Context) (string, error) {
	suite, _, err := thisDistribution(osRelease)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(l.Dir, "packages", suite)
	if _, err := os.Stat(filepath.Join(dir, "Packages")); err == nil {
		return dir, nil
	}
	// A bare host's apt reads it as a user of its own.
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("lab: %w", err)
	}
	fetch := exec.CommandContext(ctx, "apt-get", append([]string{"download", "-q"}, barePackages...)...)
	fetch.Dir = dir
	if said, err := fetch.CombinedOutput(); err != nil {
		return "", fmt.Errorf("lab: apt-get download: %w: %s", err, said)
	}
	index, err := packageIndex(ctx, dir)
	if err != nil {
		return "", err
	}
	return dir, writeFile(filepath.Join(dir, "Packages"), []byte(index), 0o644)
}

// packageIndex is what apt reads of a repository: each package's control file, where it lies and what it must be.
func packageIndex(ctx context.Context, dir string) (string, error) {
	found, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	if err != nil || len(found) == 0 {
		return "", fmt.Errorf("lab: there is no package in %s: %w", dir, err)
	}
	var index strings.Builder
	for _, path := range found {
		control, err := exec.CommandContext(ctx, "dpkg-deb", "--field", path).Output()
		if err != nil {
			return "", fmt.Errorf("lab: read %s: %w", path, err)
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return "", fmt.Errorf("lab: %w", err)
		}
		if err := os.Chmod(path, 0o644); err != nil {
			return "", fmt.Errorf("lab: %w", err)
		}
		sum := sha256.Sum256(content)
		fmt.Fprintf(&index, "%s\nFilename: ./%s\nSize: %d\nSHA256: %s\n\n", strings.TrimSpace(string(control)), filepath.Base(path), len(content), hex.EncodeToString(sum[:]))
	}
	return index.String(), nil
}
