package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is kamald's own; the build sets it.
var version = "dev"

func (p *program) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Say which kamald this is",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			commit := commitOf()
			if p.flags.json {
				return p.writeJSON(map[string]any{"schema": schema, "version": version, "commit": commit, "go": runtime.Version(), "os": runtime.GOOS, "arch": runtime.GOARCH})
			}
			if commit != "" {
				commit = ", commit " + commit[:min(7, len(commit))]
			}
			p.printf("kamald %s (%s%s, %s/%s)\n", version, runtime.Version(), commit, runtime.GOOS, runtime.GOARCH)
			return nil
		},
	}
}

// commitOf is the commit that the program was built from, as far as the build knew.
func commitOf() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	commit, dirty := "", false
	for _, setting := range info.Settings {
		switch setting.Key {
		case "vcs.revision":
			commit = setting.Value
		case "vcs.modified":
			dirty = setting.Value == "true"
		}
	}
	if commit != "" && dirty {
		return fmt.Sprintf("%s-dirty", commit)
	}
	return commit
}
