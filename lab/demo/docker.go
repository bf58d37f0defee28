package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/kamald/kamald/lab"
)

const (
	// commandLimit bounds one command of kamald: what it does here takes seconds.
	commandLimit = 90 * time.Second
	// compensation is the time that an interrupted kamald gets for taking back what it began.
	compensation = 45 * time.Second
)

// dockerStage plays on this machine's Docker engine, with the built program.
type dockerStage struct {
	dir, bin string
	out      io.Writer
	url      string
	http     *http.Client
	lock     *os.File
}

func newDockerStage(dir string, out io.Writer) (*dockerStage, error) {
	bin, err := filepath.Abs(filepath.Join("bin", "kamald"))
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(bin); err != nil {
		return nil, fmt.Errorf("the program is not built: run `make demo`, which builds it: %w", err)
	}
	return &dockerStage{dir: dir, bin: bin, out: out, http: &http.Client{Timeout: 10 * time.Second}}, nil
}

func (d *dockerStage) At(port int) { d.url = fmt.Sprintf("http://127.0.0.1:%d/", port) }

func (d *dockerStage) Build(ctx context.Context, version string, sick bool) error {
	variant := lab.AppImage{Repository: image, Version: version, Service: service, Labels: map[string]string{mark: "1"}}
	if sick {
		variant.Env = map[string]string{"APP_SICK": "true"}
	}
	reference, err := lab.LoadApp(ctx, variant)
	if err == nil {
		fmt.Fprintf(d.out, "   image %s\n", reference)
	}
	return err
}

// Kamald runs the program in its folder, as a user would. It is in a process group of its own, so that a Ctrl-C reaches it
// once, and it can take back what it began.
func (d *dockerStage) Kamald(ctx context.Context, args ...string) (result, error) {
	limit, cancel := context.WithTimeout(ctx, commandLimit)
	defer cancel()
	var text bytes.Buffer
	cmd := exec.CommandContext(limit, d.bin, append(args, "--store", filepath.Join(d.dir, "state.db"), "--no-color")...)
	cmd.Dir = d.dir
	cmd.Stdout = io.MultiWriter(d.out, &text)
	cmd.Stderr = cmd.Stdout
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = compensation
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		return result{}, err
	}
	if limit.Err() != nil && ctx.Err() == nil {
		return result{}, fmt.Errorf("no end after %s", commandLimit)
	}
	return result{code: cmd.ProcessState.ExitCode(), text: text.String()}, ctx.Err()
}

func (d *dockerStage) Ask(ctx context.Context) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, d.url, nil)
	if err != nil {
		return "", err
	}
	response, err := d.http.Do(request)
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	if err != nil {
		return "", err
	}
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s: %s", response.Status, body)
	}
	for line := range strings.Lines(string(body)) {
		if version, ok := strings.CutPrefix(strings.TrimSpace(line), "version="); ok {
			return version, nil
		}
	}
	return "", fmt.Errorf("the answer has no version: %s", body)
}

func (d *dockerStage) Running(ctx context.Context) (map[string]string, error) {
	listed, err := docker(ctx, "ps", "--no-trunc", "--filter", "label=service="+service, "--format", "{{.Names}} {{.ID}}")
	if err != nil {
		return nil, err
	}
	running := map[string]string{}
	for line := range strings.Lines(listed) {
		name, id, _ := strings.Cut(strings.TrimSpace(line), " ")
		running[name] = id
	}
	return running, nil
}

// Latest is the other tag of the image that bears latest.
func (d *dockerStage) Latest(ctx context.Context) (string, error) {
	listed, err := docker(ctx, "image", "inspect", "--format", "{{join .RepoTags \"\\n\"}}", image+":latest")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(listed) {
		if version := strings.TrimPrefix(strings.TrimSpace(line), image+":"); version != "latest" {
			return version, nil
		}
	}
	return "", nil
}

func (d *dockerStage) RemoveByHand(ctx context.Context, container string) error {
	fmt.Fprintf(d.out, "$ docker rm -f %s\n", container)
	_, err := docker(ctx, "rm", "-f", container)
	return err
}

// docker runs the machine's docker command and gives what it prints.
func docker(ctx context.Context, args ...string) (string, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, "docker", args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("docker %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return strings.TrimSpace(stdout.String()), nil
}
