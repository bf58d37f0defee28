package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// execFlags are the flags of the commands that run a command.
type execFlags struct {
	interactive bool
	raw         bool
	primary     bool
	reuse       bool
	detach      bool
	env         []string
}

func (e *execFlags) declare(f *pflag.FlagSet) {
	f.SetInterspersed(false) // what stands behind the command is its own
	f.BoolVarP(&e.interactive, "interactive", "i", false, "with your terminal, or what is piped in, in the first place only")
	f.BoolVar(&e.raw, "raw", false, "write the command's output as it is, byte for byte, and nothing else; for one place")
	f.BoolVarP(&e.primary, "primary", "p", false, "only in the first place: the primary role on the primary host, or the first that --hosts and --roles leave")
}

// declareMore has the flags of commands that are run in containers; logs is what shows the output of one that nobody waits for.
func (e *execFlags) declareMore(f *pflag.FlagSet, logs string) {
	f.BoolVar(&e.reuse, "reuse", false, "run it in the container that serves, in place of a new one")
	f.BoolVar(&e.detach, "detach", false, "do not wait for its end; kamald "+logs+" shows its output, and kamald prune removes it when it has ended")
	f.StringArrayVarP(&e.env, "env", "e", nil, "a variable more, as `NAME=VALUE`; can be given again")
}

// command checks the flags and the words of a command that is run in containers. before is what stands before it on the command line.
func (e *execFlags) command(words []string, before string) (argv []string, env map[string]release.Secret, err error) {
	if err := e.check(); err != nil {
		return nil, nil, err
	}
	if strings.ContainsAny(words[0], " \t\n") {
		return nil, nil, fmt.Errorf("%q is one word, and no program's name: give the words apart, `%s -- %s`, or let a shell read it, `%s sh -c '...'`", words[0], before, words[0], before)
	}
	env, err = variables(e.env)
	return words, env, err
}

// check refuses what does not go together.
func (e *execFlags) check() error {
	switch {
	case e.detach && (e.interactive || e.reuse):
		return errors.New("--detach does not go with --interactive or --reuse: it leaves a new container to itself")
	case e.raw && (e.interactive || e.detach):
		return errors.New("--raw does not go with --interactive or --detach; what is piped through --interactive is as it is already")
	}
	return nil
}

// anyCommand wants a command, in words.
func anyCommand(_ *cobra.Command, args []string) error {
	if len(args) == 0 || strings.TrimSpace(args[0]) == "" {
		return errors.New("a command is missing")
	}
	return nil
}

func (p *program) appExecCommand() *cobra.Command {
	var e execFlags
	cmd := limits(&cobra.Command{
		Use:   "exec [flags] COMMAND [ARGUMENT]...",
		Short: "Run a command in the app's containers, or in new ones like them; with -i as a console",
		Long: "Runs a command in a new container of the image that serves, with the role's environment, volumes, network and options, which is removed\n" +
			"when the command ends; with --reuse in the container that serves. It is run in every role on every host; --hosts, --roles and\n" +
			"--primary limit that, and -i means the first place. Each word reaches the program as it is, without a shell: for one, run sh -c '...'.\n" +
			"The exit code is the command's: of several the first that is not 0.",
		Args: anyCommand,
		RunE: func(cmd *cobra.Command, args []string) error {
			words, env, err := e.command(args, cmd.CommandPath())
			if err != nil {
				return err
			}
			return p.appExec(cmd.Context(), e, words, env)
		},
	})
	e.declare(cmd.Flags())
	e.declareMore(cmd.Flags(), "app logs --container")
	return cmd
}

// variables reads NAME=VALUE.
func variables(list []string) (map[string]release.Secret, error) {
	values := map[string]release.Secret{}
	for _, text := range list {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" || strings.ContainsAny(name, " \t\n") {
			return nil, errors.New("--env takes NAME=VALUE") // what was given may be a value
		}
		values[name] = release.NewSecret(value)
	}
	return values, nil
}

func (p *program) appExec(ctx context.Context, e execFlags, argv []string, env map[string]release.Secret) error {
	return p.with(ctx, needsHosts, func(s *session) error {
		places, err := reconcile.Places(s.desired, p.flags.hosts, p.flags.roles)
		if err != nil {
			return err
		}
		return p.execIn(ctx, s, places, e, argv, env)
	})
}

