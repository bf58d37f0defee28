package main

import (
	"github.com/spf13/cobra"

	"github.com/kamald/kamald/release"
)

func (p *program) validateCommand() *cobra.Command {
	var bastion bool
	cmd := &cobra.Command{
		Use:   "validate [FILE]",
		Short: "Say what is wrong with the file, and look at nothing else",
		Long: "Reads only the file, and the deploy.DESTINATION.hcl files beside it: git, secrets, the environment and other files are unknown to it.\n" +
			"Every destination is checked.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			file := p.flags.file
			switch {
			case len(args) == 1:
				file = args[0]
			case bastion && !cmd.Flags().Changed("config"):
				file = "kamald.hcl"
			}
			return p.validate(file, bastion)
		},
	}
	cmd.Flags().BoolVar(&bastion, "bastion", false, "the file is a bastion's, by default kamald.hcl")
	return cmd
}

func (p *program) validate(file string, bastion bool) error {
	opts := release.Options{KamaldVersion: version, Commands: p.names, Destination: p.flags.destination}
	diags := release.Validate(file, opts)
	if bastion {
		diags = release.ValidateBastion(file, opts)
	}
	if !diags.HasErrors() && !bastion && p.flags.destination != "" {
		if missing, ok := withoutDestination(file, opts); ok {
			return missing
		}
	}
	valid := !diags.HasErrors()
	if p.flags.json {
		if err := p.writeJSON(map[string]any{"schema": schema, "file": file, "valid": valid, "problems": diags}); err != nil {
			return err
		}
	} else {
		p.print(diags)
		if valid && !p.flags.quiet {
			p.printf("%s is valid.\n", file)
		}
	}
	if !valid {
		return &exit{code: exitError}
	}
	return nil
}

// withoutDestination says that the file has no such destination. Validating checks all that there are and asks for none, so a
// release is read, from made-up surroundings, of which only that one thing is wanted.
func withoutDestination(file string, opts release.Options) (release.Diagnostics, bool) {
	opts.Version = "any"
	opts.Env = func(string) (string, bool) { return "", true }
	opts.Git = func() (release.Git, error) { return release.Git{SHA: "any", ShortSHA: "any", Branch: "any"}, nil }
	_, diags := release.Load(file, opts)
	for _, d := range diags.List() {
		if d.Summary == "Unknown destination" {
			return diags, true
		}
	}
	return diags, false
}
