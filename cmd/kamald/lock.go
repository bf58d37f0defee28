package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

func (p *program) lockCommand() *cobra.Command {
	lock := &cobra.Command{Use: "lock", Short: "The deploy lock on the servers", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	lock.AddCommand(p.lockStatusCommand(), p.lockAcquireCommand(), p.lockReleaseCommand())
	return lock
}

func (p *program) lockStatusCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show who holds the deploy lock on each host",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.with(cmd.Context(), needsHosts, func(s *session) error {
				return p.showLocks(s.desired, s.LockStatus(cmd.Context(), s.desired))
			})
		},
	}
}

func (p *program) showLocks(desired release.Release, hosts []reconcile.HostLock) error {
	held, unseen := 0, 0
	for _, h := range hosts {
		held += count(h.Lock != nil)
		unseen += count(h.Unreachable != "")
	}
	switch {
	case p.flags.json:
		if err := p.writeJSON(map[string]any{"schema": schema, "app": desired.App(), "hosts": hosts}); err != nil {
			return err
		}
	case held == 0 && unseen == 0:
		p.printf("There is no deploy lock.\n")
	default:
		for _, h := range hosts {
			p.printf("%s: %s\n", h.Host, hostLockText(h))
		}
	}
	if unseen > 0 {
		return &exit{code: exitSkipped}
	}
	return nil
}

func count(is bool) int {
	if is {
		return 1
	}
	return 0
}

// hostLockText says all that is known of a host's lock, on one line and some below it.
func hostLockText(h reconcile.HostLock) string {
	switch {
	case h.Unreachable != "":
		return "unreachable: " + h.Unreachable
	case h.Lock == nil:
		return "not locked"
	}
	text := "locked by " + h.Lock.By()
	for _, more := range []struct{ name, value string }{{"version", h.Lock.Version}, {"reason", h.Lock.Reason}} {
		if more.value != "" {
			text += fmt.Sprintf(", %s %s", more.name, more.value)
		}
	}
	if h.Lock.Fence > 0 {
		text += fmt.Sprintf(", fence %d", h.Lock.Fence)
	}
	switch {
	case h.Holder == state.HeldByKamal:
		return text + "\n  Kamal's: it stays until Kamal gives it back, or `kamald lock release`"
	case h.Holder == state.HeldManually:
		return text + "\n  taken by a person: it stays until `kamald lock release`"
	case h.Gone:
		return text + "\n  kamald's; its owner is gone: the next run takes it over"
	}
	return text + fmt.Sprintf("\n  kamald's: its lease lasts %s more, and is renewed while its owner lives", h.Remaining.Round(time.Second))
}

func (p *program) lockAcquireCommand() *cobra.Command {
	var (
		message string
		wait    bool
	)
	cmd := &cobra.Command{
		Use:   "acquire -m MESSAGE",
		Short: "Take the deploy lock, so that nobody deploys until you release it",
		Long:  "Takes the deploy lock on every host of the release, or on none. Kamal respects it too. It never expires by itself: `kamald lock release`\ngives it back.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.with(cmd.Context(), needsHosts, func(s *session) error {
				s.LockWait, s.LockWaitLimit = wait, p.lockWait
				if err := s.AcquireLock(cmd.Context(), s.desired, message); err != nil {
					return err
				}
				if p.flags.json {
					return p.writeJSON(map[string]any{"schema": schema, "acquired": hostNames(s.desired), "message": message})
				}
				p.printf("Acquired the deploy lock (%s).\n", message)
				return nil
			})
		},
	}
	f := cmd.Flags()
	f.StringVarP(&message, "message", "m", "", "why nobody is to deploy")
	p.lockWaitFlag(f, &wait)
	return cmd
}

func hostNames(desired release.Release) []string {
	names := []string{}
	for _, h := range desired.Hosts {
		names = append(names, h.Name)
	}
	return names
}

func (p *program) lockReleaseCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "release",
		Short: "Take the deploy lock away, whoever holds it",
		Long:  "Takes the deploy lock away on every host that can be reached and says whose it was. A lock of kamald's own expires by itself when its\nowner is gone; one of Kamal's, or one that a person took, does not. Only for when you know that nobody is deploying.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.with(cmd.Context(), needsHosts, func(s *session) error {
				taken, err := s.Unlock(cmd.Context(), s.desired)
				return p.showUnlocked(taken, err)
			})
		},
	}
}

func (p *program) showUnlocked(taken reconcile.Unlocked, err error) error {
	if p.flags.json {
		err = errors.Join(err, p.writeJSON(map[string]any{"schema": schema, "released": taken.Released, "unreachable": taken.Unreachable}))
	} else {
		for _, host := range slices.Sorted(maps.Keys(taken.Released)) {
			p.printf("%s: released the deploy lock of %s\n", host, taken.Released[host].By())
		}
		for _, host := range taken.Unreachable {
			p.printf("%s: unreachable, so a lock there stays: %s\n", host.Host, host.Reason)
		}
		if len(taken.Released) == 0 && err == nil {
			p.printf("There is no deploy lock%s.\n", map[bool]string{true: " on the hosts that were reached"}[len(taken.Unreachable) > 0])
		}
	}
	if err == nil && len(taken.Unreachable) > 0 {
		return &exit{code: exitSkipped}
	}
	return err
}
