package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/kamald/kamald/drivers/build"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
)

func (p *program) deployCommand() *cobra.Command {
	var (
		options           reconcile.Options
		wait              bool
		skipPush, noCache bool
	)
	cmd := &cobra.Command{
		Use:   "deploy",
		Short: "Build the image, push it, and apply",
		Long: "One command from a commit to the servers: `kamald build --push`, or without a registry `kamald build`, and then `kamald apply` of the\n" +
			"version that was built. It ends with the first that fails: while the image is built and pushed no server is touched, and no lock is\n" +
			"held. An image is built anew also when the version was built before; -P takes the one that is there.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.deploy(cmd.Context(), options, wait, skipPush, noCache)
		},
	}
	p.applyFlags(cmd, &options, &wait)
	deployFlags(cmd, &skipPush, &noCache)
	return cmd
}

// deployFlags are those of commands that build before they apply.
func deployFlags(cmd *cobra.Command, skipPush, noCache *bool) {
	cmd.Flags().BoolVarP(skipPush, "skip-push", "P", false, "release a version that is built and pushed already")
	noCacheFlag(cmd, noCache)
}

// deploy builds, pushes and applies; with skipPush it applies only.
func (p *program) deploy(ctx context.Context, options reconcile.Options, wait, skipPush, noCache bool) error {
	if !skipPush {
		if err := p.buildFirst(ctx, noCache); err != nil {
			return err
		}
	}
	return p.carryOut(ctx, needsRelease, wait, func(ctx context.Context, s *session) (reconcile.Report, error) {
		options.Hosts, options.Roles = p.flags.hosts, p.flags.roles
		return s.Apply(ctx, s.desired, options)
	})
}

// buildFirst makes the image that is released then: by its version, whatever is committed meanwhile.
func (p *program) buildFirst(ctx context.Context, noCache bool) error {
	return p.with(ctx, needsImage, func(s *session) error {
		if err := refuseUnbuilt(s.desired); err != nil {
			return err // before minutes have gone into an image that cannot be released
		}
		if err := refuseChosen(s.desired); err != nil {
			return err
		}
		made, err := p.image(ctx, s, s.desired.Registry != nil, noCache)
		if errors.Is(err, build.ErrMisnamed) {
			return fmt.Errorf("nothing is released, for there is no image: %w", err) // it has the way out in it
		}
		if err != nil {
			return fmt.Errorf("nothing is released, for there is no image: %w; -P releases a version that is built and pushed already", err)
		}
		p.built, p.flags.version = &made, s.desired.Version
		if p.flags.json {
			return nil // it stands in the report
		}
		return p.showBuilt(made)
	})
}

// refuseChosen refuses to make or push an image whose version only the registry's tags would tell.
func refuseChosen(desired release.Release) error {
	if desired.Version != "" || desired.VersionPolicy == nil {
		return nil
	}
	return errors.New("version_policy chooses among tags that are pushed already; give --version to build one, or -P to release")
}
