package main

import (
	"cmp"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"github.com/kamald/kamald/release"
)

// change is one setting that two releases have differently.
type change struct {
	Path   string `json:"path"`
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
}

func (p *program) diffCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "diff A [B]",
		Short: "Show what two releases, or a release and the file, have differently",
		Long: "Compares release A of `kamald history` with release B, or with today's file: what is deployed, and not how servers are reached (ssh)\n" +
			"or where secrets are read from (secret_files). A and B are numbers, or versions: then the newest release of that version.\n" +
			"Secrets are compared by their names. A file has no digest of its image, so with it images are compared by version.",
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.with(cmd.Context(), needsHosts, func(s *session) error {
				s.progress.watch()
				var sides [2][]release.Setting
				for i, arg := range args {
					record, err := s.find(cmd.Context(), arg)
					if err == nil {
						sides[i], err = settingsOf(record)
					}
					if err != nil {
						return err
					}
				}
				if len(args) == 1 {
					sides[1] = deployed(s.desired)
					open := s.desired.Version == ""                                                                                                   // a policy chooses it
					sides[0] = slices.DeleteFunc(sides[0], func(s release.Setting) bool { return s.Path == "digest" || open && s.Path == "version" }) // a file has none
				}
				return p.showDiff(differences(sides[0], sides[1]))
			})
		},
	}
}

func (p *program) showDiff(changes []change) error {
	if p.flags.json {
		return p.writeJSON(map[string]any{"schema": schema, "changes": changes})
	}
	if len(changes) == 0 {
		p.printf("They are the same.\n")
	}
	for _, c := range changes {
		p.printf("%s: %s → %s\n", c.Path, cmp.Or(c.Before, "none"), cmp.Or(c.After, "none"))
	}
	return nil
}

func differences(before, after []release.Setting) []change {
	byPath := map[string]*change{}
	at := func(path string) *change {
		if byPath[path] == nil {
			byPath[path] = &change{Path: path}
		}
		return byPath[path]
	}
	for _, s := range before {
		at(s.Path).Before = s.Value
	}
	for _, s := range after {
		at(s.Path).After = s.Value
	}
	list := []change{}
	for _, path := range slices.Sorted(maps.Keys(byPath)) {
		if c := *byPath[path]; c.Before != c.After {
			list = append(list, c)
		}
	}
	return list
}
