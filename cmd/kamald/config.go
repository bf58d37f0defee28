package main

import (
	"github.com/spf13/cobra"

	"github.com/kamald/kamald/release"
)

func (p *program) configCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "config",
		Short: "Show the release that the file comes to: every setting, defaults marked",
		Long: "Writes the file of the chosen destination as it is understood: every expression evaluated, each role with all that it gets, every\n" +
			"default written out and marked. It is a valid deploy.hcl. Secrets are in it as references. Looks at the file, git and the\n" +
			"environment, and at no server. --json has the release as plans and records keep it, and beside it how the image is built and\n" +
			"how the daemon keeps it so.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dirty := false // it shows what the file says, whatever is committed
			return p.config(p.options(cmd.Context(), &dirty))
		},
	}
}

func (p *program) config(opts release.Options) error {
	resolved, text, diags := release.Resolve(p.flags.file, opts)
	if diags.HasErrors() {
		return diags
	}
	if p.flags.json {
		return p.writeJSON(map[string]any{"schema": schema, "release": resolved, "build": resolved.Build, "reconcile": resolved.Reconcile, "problems": diags})
	}
	if !p.flags.quiet {
		p.print(diags)
	}
	p.printf("%s", text)
	for _, use := range resolved.Unbuilt {
		p.warn("%s: %s is not built yet: refused by `kamald %s`", use.Where, use.What, use.When)
	}
	return nil
}
