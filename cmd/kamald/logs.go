package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/kamald/kamald/reconcile"
)

const (
	logsShown    = 100 // lines of each container
	logsFollowed = 10  // the same, before those that come
)

// logFlags are the flags of the commands that show logs.
type logFlags struct {
	lines     int
	since     string
	grep      string
	follow    bool
	container string
	stamps    bool
	bare      bool
}

func (l *logFlags) declare(f *pflag.FlagSet, stamps bool) {
	f.IntVarP(&l.lines, "lines", "n", logsShown, "the newest so many of each container")
	f.Lookup("lines").DefValue = fmt.Sprintf("%d, with --follow %d, with --since or --grep all", logsShown, logsFollowed)
	f.StringVarP(&l.since, "since", "s", "", "only what is not older: a duration such as 10m, by each host's clock, or a `time` such as 2026-01-31T18:00:00Z")
	f.StringVarP(&l.grep, "grep", "g", "", "only lines, of those, that match a `regexp` (Go's: RE2)")
	f.BoolVarP(&l.follow, "follow", "f", false, "go on with what is logged, also by containers that start later, until Ctrl-C")
	f.BoolVar(&l.stamps, "timestamps", stamps, "begin each line with its time, by its host's clock")
	f.BoolVarP(&l.bare, "skip-timestamps", "T", false, "the same as --timestamps=false")
}

// options reads the flags.
func (l *logFlags) options(f *pflag.FlagSet, now time.Time) (o reconcile.LogOptions, err error) {
	o = reconcile.LogOptions{Follow: l.follow, Container: l.container, Lines: l.lines}
	if l.lines < 1 {
		return o, errors.New("--lines is at least 1")
	}
	if !f.Changed("lines") {
		switch {
		case l.since != "" || l.grep != "":
			o.Lines = 0
		case l.follow:
			o.Lines = logsFollowed
		}
	}
	if l.grep != "" {
		pattern, err := regexp.Compile(l.grep)
		if err != nil {
			return o, fmt.Errorf("--grep takes a regular expression as Go has them (RE2): %w", err)
		}
		o.Match = pattern.MatchString
	}
	if l.bare {
		l.stamps = false
	}
	o.Since, o.From, err = logsSince(l.since, now)
	return o, err
}

// logsSince reads a duration or a time that is over; "" is neither.
func logsSince(text string, now time.Time) (time.Duration, time.Time, error) {
	if text == "" {
		return 0, time.Time{}, nil
	}
	if d, err := time.ParseDuration(text); err == nil && d > 0 {
		return d, time.Time{}, nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil || at.After(now) {
		return 0, time.Time{}, fmt.Errorf("--since: %q is neither a duration such as 10m nor a time that is over, such as 2026-01-31T18:00:00Z", text)
	}
	return 0, at, nil
}

func (p *program) appLogsCommand() *cobra.Command {
	var l logFlags
	cmd := limits(&cobra.Command{
		Use:   "logs",
		Short: "Show what the app has logged, of all hosts and roles together by time",
		Long: "Shows the logs of the containers that serve, of all hosts and roles at once, in the order of their times. Where no container of a role\n" +
			"runs, the log of the newest that has ended. --hosts and --roles limit it. With --follow what comes is shown, too: a connection that is\n" +
			"lost is made again, and the containers of the next release join. --json writes one object a line.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o, err := l.options(cmd.Flags(), time.Now())
			if err != nil {
				return err
			}
			if o.Hosts, o.Roles = p.flags.hosts, p.flags.roles; o.Container != "" && len(o.Roles) > 0 {
				return errors.New("--container does not go with --roles: it names one container, whatever its role is; --hosts says where to look for it")
			}
			return p.showLogs(cmd.Context(), o, l.stamps)
		},
	})
	l.declare(cmd.Flags(), true)
	cmd.Flags().StringVar(&l.container, "container", "", "only the container of this `ID or name`, whatever it is like, also one that has ended")
	return cmd
}

func (p *program) proxyLogsCommand() *cobra.Command {
	var l logFlags
	cmd := onlyHosts(&cobra.Command{
		Use:   "logs",
		Short: "Show what the proxies have logged, of all hosts together by time",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o, err := l.options(cmd.Flags(), time.Now())
			if err != nil {
				return err
			}
			o.Hosts, o.Proxy = p.flags.hosts, true
			return p.showLogs(cmd.Context(), o, l.stamps)
		},
	})
	l.declare(cmd.Flags(), false)
	return cmd
}

// showLogs reads logs and shows them as they come.
func (p *program) showLogs(ctx context.Context, o reconcile.LogOptions, stamps bool) error {
	return p.with(ctx, needsHosts, func(s *session) error {
		if o.Accessory != "" {
			if err := knownAccessory(s.desired, o.Accessory); err != nil {
				return err
			}
		}
		ctx, left := context.WithCancelCause(ctx)
		defer left(nil)
		view := newLogView(p, audience{p.out, left}, s.desired, o, stamps)
		err := s.ReadLogs(ctx, s.desired, o, view.line, view.note)
		switch gone := leftBy(ctx); {
		case gone != nil:
			return gone
		case ctx.Err() != nil && o.Follow:
			return &exit{code: exitInterrupted} // it was asked to end, and nothing else ends it
		case err != nil:
			return err
		case view.missing:
			return &exit{code: exitSkipped}
		}
		return nil
	})
}
