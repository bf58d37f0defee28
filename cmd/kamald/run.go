package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/kamald/kamald/release"
)

func (p *program) runCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Keep the servers as they were released, and roll out what is proposed",
		Long: "Drives the apps of kamald.hcl, on a machine that reaches the servers: it looks at them whenever something happens there, reports\n" +
			"what is not as it was released, heals it within a budget, and rolls out what files or git propose, as far as the `reconcile` block of\n" +
			"the app's file lets it. Without -f it drives the one app of deploy.hcl. It ends on SIGTERM, when what is under way has ended; SIGHUP\n" +
			"has it read kamald.hcl again.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			bastion, err := p.bastion(file)
			if err != nil {
				return err
			}
			return p.drive(cmd.Context(), bastion, func() (release.Bastion, error) {
				return p.bastion(file)
			})
		},
	}
	cmd.Flags().StringVarP(&file, "file", "f", "", "the bastion's `file`, such as /etc/kamald/kamald.hcl")
	return cmd
}

// bastion reads kamald.hcl; without one it is the app of deploy.hcl alone.
func (p *program) bastion(file string) (release.Bastion, error) {
	if file != "" {
		bastion, diags := release.LoadBastion(file, release.Options{KamaldVersion: version})
		if diags.HasErrors() {
			return bastion, diags
		}
		if len(bastion.Apps) == 0 {
			return bastion, fmt.Errorf("%s names no app to drive: add an `app` block", file)
		}
		return bastion, nil
	}
	path, err := filepath.Abs(p.flags.file)
	if err != nil {
		return release.Bastion{}, err
	}
	desired, diags := release.Load(path, p.options(context.Background(), new(bool)))
	if diags.HasErrors() {
		return release.Bastion{}, diags
	}
	return release.Bastion{Log: release.Log{Format: "text", Level: "info"}, Apps: []release.DrivenApp{{
		Service: desired.Service, Destinations: []string{p.flags.destination}, ImageWait: defaultImageWait,
		Source: release.Source{Kind: release.SourceFile, Path: path},
	}}}, nil
}

// drive runs the daemon until it is asked to end. SIGHUP begins it anew with what the file says by then; one with mistakes, or that
// cannot be done, changes nothing.
func (p *program) drive(ctx context.Context, bastion release.Bastion, read func() (release.Bastion, error)) error {
	hangups := make(chan os.Signal, 1)
	p.interrupt.leaveHangups()
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	service, err := p.newService(bastion)
	if err != nil {
		return err
	}
	defer service.close()
	watched, unwatch := context.WithCancel(context.WithoutCancel(ctx))
	defer unwatch()
	go service.manager.watch(watched)
	for before := (*release.Bastion)(nil); ; {
		again, err := service.serve(ctx, bastion, hangups, read)
		switch {
		case err != nil && before != nil:
			service.log.Error().Err(err).Msg("what the file says cannot be done; what it said before goes on to hold")
			bastion, before = *before, nil
		case err != nil || again == nil || ctx.Err() != nil:
			return err
		default:
			old := bastion
			before, bastion = &old, *again
		}
	}
}

// errAnother: the store has a daemon already.
var errAnother = errors.New("another kamald runs with this store")
