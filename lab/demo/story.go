package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// story is what is shown, and what must be true after each part of it.
type story struct {
	stage
	out  io.Writer
	dir  string
	file string // deploy.hcl

	port, tlsPort int
	checks        int
}

const (
	web     = "web"
	workers = "workers"
)

// container is the name that kamald gives a role's container.
func container(role, version string) string { return service + "-" + role + "-" + version }

// tell plays every part; it ends at the first expectation that is not met.
func (s *story) tell(ctx context.Context) error {
	for _, part := range []func(context.Context) error{s.prepare, s.first, s.second, s.broken, s.drift, s.rollback, s.history} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (s *story) prepare(ctx context.Context) (err error) {
	s.title("three versions of an app: v1, v2, and v3, whose health check never passes")
	for _, version := range []string{"v1", "v2", "v3"} {
		if err := s.Build(ctx, version, version == "v3"); err != nil {
			return err
		}
	}
	if s.port, s.tlsPort, err = freePorts(); err != nil {
		return err
	}
	if err := s.want("v1"); err != nil {
		return err
	}
	text, err := os.ReadFile(s.file)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "$ cat deploy.hcl\n%s", text)
	return s.kamald(ctx, 0, "validate")
}

func (s *story) first(ctx context.Context) error {
	s.title("the first release: look at the plan, then apply it")
	if err := s.kamald(ctx, 2, "plan", "--detailed-exitcode"); err != nil {
		return err
	}
	if err := s.kamald(ctx, 0, "apply"); err != nil {
		return err
	}
	if err := s.serves(ctx, "v1"); err != nil {
		return err
	}
	return s.kamald(ctx, 0, "plan", "--detailed-exitcode")
}

func (s *story) second(ctx context.Context) error {
	s.title("v2, while a client asks 100 times a second through the proxy")
	if err := s.want("v2"); err != nil {
		return err
	}
	count, err := s.asking(ctx, func() error { return s.kamald(ctx, 0, "apply") })
	if err != nil {
		return err
	}
	if err := s.expect(count.failed == 0, "no request failed: %s", count); err != nil {
		return err
	}
	if err := s.expect(count.by["v1"] > 0 && count.by["v2"] > 0, "v1 answered before the switch and v2 after it"); err != nil {
		return err
	}
	return s.serves(ctx, "v2")
}

func (s *story) broken(ctx context.Context) error {
	s.title("v3 never becomes healthy: the barrier holds, and v2 goes on")
	if err := s.want("v3"); err != nil {
		return err
	}
	before, err := s.Running(ctx)
	if err != nil {
		return err
	}
	var said result
	count, err := s.asking(ctx, func() (err error) {
		said, err = s.kamaldSays(ctx, 1, "apply")
		return err
	})
	if err != nil {
		return err
	}
	if err := s.expect(strings.Contains(said.text, container(web, "v3")) && strings.Contains(said.text, "503"),
		"the message names the container and what its health check answered"); err != nil {
		return err
	}
	if err := s.expect(count.failed == 0 && count.by["v2"] == count.sent, "no request failed, and v2 answered all: %s", count); err != nil {
		return err
	}
	if err := s.serves(ctx, "v2"); err != nil {
		return err
	}
	after, err := s.Running(ctx)
	if err != nil {
		return err
	}
	id := before[container(workers, "v2")]
	return s.expect(id != "" && after[container(workers, "v2")] == id, "the workers' container is the same one as before")
}

func (s *story) drift(ctx context.Context) error {
	s.title("somebody removes a container by hand: kamald sees it and puts it back")
	if err := s.want("v2"); err != nil {
		return err
	}
	name := container(workers, "v2")
	if err := s.RemoveByHand(ctx, name); err != nil {
		return err
	}
	said, err := s.kamaldSays(ctx, 3, "drift")
	if err != nil {
		return err
	}
	if err := s.expect(strings.Contains(said.text, name), "the drift names %s", name); err != nil {
		return err
	}
	if err := s.kamald(ctx, 0, "apply"); err != nil {
		return err
	}
	if err := s.serves(ctx, "v2"); err != nil {
		return err
	}
	return s.kamald(ctx, 0, "drift")
}

func (s *story) rollback(ctx context.Context) error {
	s.title("back to the release before, while the client asks again")
	count, err := s.asking(ctx, func() error { return s.kamald(ctx, 0, "rollback") })
	if err != nil {
		return err
	}
	if err := s.expect(count.failed == 0, "no request failed: %s", count); err != nil {
		return err
	}
	return s.serves(ctx, "v1")
}

func (s *story) history(ctx context.Context) error {
	s.title("what happened")
	said, err := s.kamaldSays(ctx, 0, "history")
	if err != nil {
		return err
	}
	for _, word := range []string{"v1", "v2", "rollback"} {
		if err := s.expect(strings.Contains(said.text, word), "the history has %s", word); err != nil {
			return err
		}
	}
	return nil
}

// asking keeps a client asking while something is done, and some time before and after.
func (s *story) asking(ctx context.Context, do func() error) (tally, error) {
	c := newClient(ctx, s.Ask)
	err := errors.Join(c.atLeast(25), do(), c.atLeast(25))
	count := c.stop()
	fmt.Fprintf(s.out, "   client: %s\n", count)
	return count, err
}

// serves wants a version, and no other, to answer and to run in both roles, and latest to be at it.
func (s *story) serves(ctx context.Context, version string) error {
	answered, err := s.Ask(ctx)
	if err != nil {
		return err
	}
	if err := s.expect(answered == version, "%s answers", version); err != nil {
		return fmt.Errorf("%w: %q did", err, answered)
	}
	running, err := s.Running(ctx)
	if err != nil {
		return err
	}
	both := running[container(web, version)] != "" && running[container(workers, version)] != ""
	if err := s.expect(both && len(running) == 2, "web and workers run %s, and nothing else of the app runs", version); err != nil {
		return fmt.Errorf("%w: there are %v", err, running)
	}
	latest, err := s.Latest(ctx)
	if err != nil {
		return err
	}
	if err := s.expect(latest == version, "the tag latest is at %s", version); err != nil {
		return fmt.Errorf("%w: it is at %q", err, latest)
	}
	return nil
}

// kamald runs a command and wants an exit code.
func (s *story) kamald(ctx context.Context, code int, args ...string) error {
	_, err := s.kamaldSays(ctx, code, args...)
	return err
}

func (s *story) kamaldSays(ctx context.Context, code int, args ...string) (result, error) {
	fmt.Fprintf(s.out, "$ kamald %s\n", strings.Join(args, " "))
	said, err := s.Kamald(ctx, args...)
	if err != nil {
		return said, fmt.Errorf("kamald %s: %w", strings.Join(args, " "), err)
	}
	return said, s.expect(said.code == code, "exit code %d", said.code)
}

// expect counts and prints what came true; what did not is the error.
func (s *story) expect(ok bool, format string, args ...any) error {
	what := fmt.Sprintf(format, args...)
	if !ok {
		fmt.Fprintf(s.out, "   ✗ %s\n", what)
		return fmt.Errorf("the demo expected otherwise: %s", what)
	}
	s.checks++
	fmt.Fprintf(s.out, "   ✓ %s\n", what)
	return nil
}

func (s *story) title(text string) { fmt.Fprintf(s.out, "\n── %s\n", text) }

func (s *story) sum(took time.Duration) {
	fmt.Fprintf(s.out, `
── done in %s: all %d expectations met
   a plan, two releases with no request failed, a broken one held back, drift healed, a rollback
   next: README.md, docs/getting-started.md
`, took.Round(100*time.Millisecond), s.checks)
}
