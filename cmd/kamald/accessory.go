package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
)

func (p *program) accessoryCommand() *cobra.Command {
	accessory := &cobra.Command{Use: "accessory", Short: "What lives beside the app, such as its database: look at it, its logs, a console, make it, start, stop, replace or remove it", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	accessory.AddCommand(p.accessoryDetailsCommand(), p.accessoryBootCommand(), p.accessoryRebootCommand(), p.accessoryStartCommand(), p.accessoryStopCommand(),
		p.accessoryRestartCommand(), p.accessoryRemoveCommand(), p.accessoryLogsCommand(), p.accessoryExecCommand())
	return accessory
}

// ofAccessories marks a command that is about accessories by name: --hosts limits it, and --roles means nothing to it.
func ofAccessories(cmd *cobra.Command) *cobra.Command {
	cmd.Use += " NAME|all"
	cmd.Args = cobra.ExactArgs(1)
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		if cmd.Flags().Changed("roles") {
			return fmt.Errorf("--roles means nothing to `%s`: it takes the accessory's name; leave it out", cmd.CommandPath())
		}
		return nil
	}
	return limits(cmd)
}

// knowsAccessory refuses a name that the file does not have, before anybody is asked about it. What is wrong with the file comes later.
func (p *program) knowsAccessory(name string) error {
	var desired release.Release
	for _, known := range p.outline().Accessories {
		desired.Accessories = append(desired.Accessories, release.Accessory{Name: known})
	}
	if len(desired.Accessories) == 0 {
		return nil
	}
	_, err := reconcile.AccessoryNames(desired, name)
	return err
}

func (p *program) accessoryBootCommand() *cobra.Command {
	var wait bool
	cmd := ofAccessories(&cobra.Command{
		Use:   "boot",
		Short: "Make and start an accessory where it is not there",
		Long: "Makes what the file says of the accessory true, and touches nothing else: where it is not there it is made, and where it has ended it is\n" +
			"started. One that runs is left as it is, whatever has changed: reboot makes it anew. `kamald apply` boots accessories, too.",
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.bootAccessories(cmd.Context(), args[0], wait, false)
		},
	})
	p.lockWaitFlag(cmd.Flags(), &wait)
	return cmd
}

func (p *program) accessoryRebootCommand() *cobra.Command {
	var wait, yes bool
	cmd := ofAccessories(&cobra.Command{
		Use:   "reboot",
		Short: "Make an accessory anew, as the file has it now",
		Long: "Pulls the image, stops the container and starts another in its place, with what the file says now. Its volumes and directories stay. It\n" +
			"is away meanwhile. When the new one does not become healthy, the old one comes back.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := p.knowsAccessory(args[0]); err != nil {
				return err
			}
			if err := p.confirm("Whatever uses "+args[0]+" has to do without it until the new container is healthy.", yes); err != nil {
				return err
			}
			return p.bootAccessories(cmd.Context(), args[0], wait, true)
		},
	})
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "ask nothing")
	p.lockWaitFlag(cmd.Flags(), &wait)
	return cmd
}

func (p *program) bootAccessories(ctx context.Context, name string, wait, reboot bool) error {
	return p.carryOut(ctx, needsHosts, wait, func(ctx context.Context, s *session) (reconcile.Report, error) {
		names, err := reconcile.AccessoryNames(s.desired, name)
		if err != nil {
			return reconcile.Report{}, err
		}
		return s.BootAccessories(ctx, s.desired, names, p.flags.hosts, reboot)
	})
}

func (p *program) accessoryStartCommand() *cobra.Command {
	var wait bool
	cmd := ofAccessories(&cobra.Command{
		Use:   "start",
		Short: "Start an accessory that was stopped",
		Long:  "Starts the container as it is, waits until it is healthy, and ends a stop that was on purpose.",
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.changeAccessories(cmd.Context(), args[0], wait, func(ctx context.Context, s *session, names []string) (reconcile.Commanded, error) {
				return s.StartAccessories(ctx, s.desired, names, p.flags.hosts)
			})
		},
	})
	p.lockWaitFlag(cmd.Flags(), &wait)
	return cmd
}

func (p *program) accessoryStopCommand() *cobra.Command {
	var wait bool
	var reason string
	cmd := ofAccessories(&cobra.Command{
		Use:   "stop",
		Short: "Stop an accessory on purpose: nothing starts it again before start does",
		Long: "Stops the container with its own grace. Who stopped it, and why, is noted on the host: neither a daemon nor `kamald apply` starts it again\n" +
			"until `kamald accessory start`.",
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.changeAccessories(cmd.Context(), args[0], wait, func(ctx context.Context, s *session, names []string) (reconcile.Commanded, error) {
				return s.StopAccessories(ctx, s.desired, names, p.flags.hosts, reason)
			})
		},
	})
	cmd.Flags().StringVar(&reason, "reason", "", "why, for whoever asks later")
	p.lockWaitFlag(cmd.Flags(), &wait)
	return cmd
}

