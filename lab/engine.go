package lab

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"
	"strings"
)

// docker runs the machine's docker command and returns its output without surrounding space. The error carries what
// the command said.
func docker(ctx context.Context, args ...string) (string, error) {
	return dockerWith(ctx, nil, args...)
}

// dockerWith is docker with a standard input.
func dockerWith(ctx context.Context, stdin io.Reader, args ...string) (string, error) {
	output, err := dockerRaw(ctx, stdin, args...)
	return strings.TrimSpace(string(output)), err
}

func dockerRaw(ctx context.Context, stdin io.Reader, args ...string) ([]byte, error) {
	command := exec.CommandContext(ctx, "docker", args...)
	command.Stdin = stdin
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Run(); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		said := strings.TrimSpace(stderr.String())
		return stdout.Bytes(), fmt.Errorf("lab: docker %s: %w: %s", args[0], err, said)
	}
	return stdout.Bytes(), nil
}

// checkEngine says whether a Docker engine answers on this machine.
func checkEngine(ctx context.Context) error {
	if _, err := exec.LookPath("docker"); err != nil {
		return fmt.Errorf("lab: no docker command on this machine: %w; install the engine (Debian: docker.io)", err)
	}
	if _, err := docker(ctx, "version", "--format", "{{.Server.Version}}"); err != nil {
		return fmt.Errorf("lab: no Docker engine answers on this machine: %w", err)
	}
	return nil
}

// checkOwner refuses a lab that was made with another state directory: its keys and password lie there.
func checkOwner(ctx context.Context, dir string) error {
	listed, err := docker(ctx, "ps", "-a", "--filter", "label="+label, "--format", "{{.Names}}\t{{.Label \""+dirLabel+"\"}}")
	if err != nil {
		return err
	}
	for line := range strings.Lines(listed) {
		name, owner, _ := strings.Cut(strings.TrimSpace(line), "\t")
		if owner != "" && owner != dir {
			return fmt.Errorf("lab: container %s belongs to the lab of state directory %s, not %s; set KAMALD_LAB_DIR=%s, "+
				"or take that lab down first", name, owner, dir, owner)
		}
	}
	return nil
}

// removeObjects removes everything labelled but images.
func removeObjects(ctx context.Context) error {
	filter := "label=" + label
	kinds := []struct{ list, remove []string }{
		{[]string{"ps", "-aq"}, []string{"rm", "-f", "-v"}},
		{[]string{"network", "ls", "-q"}, []string{"network", "rm"}},
		{[]string{"volume", "ls", "-q"}, []string{"volume", "rm", "-f"}},
	}
	for _, kind := range kinds {
		listed, err := docker(ctx, append(kind.list, "--filter", filter)...)
		if err != nil {
			return err
		}
		if listed == "" {
			continue
		}
		if _, err := docker(ctx, append(kind.remove, strings.Fields(listed)...)...); err != nil {
			return err
		}
	}
	return nil
}

func removeImages(ctx context.Context) error {
	listed, err := docker(ctx, "images", "-q", "--filter", "label="+label)
	if err != nil || listed == "" {
		return err
	}
	_, err = docker(ctx, append([]string{"rmi", "-f"}, strings.Fields(listed)...)...)
	return err
}

// removeOldImages removes the hosts' images of earlier recipes, which no container uses any more.
func removeOldImages(ctx context.Context, current string) error {
	listed, err := docker(ctx, "images", "--filter", "label="+label, "--format", "{{.Repository}}:{{.Tag}}", hostRepository)
	if err != nil {
		return err
	}
	for _, reference := range strings.Fields(listed) {
		if reference == current {
			continue
		}
		if _, err := docker(ctx, "rmi", reference); err != nil {
			return err
		}
	}
	return nil
}

// container is what the lab asks about one of its containers.
type container struct {
	exists, running, paused bool
	// whole is false for a container that was never started: whoever made it may not have got to its files.
	whole  bool
	recipe string
}

func inspect(ctx context.Context, name string) (container, error) {
	// A listing with an exact name tells "not there" from "engine trouble" without reading error texts.
	listed, err := docker(ctx, "ps", "-a", "--filter", "name=^/"+name+"$", "--format", "{{.State}}\t{{.Label \""+recipeLabel+"\"}}")
	if err != nil || listed == "" {
		return container{}, err
	}
	state, recipe, _ := strings.Cut(listed, "\t")
	return container{exists: true, running: state == "running" || state == "paused", paused: state == "paused",
		whole: state != "created", recipe: recipe}, nil
}
