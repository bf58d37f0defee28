package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// What the demo makes bears these names and no others.
const (
	service   = "kamald-demo"
	network   = "kamald-demo"
	proxyName = "kamald-demo-proxy"
	image     = "kamald-demo/app"
	// A tag of its own, so that removing it takes nothing from anybody.
	proxyImage = "kamald/proxy:1.0.0-demo"
	host       = "local"
	mark       = "kamald-demo" // kamald.* are reserved
)

// stage is where the story is played.
type stage interface {
	// Prepare refuses, or makes room: nothing is changed that the demo did not make.
	Prepare(ctx context.Context) error
	// Build makes the app's image of a version; sick: it never becomes healthy.
	Build(ctx context.Context, version string, sick bool) error
	// Kamald runs one command of kamald, prints what it prints, and gives its exit code.
	Kamald(ctx context.Context, args ...string) (result, error)
	// At says on which port of 127.0.0.1 the proxy will listen.
	At(port int)
	// Ask sends one request through the proxy; version is what answered.
	Ask(ctx context.Context) (version string, err error)
	// Running gives the ID of each of the app's running containers, by name.
	Running(ctx context.Context) (map[string]string, error)
	// Latest is the version that the tag latest marks on the host.
	Latest(ctx context.Context) (string, error)
	// RemoveByHand takes a container away behind kamald's back, and prints how.
	RemoveByHand(ctx context.Context, container string) error
	// Clean removes what the demo made and gives an error for what is left.
	Clean(ctx context.Context) error
}

type result struct {
	code int
	text string
}

// cleanLimit bounds the cleaning up, which is done also after Ctrl-C.
const cleanLimit = time.Minute

// run plays the story where it can be played, and cleans up whatever happens.
func run(ctx context.Context, out io.Writer) (err error) {
	began := time.Now()
	dir, err := os.MkdirTemp("", "kamald-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	place, err := chooseStage(ctx, dir, out)
	if err != nil {
		return err
	}
	if err := place.Prepare(ctx); err != nil {
		return err
	}
	story := &story{stage: place, out: out, file: filepath.Join(dir, "deploy.hcl"), dir: dir}
	told := story.tell(ctx)
	if told != nil && ctx.Err() != nil {
		told = errors.New("interrupted")
	}
	after, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanLimit)
	defer cancel()
	fmt.Fprintln(out, "\n── clean up")
	cleaned := place.Clean(after)
	if cleaned == nil {
		fmt.Fprintln(out, "   everything that the demo made is gone")
	}
	if err := errors.Join(told, cleaned); err != nil {
		return err
	}
	story.sum(time.Since(began))
	return nil
}

// chooseStage takes this machine's Docker engine, and simulated hosts where there is none.
func chooseStage(ctx context.Context, dir string, out io.Writer) (stage, error) {
	why := engineMissing(ctx)
	if why == "" {
		return newDockerStage(dir, out)
	}
	fmt.Fprintf(out, "NO DOCKER ENGINE: %s.\nThe demo plays on SIMULATED hosts instead: the same planner and executor, no real container and no real request.\n", why)
	return newSimStage(dir, out)
}

func engineMissing(ctx context.Context) string {
	if _, err := exec.LookPath("docker"); err != nil {
		return "there is no docker command on this machine"
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	output, err := exec.CommandContext(ctx, "docker", "version", "--format", "{{.Server.Version}}").CombinedOutput()
	if err != nil {
		line, _, _ := strings.Cut(strings.TrimSpace(string(output)), "\n")
		return "none answers (" + strings.Trim(line, ". ") + ")"
	}
	return ""
}
