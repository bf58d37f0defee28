package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/reconcile/loop"
	"github.com/kamald/kamald/state"
)

func (p *program) releaseCommand() *cobra.Command {
	var (
		options reconcile.Options
		wait    bool
		retry   bool
		await   bool
	)
	cmd := &cobra.Command{
		Use:   "release VERSION",
		Short: "Release a version and hold it, whatever the file proposes",
		Long: "Makes the file's release of VERSION true, and holds it: what the file proposes waits until `kamald resume`, or a newer release.\n" +
			"A version whose last release failed is refused without --retry. Where a daemon drives the app, it does it: one of this machine with\n" +
			"the same store, or the one that --server names. With --wait the command ends when the release has.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if p.flags.version != "" && p.flags.version != args[0] {
				return errors.New("give the version once: as the argument or with --version")
			}
			p.flags.version, options.Hold = args[0], true
			if r, err := p.driver(cmd); err != nil {
				return err
			} else if r != nil {
				defer r.close()
				return p.order(cmd.Context(), r, loop.Order{Verb: loop.VerbRelease, Version: args[0], Retry: retry, SkipHooks: p.flags.skipHooks}, await)
			}
			return p.carryOut(cmd.Context(), needsRelease, wait, func(ctx context.Context, s *session) (reconcile.Report, error) {
				if err := refuseFailed(s, args[0], retry); err != nil {
					return reconcile.Report{}, err
				}
				return s.Apply(ctx, s.desired, options)
			})
		},
	}
	p.applyFlags(cmd, &options, &wait)
	cmd.Flags().BoolVar(&await, "wait", false, "wait until a daemon's release has ended (without a daemon it always does)")
	p.serverFlag(cmd)
	cmd.Flags().BoolVar(&retry, "retry", false, "also when the last release of that version failed")
	return cmd
}

// refuseFailed asks again before a version that has just failed is tried once more.
func refuseFailed(s *session, version string, retry bool) error {
	records, err := s.Store.Releases(s.desired.App())
	if err != nil || retry {
		return err
	}
	for _, r := range records { // the newest first
		if r.Version != version {
			continue
		}
		if r.Outcome == state.OutcomeFailed {
			return fmt.Errorf("release %d of version %s failed at %s: %s\n  next: mend that, then `kamald release %s --retry`",
				r.Number, version, r.Ended.UTC().Format(time.RFC3339), reasonOf(past{Reason: r.Reason}), version)
		}
		return nil
	}
	return nil
}

func (p *program) resumeCommand() *cobra.Command {
	var wait bool
	cmd := &cobra.Command{
		Use:   "resume",
		Short: "Lift the hold of a rollback or a release, so that what the file says is applied again",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if r, err := p.driver(cmd); err != nil {
				return err
			} else if r != nil {
				defer r.close()
				return p.resumeBy(cmd, r)
			}
			return p.with(cmd.Context(), needsHosts, func(s *session) error {
				s.LockWait, s.LockWaitLimit = wait, p.lockWait
				p.changes(s)
				resumed, err := s.Resume(cmd.Context(), s.desired)
				s.progress.end()
				if err != nil {
					return err
				}
				return p.showResumed(resumed)
			})
		},
	}
	p.serverFlag(cmd)
	p.lockWaitFlag(cmd.Flags(), &wait)
	return cmd
}

func (p *program) showResumed(resumed reconcile.Resumed) error {
	switch held := resumed.Release; {
	case p.flags.json:
		if err := p.writeJSON(map[string]any{"schema": schema, "lifted": resumed.Lifted, "release": held.Number, "version": held.Version, "skipped": resumed.Skipped}); err != nil {
			return err
		}
	case resumed.Lifted:
		p.printf("The hold of release %d (version %s) is lifted.\nnext: `kamald plan` shows what the file proposes\n", held.Number, held.Version)
	default:
		p.printf("Nothing is held: release %d (version %s) waits for nobody.\n", held.Number, held.Version)
	}
	if len(resumed.Skipped) > 0 {
		for _, host := range resumed.Skipped {
			p.note("%s: unreachable, its record still has the hold, and the others' counts: %s", host.Host, host.Reason)
		}
		return &exit{code: exitSkipped}
	}
	return nil
}
