package lab

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// recipe is everything that decides what hosts and registry are: build.sh makes their image, the rest is laid into
// their containers.
//
//go:embed recipe
var recipe embed.FS

const buildScript = "recipe/build.sh"

const (
	hostRepository = "kamald-lab-host"
	osRelease      = "/etc/os-release"
)

var errNeedsRoot = errors.New("lab: the hosts' image is not on this machine, and building it (debootstrap) needs root; " +
	"run `make lab-up` once as root")

// ensureImage returns the reference of the hosts' image and builds it when this machine has none of this recipe.
func ensureImage(ctx context.Context) (string, error) {
	suite, components, err := thisDistribution(osRelease)
	if err != nil {
		return "", err
	}
	reference, present, err := findImage(ctx, suite, components)
	if err != nil || present {
		return reference, err
	}
	return reference, buildImage(ctx, reference, suite, components)
}

// checkImage says why this machine neither has the hosts' image nor can build it.
func checkImage(ctx context.Context) error {
	suite, components, err := thisDistribution(osRelease)
	if err != nil {
		return err
	}
	_, present, err := findImage(ctx, suite, components)
	if err == nil && !present && os.Geteuid() != 0 {
		return errNeedsRoot
	}
	return err
}

func findImage(ctx context.Context, suite, components string) (reference string, present bool, err error) {
	tag, err := imageTag(suite, components)
	if err != nil {
		return "", false, err
	}
	reference = hostRepository + ":" + tag
	listed, err := docker(ctx, "images", "-q", reference)
	return reference, listed != "", err
}

// imageTag names an image by what goes into it. The mirror's address is left out: it is the same packages from
// another place, and must be written nowhere.
func imageTag(suite, components string) (string, error) {
	script, err := recipe.ReadFile(buildScript)
	if err != nil {
		return "", fmt.Errorf("lab: read the recipe: %w", err)
	}
	return hexDigest(fmt.Appendf(script, "%s %s %s", suite, components, runtime.GOARCH))[:12], nil
}

// recipeDigest tells containers of this recipe from those of another.
func recipeDigest(image string) (string, error) {
	hash := sha256.New()
	fmt.Fprintln(hash, image, privileges)
	err := fs.WalkDir(recipe, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := recipe.ReadFile(path)
		fmt.Fprintf(hash, "%s %d\n%s", path, len(content), content)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("lab: read the recipe: %w", err)
	}
	return hex.EncodeToString(hash.Sum(nil))[:12], nil
}

func buildImage(ctx context.Context, reference, suite, components string) error {
	if os.Geteuid() != 0 {
		return errNeedsRoot
	}
	if err := ensurePackages(ctx, map[string]string{"debootstrap": "debootstrap"}); err != nil {
		return err
	}
	mirror, err := machineMirror(ctx, suite)
	if err != nil {
		return err
	}
	// Not the memory-backed temporary directory that some machines have: a root file system and its archive take 1 GB.
	work, err := os.MkdirTemp("/var/tmp", "kamald-lab-")
	if err != nil {
		return fmt.Errorf("lab: build the hosts' image: %w", err)
	}
	defer func() { _ = os.RemoveAll(work) }()
	script, err := recipe.ReadFile(buildScript)
	if err != nil {
		return fmt.Errorf("lab: read the recipe: %w", err)
	}
	path, archive := filepath.Join(work, "build.sh"), filepath.Join(work, "root.tar")
	if err := writeFile(path, script, 0o600); err != nil {
		return err
	}
	// In namespaces of its own: when the build is interrupted every process of it ends, and what it mounted is mounted
	// nowhere, so that removing its directory can reach nothing else.
	if err := runTool(ctx, "unshare", "--mount", "--pid", "--fork", "--kill-child",
		"sh", path, suite, mirror, components, work, archive); err != nil {
		return err
	}
	_, err = docker(ctx, "import", "-c", "LABEL "+label,
		"-c", "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", archive, reference)
	return err
}

// ensurePackages installs the packages (command → package) whose command is missing.
func ensurePackages(ctx context.Context, packages map[string]string) error {
	var missing []string
	for command, name := range packages {
		if _, err := exec.LookPath(command); err != nil {
			missing = append(missing, name)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	if err := runTool(ctx, "apt-get", "update"); err != nil {
		return err
	}
	return runTool(ctx, "apt-get", append([]string{"install", "-y", "--no-install-recommends"}, missing...)...)
}

// machineMirror is the mirror that this machine's apt takes the suite's main packages from.
func machineMirror(ctx context.Context, suite string) (string, error) {
	output, err := exec.CommandContext(ctx, "apt-get", "indextargets", "--format",
		"$(RELEASE) $(COMPONENT) $(REPO_URI)", "Identifier: Packages").Output()
	if err != nil {
		return "", fmt.Errorf("lab: ask apt for its mirror: %w", err)
	}
	for line := range strings.Lines(string(output)) {
		fields := strings.Fields(line)
		if len(fields) == 3 && fields[0] == suite && fields[1] == "main" {
			return fields[2], nil
		}
	}
	return "", fmt.Errorf("lab: apt has no mirror for %s main; add one to its sources and run apt-get update", suite)
}

// thisDistribution reads the suite and the components that hold the hosts' packages from an os-release file.
func thisDistribution(path string) (suite, components string, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", "", fmt.Errorf("lab: which distribution is this: %w", err)
	}
	values := map[string]string{}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		values[name] = strings.Trim(value, `"'`)
	}
	switch suite = values["VERSION_CODENAME"]; {
	case suite == "" || (values["ID"] != "debian" && values["ID"] != "ubuntu"):
		return "", "", fmt.Errorf("lab: %s names no Debian or Ubuntu release; the lab's hosts are made with debootstrap "+
			"and need one", path)
	case values["ID"] == "ubuntu":
		return suite, "main,universe", nil
	default:
		return suite, "main", nil
	}
}

// runTool runs a command of this machine; its output is kept for the error only, since it names the mirror.
func runTool(ctx context.Context, name string, args ...string) error {
	command := exec.CommandContext(ctx, name, args...)
	command.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C")
	output, err := command.CombinedOutput()
	if ctx.Err() != nil {
		return fmt.Errorf("lab: %s: %w", name, ctx.Err())
	}
	if err != nil {
		lines := strings.Split(strings.TrimSpace(string(output)), "\n")
		return fmt.Errorf("lab: %s: %w; it ended with:\n%s", name, err, strings.Join(lines[max(0, len(lines)-8):], "\n"))
	}
	return nil
}
