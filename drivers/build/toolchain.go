package build

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/kamald/kamald/release"
)

// lookLimit bounds a question to a program of this machine; an engine behind SSH takes its time to answer.
const lookLimit = time.Minute

// lastWithBuildKit is the last major version of the docker command that has BuildKit within; later ones have it in buildx alone.
const lastWithBuildKit = 20

// engineInfo is what the docker command says of itself and of an engine.
type engineInfo struct {
	client string // its version
	server string // the engine's; "" when none answers
	arch   string // the engine's own, by Docker's name
	failed error  // why no engine answers
}

// toolchain is what there is to build with.
type toolchain struct {
	engineInfo
	buildx  bool   // the plugin is there
	context string // Docker's context: where the docker command finds its engine
}

// within tells whether the docker command has BuildKit in it.
func (t toolchain) within() bool {
	major, _, _ := strings.Cut(t.client, ".")
	n, err := strconv.Atoi(major)
	return err == nil && n >= 18 && n <= lastWithBuildKit
}

// look finds out what there is to build with on this machine.
func look(ctx context.Context) (toolchain, error) {
	if _, err := exec.LookPath("docker"); err != nil {
		return toolchain{}, errors.New("there is no docker command on this machine, and images are built by it: install Docker's own packages (docker-ce-cli and docker-buildx-plugin), or the distribution's (docker.io and docker-buildx)")
	}
	about, err := ask(ctx, "")
	if err != nil {
		return toolchain{}, err
	}
	t := toolchain{engineInfo: about}
	t.buildx = question(ctx, "", "docker", "buildx", "version").err == nil
	t.context = "default"
	if os.Getenv("DOCKER_HOST") == "" {
		if said := question(ctx, "", "docker", "context", "inspect", "--format", "{{.Name}}"); said.err == nil && said.out != "" {
			t.context = said.out
		}
	}
	return t, nil
}

// ask asks the docker command for the versions of itself and of an engine. That no engine answers is no error: buildx may do without.
func ask(ctx context.Context, remote string) (engineInfo, error) {
	said := question(ctx, remote, "docker", "version", "--format", "{{json .}}")
	var about struct {
		Client struct{ Version string }
		Server *struct{ Version, Arch string }
	}
	line, _, _ := strings.Cut(said.out, "\n")
	if err := json.Unmarshal([]byte(line), &about); err != nil {
		return engineInfo{}, fmt.Errorf("`docker version` says nothing that can be read: %w", errors.Join(said.err, err))
	}
	found := engineInfo{client: about.Client.Version}
	if said.err != nil {
		found.failed = fmt.Errorf("no Docker engine answers: %w", said.err)
	}
	if about.Server != nil {
		found.server, found.failed = about.Server.Version, nil
		found.arch, _ = release.Architecture(about.Server.Arch)
	}
	return found, nil
}

// answer is what a program said to a question.
type answer struct {
	out string
	err error // with what it said on standard error
}

// question runs a program that changes nothing and gives its output. host is the engine that the docker command asks; "" is its own.
func question(ctx context.Context, host string, argv ...string) answer {
	ctx, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	var stdout, stderr strings.Builder
	err := start(ctx, invocation{argv: argv, env: hostVariable(host), out: &stdout, err: &stderr})
	if err != nil {
		said := strings.TrimSpace(stderr.String())
		if said == "" {
			said = "it says nothing more"
		}
		err = fmt.Errorf("`%s`: %w: %s", strings.Join(argv[:min(2, len(argv))], " "), err, said)
	}
	return answer{strings.TrimSpace(stdout.String()), err}
}

// hostVariable names an engine to the docker command; "" leaves the choice to it.
func hostVariable(host string) []string {
	if host == "" {
		return nil
	}
	return []string{"DOCKER_HOST=" + host, "DOCKER_CONTEXT="}
}

// dockerConfig is the user's directory of Docker's settings.
func dockerConfig() (string, error) {
	if dir := os.Getenv("DOCKER_CONFIG"); dir != "" {
		return filepath.Abs(dir)
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("settings of Docker: %w", err)
	}
	return filepath.Join(home, ".docker"), nil
}