// execIn runs a command in places, and shows how it ended.
func (p *program) execIn(ctx context.Context, s *session, places []reconcile.Place, e execFlags, argv []string, env map[string]release.Secret) error {
	places, err := leftIn(p, s, places, func(place reconcile.Place) string { return place.Host })
	if err != nil {
		return err
	}
	if e.primary || e.interactive {
		places = places[:1]
	}
	if len(places) > 1 && e.raw {
		leave := "--primary, or --hosts and --roles, leave one"
		if _, is := state.AccessoryOf(places[0].Role); is {
			leave = "--primary or --hosts leave one"
		}
		return fmt.Errorf("--raw writes the output of one command, and this is %d: %s", len(places), leave)
	}
	through, err := p.newConduit(e, placeNames(places))
	if err != nil {
		return err
	}
	defer through.close()
	ctx, enough := through.heard(ctx)
	defer enough()
	done := s.Exec(ctx, s.desired, places, reconcile.ExecOptions{Argv: argv, Version: p.flags.version, Env: env, Reuse: e.reuse, Detach: e.detach,
		Streams: through.place})
	through.close()
	return p.showExecuted(ctx, s.desired, done, e)
}

// leftIn takes the places on cordoned hosts out, and names those hosts.
func leftIn[P any](p *program, s *session, places []P, hostOf func(P) string) (left []P, err error) {
	cordoned, err := s.Cordoned(s.desired, p.flags.hosts)
	if err != nil {
		return nil, err
	}
	told := map[string]bool{}
	for _, place := range places {
		host := hostOf(place)
		reason := cordoned[host]
		if reason == "" {
			left = append(left, place)
		} else if !told[host] {
			told[host] = true
			p.note("%s is left out: %s; --hosts %s takes it in all the same", host, reason, host)
		}
	}
	if len(left) == 0 {
		return nil, errors.New("every host in scope is cordoned, and nothing was run; --hosts names those that are to take part all the same")
	}
	return left, nil
}

func placeNames(places []reconcile.Place) (names []string) {
	for _, place := range places {
		names = append(names, placeName(place))
	}
	return names
}

func placeName(place reconcile.Place) string { return prefix(place.Host, place.Role) }

// showExecuted says how commands ended, as far as their output does not, and gives the exit code: the first that is not 0.
func (p *program) showExecuted(ctx context.Context, desired release.Release, done []reconcile.Executed, e execFlags) error {
	left := leftBy(ctx)
	code, failed, hosts := 0, 0, map[string]bool{}
	for _, d := range done {
		hosts[d.Host] = true
		switch {
		case d.Err != nil:
			failed++
			if code == 0 {
				code = exitError
			}
		case d.Code != 0:
			failed++
			if code == 0 {
				code = d.Code
			}
		}
	}
	switch {
	case p.flags.json:
		if err := p.writeJSON(map[string]any{"schema": schema, "app": desired.App(), "places": done}); err != nil && left == nil {
			return err
		}
	case left != nil:
		p.sayUnread(done, e)
	default:
		p.sayExecuted(done, e, failed)
	}
	switch {
	case left != nil:
		return left
	case ctx.Err() != nil:
		return &exit{code: exitInterrupted}
	case code != 0:
		return &exit{code: code}
	}
	return nil
}

// sayUnread says of commands whose output nobody reads any more what has failed for another reason, and what may go on in a container that
// serves.
func (p *program) sayUnread(done []reconcile.Executed, e execFlags) {
	for _, d := range done {
		ended := errors.Is(d.Err, state.ErrUnwritten) || errors.Is(d.Err, context.Canceled) // for that very reason
		if d.Err != nil && (e.reuse || !ended) {
			_, _ = fmt.Fprintf(p.err, "%s %s: %s\n", p.err.in(red, "kamald:"), placeName(d.Place), d.Error)
		}
	}
}

// sayExecuted names each place where it failed, and containers that were left to themselves.
func (p *program) sayExecuted(done []reconcile.Executed, e execFlags, failed int) {
	for _, d := range done {
		name := placeName(d.Place)
		switch {
		case d.Err != nil:
			_, _ = fmt.Fprintf(p.err, "%s %s: %s\n", p.err.in(red, "kamald:"), name, d.Error)
		case e.detach:
			logs := "app logs"
			if accessory, is := state.AccessoryOf(d.Role); is {
				logs = "accessory logs " + accessory
			}
			p.printf("%s: %s was started; `kamald %s --container %s --hosts %s` shows its output\n", name, d.Container, logs, d.Container, d.Host)
		case d.Code != 0 && len(done) > 1:
			_, _ = fmt.Fprintf(p.err, "%s %s: it ended with exit code %d\n", p.err.in(red, "kamald:"), name, d.Code)
		}
	}
	if slices.ContainsFunc(done, func(d reconcile.Executed) bool { return errors.Is(d.Err, state.ErrUnreachable) && !d.Running }) {
		_, _ = fmt.Fprintln(p.err, "  next: mend that, or leave the host out with --hosts; `kamald doctor` looks closer")
	}
	if len(done) > 1 && failed > 0 {
		p.note("it failed in %d of %d places", failed, len(done))
	}
}
