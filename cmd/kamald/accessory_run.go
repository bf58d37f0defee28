package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
)

func (p *program) accessoryLogsCommand() *cobra.Command {
	var l logFlags
	cmd := ofOneAccessory(&cobra.Command{
		Use:   "logs",
		Short: "Show what an accessory has logged, of all its hosts together by time",
		Long: "Shows the logs of an accessory's containers, of all its hosts at once, in the order of their times. Where none runs, the log of the one\n" +
			"that has ended. --hosts limits it. With --follow what comes is shown, too: a connection that is lost is made again, and the container\n" +
			"that a reboot makes joins. --json writes one object a line.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := l.options(cmd.Flags(), time.Now())
			if err != nil {
				return err
			}
			o.Hosts, o.Accessory = p.flags.hosts, args[0]
			return p.showLogs(cmd.Context(), o, l.stamps)
		},
	}, "NAME")
	l.declare(cmd.Flags(), true)
	cmd.Flags().StringVar(&l.container, "container", "", "only the container of this `ID or name`, whatever it is like, also one that has ended")
	return cmd
}

func (p *program) accessoryExecCommand() *cobra.Command {
	var e execFlags
	cmd := ofOneAccessory(&cobra.Command{
		Use:   "exec [flags]",
		Short: "Run a command beside an accessory, in a new container like its own, or in its own; with -i as a console",
		Long: "Runs a command in a new container of the image that the accessory runs, with its environment, volumes, network and options, but neither its\n" +
			"name nor its ports; it is removed when the command ends. With --reuse the command runs in the accessory's own container, where a\n" +
			"database answers without a password or at localhost. It is run on every host of the accessory; --hosts and --primary limit that, and -i means\n" +
			"the first. Each word reaches the program as it is, without a shell: for one, run sh -c '...'. The exit code is the command's: of several\n" +
			"hosts the first that is not 0.",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return fmt.Errorf("an accessory and a command are missing: `%s db psql`", cmd.CommandPath())
			}
			if err := cmd.Flags().Parse(args[1:]); err != nil { // flags may stand behind the name, as with Kamal; what stands behind the command is its own
				return err
			}
			return anyCommand(cmd, cmd.Flags().Args())
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			words, env, err := e.command(cmd.Flags().Args(), cmd.CommandPath()+" "+args[0])
			if err != nil {
				return err
			}
			return p.accessoryExec(cmd.Context(), args[0], e, words, env)
		},
	}, "NAME COMMAND [ARGUMENT]...")
	f := cmd.Flags()
	e.declare(f)
	e.declareMore(f, "accessory logs NAME --container")
	f.Lookup("primary").Usage = "only on the first host, of those that --hosts leaves"
	return cmd
}

func (p *program) accessoryExec(ctx context.Context, name string, e execFlags, argv []string, env map[string]release.Secret) error {
	return p.with(ctx, needsHosts, func(s *session) error {
		if err := knownAccessory(s.desired, name); err != nil {
			return err
		}
		places, err := reconcile.AccessoryPlaces(s.desired, name, p.flags.hosts)
		if err != nil {
			return err
		}
		return p.execIn(ctx, s, places, e, argv, env)
	})
}

// ofOneAccessory marks a command that is about one accessory by name.
func ofOneAccessory(cmd *cobra.Command, words string) *cobra.Command {
	check := cmd.Args
	cmd = ofAccessories(cmd)
	cmd.Use, cmd.Args = strings.TrimSuffix(cmd.Use, "NAME|all")+words, check
	return cmd
}

// knownAccessory wants one that the file has: `all` is none.
func knownAccessory(desired release.Release, name string) error {
	var names []string
	for _, a := range desired.Accessories {
		names = append(names, a.Name)
	}
	if len(names) > 0 && !slices.Contains(names, name) {
		return fmt.Errorf("there is no accessory %q; the options are %s.%s", name, strings.Join(names, ", "), release.DidYouMean(name, names))
	}
	_, err := reconcile.AccessoryNames(desired, name)
	return err
}
