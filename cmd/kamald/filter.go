package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
)

// limited marks the commands that --hosts and --roles limit; the others refuse them rather than do more than was asked for.
const limited = "limited by --hosts and --roles"

// limits lets --hosts and --roles limit a command.
func limits(cmd *cobra.Command) *cobra.Command {
	if cmd.Annotations == nil {
		cmd.Annotations = map[string]string{}
	}
	cmd.Annotations[limited] = "yes"
	return cmd
}

// checkLimits refuses --hosts and --roles where they mean nothing.
func (p *program) checkLimits(cmd *cobra.Command) error {
	_, means := cmd.Annotations[limited]
	if p.flags.primary && len(p.flags.hosts) > 0 {
		return errors.New("--primary and --hosts both say which hosts: give one of them")
	}
	if p.flags.primary && !means {
		return fmt.Errorf("--primary means nothing to `%s`: it is about every host of the release; leave it out", cmd.CommandPath())
	}
	for name, given := range map[string][]string{"--hosts": p.flags.hosts, "--roles": p.flags.roles} {
		if !means && name == "--hosts" && len(given) > 0 && cmd.Flags().Lookup("host") != nil {
			return fmt.Errorf("--hosts means nothing to `%s`: it takes --host", cmd.CommandPath())
		}
		if !means && len(given) > 0 {
			return fmt.Errorf("%s means nothing to `%s`: it is about every host of the release; leave it out", name, cmd.CommandPath())
		}
	}
	return nil
}

// limitToPrimary turns --primary into the name of its host.
func (p *program) limitToPrimary(desired release.Release) error {
	if !p.flags.primary {
		return nil
	}
	name := desired.PrimaryRole
	if len(p.flags.roles) > 0 {
		scope, err := plan.FilterOf(desired, nil, p.flags.roles)
		if err != nil {
			return err
		}
		if len(scope.Roles) > 0 {
			name = scope.Roles[0]
		}
	}
	role, _ := desired.Role(name)
	if len(role.Hosts) == 0 {
		return fmt.Errorf("--primary: role %q has no host", name)
	}
	p.flags.hosts = patterns{role.Hosts[0]}
	return nil
}

// patterns is a flag that takes globs, several with commas between; a comma within braces belongs to its glob.
type patterns []string

// Set implements pflag.Value: a flag that is given again adds to what it has.
func (p *patterns) Set(text string) error {
	depth, from := 0, 0
	for i, r := range text + "," {
		switch {
		case r == '{':
			depth++
		case r == '}':
			depth--
		case r == ',' && (depth == 0 || i == len(text)):
			if one := strings.TrimSpace(text[from:i]); one != "" {
				*p = append(*p, one)
			}
			from = i + 1
		}
	}
	if depth != 0 {
		return fmt.Errorf("%q has a brace without its other half", text)
	}
	if len(*p) == 0 {
		return errors.New("it names nothing")
	}
	return nil
}

// String implements pflag.Value.
func (p *patterns) String() string { return strings.Join(*p, ",") }

// Type implements pflag.Value.
func (p *patterns) Type() string { return "globs" }
