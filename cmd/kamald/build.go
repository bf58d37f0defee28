package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kamald/kamald/drivers/build"
)

func (p *program) buildCommand() *cobra.Command {
	var push, noCache bool
	cmd := &cobra.Command{
		Use:   "build",
		Short: "Build the image, with --push for the registry",
		Long: "Builds the image of the release's version by Docker's own builder, from a clean clone of the commit unless the file says otherwise.\n" +
			"The image is left with this machine's engine (or the remote's, where that builds), and `kamald push` pushes it. What no engine\n" +
			"keeps, an image of several architectures or with attestations, is pushed as it is built: --push. No server is touched.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.build(cmd.Context(), push, noCache) },
	}
	cmd.Flags().BoolVar(&push, "push", false, "push it to the registry, as the version and as latest")
	noCacheFlag(cmd, &noCache)
	cmd.AddCommand(p.buildPushCommand(), p.buildDetailsCommand(), p.buildRemoveCommand())
	return cmd
}

func noCacheFlag(cmd *cobra.Command, noCache *bool) {
	cmd.Flags().BoolVar(noCache, "no-cache", false, "build everything anew")
}

// buildPushCommand is Kamal's name of it.
func (p *program) buildPushCommand() *cobra.Command {
	var noCache bool
	cmd := &cobra.Command{
		Use:   "push",
		Short: "Build and push: the same as `kamald build --push`",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return p.build(cmd.Context(), true, noCache) },
	}
	noCacheFlag(cmd, &noCache)
	return cmd
}

func (p *program) buildDetailsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "details",
		Short: "Show how and where the image would be built",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return p.buildDetails(cmd.Context()) },
	}
}

func (p *program) buildRemoveCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "remove",
		Short: "Remove the buildx builder that builds have made, with its cache",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return p.buildRemove(cmd.Context()) },
	}
}

func (p *program) pushCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "push",
		Short: "Push the image that was built to the registry",
		Long: "Pushes what `kamald build` has left with the engine, as the version and as latest (latest-DESTINATION). The password goes to the\n" +
			"engine by its API, and is in no argument. No server is touched.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.push(cmd.Context()) },
	}
}

func (p *program) build(ctx context.Context, push, noCache bool) error {
	return p.with(ctx, needsImage, func(s *session) error {
		made, err := p.image(ctx, s, push, noCache)
		if err != nil {
			return err
		}
		return p.showBuilt(made)
	})
}

func (p *program) push(ctx context.Context) error {
	return p.with(ctx, needsImage, func(s *session) error {
		made, err := p.pushed(ctx, s)
		if err != nil {
			return err
		}
		return p.showBuilt(made)
	})
}

func (p *program) buildDetails(ctx context.Context) error {
	desired, err := p.load(ctx, needsHosts)
	if err != nil {
		return err
	}
	d, err := build.Describe(ctx, desired)
	if err != nil {
		return err
	}
	if p.flags.json {
		return p.writeJSON(struct {
			Schema int `json:"schema"`
			build.Details
		}{schema, d})
	}
	p.printf("program: %s\n", d.Program)
	if d.Builder != "" {
		p.printf("builder: %s\n", d.Builder)
	}
	for _, at := range d.Nodes {
		p.printf("  builds at %s\n", at)
	}
	p.printf("docker: %s, engine: %s, buildx: %s\n", d.Docker, orMissing(d.Engine), map[bool]string{true: "yes", false: "no"}[d.Buildx])
	switch {
	case d.Inspects != "":
		p.printf("\n%s\n", d.Inspects)
	case d.Builder != "":
		p.printf("The builder is not made yet: the next build makes it.\n")
	}
	return nil
}

func orMissing(version string) string {
	if version == "" {
		return "none answers"
	}
	return version
}

func (p *program) buildRemove(ctx context.Context) error {
	desired, err := p.load(ctx, needsHosts)
	if err != nil {
		return err
	}
	name, err := build.Remove(ctx, desired)
	if err != nil {
		return err
	}
	if p.flags.json {
		return p.writeJSON(map[string]any{"schema": schema, "removed": name})
	}
	if name == "" {
		p.note("There is no builder of kamald's to remove.")
		return nil
	}
	p.printf("Removed the builder %s.\n", name)
	return nil
}

// ended says what a build or a push that was interrupted has left.
func ended(err error, what string) error {
	if errors.Is(err, build.ErrEnded) || errors.Is(err, errInterrupted) || errors.Is(err, context.Canceled) {
		return fmt.Errorf("%s was interrupted, and every process of it has ended; no server was touched: %w", what, err)
	}
	return err
}

// platformsOf is how a person is told.
func platformsOf(platforms []string) string { return strings.Join(platforms, ", ") }
