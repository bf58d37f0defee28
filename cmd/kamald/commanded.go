package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/kamald/kamald/reconcile"
)

// errAborted: who was asked did not want it.
var errAborted = errors.New("aborted: nothing was changed")

// changeProxies carries a command about proxies out, and says what came of it.
func (p *program) changeProxies(ctx context.Context, wait bool, act func(context.Context, *session) (reconcile.Commanded, error)) error {
	return p.with(ctx, needsHosts, func(s *session) error {
		s.LockWait, s.LockWaitLimit = wait, p.lockWait
		p.changes(s)
		done, err := act(ctx, s)
		s.progress.end()
		return p.showCommanded(done, err)
	})
}

// confirm says what something costs, and goes on when somebody wants that.
func (p *program) confirm(what string, yes bool) error {
	if yes {
		return nil
	}
	if !p.asks() {
		return fmt.Errorf("%s\n  next: there is nobody to ask here: --yes (-y) does it", what)
	}
	_, _ = fmt.Fprintf(p.err, "%s\nGo on? [y/N] ", what)
	answer, err := bufio.NewReader(p.in).ReadString('\n')
	if err != nil && answer == "" {
		return errAborted
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	return errAborted
}

func (p *program) showCommanded(done reconcile.Commanded, err error) error {
	if len(done.Done) == 0 {
		return err // nothing was begun
	}
	if p.flags.json {
		result := struct {
			Schema int `json:"schema"`
			reconcile.Commanded
			Error string `json:"error,omitempty"`
		}{Schema: schema, Commanded: done}
		if err != nil {
			result.Error = err.Error()
		}
		if failed := p.writeJSON(result); failed != nil {
			return failed
		}
	} else {
		p.commandedText(done, err)
	}
	switch {
	case err != nil:
		return &exit{code: exitError, cause: err}
	case len(done.Skipped) > 0:
		return &exit{code: exitSkipped}
	}
	return nil
}

func (p *program) commandedText(done reconcile.Commanded, err error) {
	say := func(format string, args ...any) { _, _ = fmt.Fprintf(p.out.prose(), format, args...) }
	for _, one := range done.Done {
		where := one.Host
		if one.Role != "" {
			where += "/" + one.Role
		}
		if one.Error != "" {
			say("%s: %s: %s\n", where, p.out.in(red, "failed"), one.Error)
		} else {
			say("%s: %s\n", where, one.Did)
		}
		for _, note := range one.Notes {
			say("  %s\n", note)
		}
	}
	for _, host := range done.Skipped {
		say("%s: skipped: %s\n", host.Host, host.Reason)
	}
	for _, host := range done.Cordoned {
		say("%s: left out: %s\n", host.Host, host.Reason)
	}
	if err != nil || len(done.Skipped) > 0 {
		say("next: mend that and do the same again; what is done already is left as it is\n")
	}
	if err != nil {
		_, _ = fmt.Fprintf(p.err.prose(), "%s %s\n", p.err.in(red, "kamald:"), unsaid(done, err))
	}
}

// unsaid is what went wrong, without what stands with its host already.
func unsaid(done reconcile.Commanded, err error) string {
	failed := 0
	for _, one := range done.Done {
		if one.Error != "" {
			failed++
		}
	}
	if failed == 0 {
		return err.Error()
	}
	return fmt.Sprintf("%s failed on %d of %d", done.Command, failed, len(done.Done))
}

// seconds is a duration that may be given as a number of seconds, as Kamal takes it.
type seconds time.Duration

// Set implements pflag.Value.
func (s *seconds) Set(text string) error {
	if n, err := strconv.ParseUint(text, 10, 31); err == nil {
		*s = seconds(time.Duration(n) * time.Second)
		return nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return fmt.Errorf("give a duration such as 30s, or a number of seconds")
	}
	*s = seconds(d)
	return nil
}

// String implements pflag.Value.
func (s *seconds) String() string { return time.Duration(*s).String() }

// Type implements pflag.Value.
func (s *seconds) Type() string { return "duration" }
