package bootstrap

import (
	"context"
	"errors"
	"fmt"
)

// Start starts the engine, now and at every boot. One that runs is left as it is.
func (i *Installer) Start(ctx context.Context, say func(line string)) error {
	s, err := i.look(ctx)
	if err != nil {
		return err
	}
	commands := starters(s)
	if len(commands) == 0 {
		return errors.New("neither systemd, nor OpenRC, nor the command service is there to start the engine with: start dockerd by hand, and do the same again")
	}
	for _, command := range commands {
		dir, err := i.workspace(ctx, s)
		if err != nil {
			return err
		}
		if err := i.carry(ctx, s, dir, startLimit, say, command...); err != nil {
			return fmt.Errorf("the engine cannot be started: %w", err)
		}
	}
	return nil
}

// starters are the commands of the host's own supervisor. A unit that has failed too often is not even tried without a reset.
func starters(s *sight) [][]string {
	switch {
	case s.there("systemd") && s.there("systemctl"):
		return [][]string{{"sh", "-c", "systemctl reset-failed docker.service 2>/dev/null; systemctl enable --now docker.service"}}
	case s.there("rc-service"):
		return [][]string{{"sh", "-c", "rc-update add docker default; rc-service docker start"}}
	case s.there("service"):
		// An init script does not wait for what it starts.
		return [][]string{{"sh", "-c", "service docker start && sleep 2 && service docker status"}}
	}
	return nil
}

// Said gives the last lines that the engine has logged; none where nobody knows where it logs to.
func (i *Installer) Said(ctx context.Context) ([]string, error) {
	s, err := i.look(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := bound(ctx, stepLimit, "reading the engine's log")
	defer cancel()
	argv := []string{"tail", "-n", "20", "/var/log/docker.log"}
	if s.there("systemd") {
		argv = []string{"journalctl", "-u", "docker.service", "-n", "20", "--no-pager", "-o", "cat"}
	}
	said, err := i.root(ctx, s, argv...)
	if exit := (*ExitError)(nil); errors.As(err, &exit) {
		return nil, nil // there is no such log
	}
	return lastLines(said), err
}
