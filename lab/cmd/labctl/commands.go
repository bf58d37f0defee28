package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/kamald/kamald/lab"
)

const usage = `usage: labctl up                 bring the lab up and say how to reach it
       labctl down [--all]       remove it; --all: with the hosts' image
       labctl status             what it is and whether it answers
       labctl push VARIANT...    push a variant of the sample app: REPOSITORY:VERSION[,NAME=VALUE]...`

// leaseLimit is how long up and down wait for a test that uses the hosts.
const leaseLimit = 2 * time.Minute

func run(ctx context.Context, args []string, out io.Writer) error {
	if len(args) == 0 {
		return fmt.Errorf("no command given\n%s", usage)
	}
	switch command, rest := args[0], args[1:]; {
	case command == "up" && len(rest) == 0:
		return up(ctx, out)
	case command == "down" && (len(rest) == 0 || slices.Equal(rest, []string{"--all"})):
		return down(ctx, out, len(rest) == 1)
	case command == "status" && len(rest) == 0:
		return status(ctx, out)
	case command == "push" && len(rest) > 0:
		return push(ctx, out, rest)
	default:
		return fmt.Errorf("no such command: %s\n%s", strings.Join(args, " "), usage)
	}
}

func up(ctx context.Context, out io.Writer) error {
	release, err := acquire(ctx, "labctl up")
	if err != nil {
		return err
	}
	defer release()
	begin := time.Now()
	fmt.Fprintln(out, "bringing the lab up (the first time on a machine takes minutes)")
	l, err := lab.Up(ctx)
	if err != nil {
		return err
	}
	describe(l, out)
	fmt.Fprintf(out, "up after %s\n", time.Since(begin).Round(100*time.Millisecond))
	return nil
}

func down(ctx context.Context, out io.Writer, all bool) error {
	release, err := acquire(ctx, "labctl down")
	if err != nil {
		return err
	}
	defer release()
	if err := lab.Remove(ctx, all); err != nil {
		return err
	}
	fmt.Fprintln(out, "the lab is gone")
	return nil
}

func status(ctx context.Context, out io.Writer) error {
	l, err := lab.Load()
	if errors.Is(err, os.ErrNotExist) {
		fmt.Fprintln(out, "no lab; `labctl up` makes one")
		return nil
	}
	if err != nil {
		return err
	}
	describe(l, out)
	var failures []error
	for i := range l.Hosts {
		h := &l.Hosts[i]
		containers, err := h.Exec(ctx, "docker", "ps", "-q")
		if err != nil {
			failures = append(failures, err)
			fmt.Fprintf(out, "%s: does not answer\n", h.Name)
			continue
		}
		fmt.Fprintf(out, "%s: %d containers run\n", h.Name, len(strings.Fields(containers)))
	}
	return errors.Join(failures...)
}

func push(ctx context.Context, out io.Writer, variants []string) error {
	l, err := lab.Load()
	if err != nil {
		return err
	}
	for _, text := range variants {
		variant, err := parseVariant(text)
		if err != nil {
			return err
		}
		reference, err := l.BuildApp(ctx, variant)
		if err != nil {
			return err
		}
		fmt.Fprintln(out, "pushed", reference)
	}
	return nil
}

// parseVariant reads REPOSITORY:VERSION[,NAME=VALUE]...
func parseVariant(text string) (lab.AppImage, error) {
	parts := strings.Split(text, ",")
	repository, version, ok := strings.Cut(parts[0], ":")
	if !ok || repository == "" || version == "" {
		return lab.AppImage{}, fmt.Errorf("variant %q has no REPOSITORY:VERSION\n%s", text, usage)
	}
	variant := lab.AppImage{Repository: repository, Version: version, Env: map[string]string{}}
	for _, part := range parts[1:] {
		name, value, ok := strings.Cut(part, "=")
		if !ok || name == "" {
			return lab.AppImage{}, fmt.Errorf("variant %q: %q is not NAME=VALUE\n%s", text, part, usage)
		}
		variant.Env[name] = value
	}
	return variant, nil
}

func describe(l *lab.Lab, out io.Writer) {
	for _, h := range l.Hosts {
		fmt.Fprintf(out, "%s  ssh -i %s -o UserKnownHostsFile=%s root@%s\n", h.Name, l.KeyFile, l.KnownHosts, h.Address)
	}
	fmt.Fprintf(out, "registry %s on the hosts, %s here; user %s, password in %s/lab.json\n",
		l.Registry.Server, l.Registry.Push, l.Registry.Username, l.Dir)
}

func acquire(ctx context.Context, who string) (func(), error) {
	limit, cancel := context.WithTimeout(ctx, leaseLimit)
	defer cancel()
	return lab.Acquire(limit, who)
}
