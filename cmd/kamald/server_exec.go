package main

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kamald/kamald/drivers/ssh"
	"github.com/kamald/kamald/reconcile"
)

func (p *program) serverExecCommand() *cobra.Command {
	var e execFlags
	cmd := limits(&cobra.Command{
		Use:   "exec [flags] COMMAND [ARGUMENT]...",
		Short: "Run a command on the servers themselves; with -i on the first, with your terminal",
		Long: "Runs a command on every server of the file at once, as the SSH user, by the shell that the user has there. One argument is a line for\n" +
			"that shell, as it stands: kamald server exec 'df -h | tail -1'. Several are words: each reaches the command as it is. The exit code is the\n" +
			"command's: of several servers the first that is not 0.",
		Args: anyCommand,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := e.check(); err != nil {
				return err
			}
			line := args[0]
			if len(args) > 1 {
				var err error
				if line, err = ssh.Line(args); err != nil {
					return err
				}
			}
			return p.serverExec(cmd.Context(), e, reconcile.ServerCommand{Line: line, Word: firstWord(args[0])})
		},
	})
	e.declare(cmd.Flags())
	return cmd
}

func (p *program) serverExec(ctx context.Context, e execFlags, command reconcile.ServerCommand) error {
	return p.with(ctx, needsHosts, func(s *session) error {
		hosts, err := reconcile.ServerHosts(s.desired, p.flags.hosts, p.flags.roles)
		if err != nil {
			return err
		}
		if hosts, err = leftIn(p, s, hosts, func(host string) string { return host }); err != nil {
			return err
		}
		if e.primary || e.interactive {
			hosts = hosts[:1]
		}
		if len(hosts) > 1 && e.raw {
			return fmt.Errorf("--raw writes the output of one command, and this is %d: --primary or --hosts leave one", len(hosts))
		}
		through, err := p.newConduit(e, hosts)
		if err != nil {
			return err
		}
		defer through.close()
		ctx, enough := through.heard(ctx)
		defer enough()
		command.Streams = through.named
		done := s.ServerExec(ctx, s.desired, hosts, command)
		through.close()
		return p.showExecuted(ctx, s.desired, done, e)
	})
}

var (
	assignment  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*=`)
	programName = regexp.MustCompile(`^[A-Za-z0-9_./+-]+`)
)

// firstWord is the program of a line, for the audit record: nothing of what it is given, and no assignment, which may be a secret's.
func firstWord(line string) string {
	for _, word := range strings.Fields(line) {
		if assignment.MatchString(word) {
			if strings.ContainsAny(word, `"'\$`+"`") {
				break // its value may go on
			}
			continue
		}
		if name := programName.FindString(word); name != "" {
			return name
		}
		break
	}
	return "a command"
}