func (p *program) accessoryRestartCommand() *cobra.Command {
	var wait bool
	cmd := ofAccessories(&cobra.Command{
		Use:   "restart",
		Short: "Stop an accessory and start it again, as it is",
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.changeAccessories(cmd.Context(), args[0], wait, func(ctx context.Context, s *session, names []string) (reconcile.Commanded, error) {
				return s.RestartAccessories(ctx, s.desired, names, p.flags.hosts)
			})
		},
	})
	p.lockWaitFlag(cmd.Flags(), &wait)
	return cmd
}

func (p *program) accessoryRemoveCommand() *cobra.Command {
	var wait, yes, data bool
	cmd := ofAccessories(&cobra.Command{
		Use:   "remove",
		Short: "Stop and remove an accessory; its data stays, unless --with-data",
		Long: "Stops and removes the container. What it has kept stays where it is and is named: with --with-data its directory on the host goes, too, with\n" +
			"all files and directories in it, and the engine's volumes that nothing else has. The next `kamald apply` of a file that has it makes it again.",
		RunE: func(cmd *cobra.Command, args []string) error {
			desired, err := p.load(cmd.Context(), needsHosts)
			if err != nil {
				return err
			}
			what, err := p.accessoryRemoval(desired, args[0], data)
			if err != nil {
				return err
			}
			if err := p.confirm(what, yes); err != nil {
				return err
			}
			return p.changeAccessories(cmd.Context(), args[0], wait, func(ctx context.Context, s *session, names []string) (reconcile.Commanded, error) {
				return s.RemoveAccessories(ctx, s.desired, names, p.flags.hosts, data)
			})
		},
	})
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "ask nothing")
	cmd.Flags().BoolVar(&data, "with-data", false, "remove what it has kept on the hosts, too")
	p.lockWaitFlag(cmd.Flags(), &wait)
	return cmd
}

// accessoryRemoval says what a removal takes away, and what it leaves.
func (p *program) accessoryRemoval(desired release.Release, given string, data bool) (string, error) {
	names, err := reconcile.AccessoryNames(desired, given)
	if err != nil {
		return "", err
	}
	var containers []string
	var keeps []release.Accessory
	var shared []string
	for _, name := range names {
		places, err := reconcile.AccessoryPlaces(desired, name, p.flags.hosts)
		if err != nil && len(names) > 1 {
			continue // it is on none of these hosts
		}
		if err != nil {
			return "", err
		}
		a, _ := desired.Accessory(name)
		keeps = append(keeps, a)
		if a.Shared {
			shared = append(shared, a.Service)
		}
		for _, place := range places {
			containers = append(containers, a.Service+" on "+place.Host)
		}
	}
	text := "This stops and removes " + strings.Join(containers, ", ") + keptBeside(keeps, data)
	if len(shared) > 0 {
		text += " SHARED, so other destinations and apps may use it: " + strings.Join(shared, ", ") + "."
	}
	return text, nil
}

func (p *program) changeAccessories(ctx context.Context, name string, wait bool, act func(context.Context, *session, []string) (reconcile.Commanded, error)) error {
	return p.changeProxies(ctx, wait, func(ctx context.Context, s *session) (reconcile.Commanded, error) {
		names, err := reconcile.AccessoryNames(s.desired, name)
		if err != nil {
			return reconcile.Commanded{}, err
		}
		return act(ctx, s, names)
	})
}

func (p *program) accessoryDetailsCommand() *cobra.Command {
	return ofAccessories(&cobra.Command{
		Use:   "details",
		Short: "Show an accessory on each of its hosts",
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.with(cmd.Context(), needsHosts, func(s *session) error {
				names, err := reconcile.AccessoryNames(s.desired, args[0])
				if err != nil {
					return err
				}
				s.Secrets = nothing{} // what runs is no matter of secrets
				found, err := s.Accessories(cmd.Context(), s.desired, names, p.flags.hosts)
				if err != nil {
					return err
				}
				if p.flags.json {
					if err := p.writeJSON(map[string]any{"schema": schema, "app": s.desired.App(), "accessories": found}); err != nil {
						return err
					}
				} else {
					p.accessoriesText(found)
				}
				for _, one := range found {
					if one.Unreachable != "" {
						return &exit{code: exitSkipped}
					}
				}
				return nil
			})
		},
	})
}

func (p *program) accessoriesText(found []reconcile.AccessoryStatus) {
	t := newTable("HOST", "ACCESSORY", "CONTAINER", "IMAGE", "STATE", "HEALTH", "SINCE")
	for _, one := range found {
		switch {
		case one.Unreachable != "":
			t.row(one.Host, one.Accessory, "unknown", "-", "unreachable")
		case one.Container == "":
			t.row(one.Host, one.Accessory, "none", "-", "-")
		default:
			since := "-"
			if !one.Since.IsZero() {
				since = one.Since.UTC().Format(time.RFC3339)
			}
			t.row(one.Host, one.Accessory, one.Container, one.Image, string(one.State), orDash(one.Health), since)
		}
	}
	p.printf("%s\n", t)
	for _, one := range found {
		for _, note := range one.Notes {
			p.printf("%s: %s: %s\n", one.Host, one.Accessory, strings.ReplaceAll(note, "\n", "\n  "))
		}
	}
}
