package docker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"time"
)

// contextLimit bounds the question where the docker command finds its engine.
const contextLimit = 20 * time.Second

// LocalAddress is where the docker command of this machine finds its engine, so that what it builds is looked for where it is:
// DOCKER_HOST, else the endpoint of its context, else the usual socket. named says which of them it is, for an error.
func LocalAddress(ctx context.Context) (address, named string, err error) {
	if host := os.Getenv("DOCKER_HOST"); host != "" {
		return host, "DOCKER_HOST", nil
	}
	usual := "unix://" + DefaultSocket
	if _, err := exec.LookPath("docker"); err != nil {
		return usual, "the usual socket", nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, contextLimit, fmt.Errorf("`docker context inspect` did not end within %s", contextLimit))
	defer cancel()
	command := exec.CommandContext(ctx, "docker", "context", "inspect", "--format", "{{.Name}} {{.Endpoints.docker.Host}}")
	command.WaitDelay = time.Second
	said, err := command.Output()
	name, address, ok := strings.Cut(strings.TrimSpace(string(said)), " ")
	switch exit := (*exec.ExitError)(nil); {
	case ctx.Err() != nil:
		return "", "", fmt.Errorf("where this machine's engine is: %w", context.Cause(ctx))
	case errors.As(err, &exit) && strings.Contains(string(exit.Stderr), `context "`): // it is not there, or damaged
		return "", "", fmt.Errorf("where this machine's engine is: `docker context inspect`: %s: choose another (`docker context use default`), or name the engine with DOCKER_HOST",
			strings.TrimSpace(string(exit.Stderr)))
	case err != nil || !ok: // a docker command of before 19.03, or a stand-in, that has no contexts
		return usual, "the usual socket", nil
	}
	return address, fmt.Sprintf("docker's context %q", name), nil
}

// LocalSocket is the socket of this machine's engine, as LocalAddress finds it. One that is elsewhere is refused: an image is carried
// from here, and host `local` is this machine itself.
func LocalSocket(ctx context.Context) (string, error) {
	address, named, err := LocalAddress(ctx)
	if err != nil {
		return "", err
	}
	if socket, ok := strings.CutPrefix(address, "unix://"); ok && socket != "" {
		return socket, nil
	}
	next := "let it name one (DOCKER_HOST=unix://" + DefaultSocket + ")"
	if named != "DOCKER_HOST" {
		next = "choose one (`docker context use default`, or DOCKER_HOST=unix://" + DefaultSocket + ")"
	}
	return "", fmt.Errorf("%s is the engine at %q: images are carried, and host `local` is served, only from an engine on a unix socket of this machine: %s and build there, or release by a registry, and name a remote engine's server as a host of its own",
		named, address, next)
}

// DialLocal opens a socket of this machine, for New.
func DialLocal(ctx context.Context, network, address string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, network, address)
}
