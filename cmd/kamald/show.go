package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kamald/kamald/plan"
)

func (p *program) showCommand() *cobra.Command {
	var markdown bool
	cmd := &cobra.Command{
		Use:   "show FILE | N | VERSION",
		Short: "Show a saved plan, or a release of the history",
		Long: "Shows the plan that `kamald plan -o FILE` saved, from the file alone: no server is looked at.\n" +
			"Where the argument is a number, or no file has its name, it means that release of `kamald history`, or the newest of that\n" +
			"version; ./12 is the file of that name. -v lists every step of a release.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if isNumber(args[0]) || isVersion(args[0]) {
				return p.showRelease(cmd, args[0])
			}
			return p.showSaved(args[0], markdown)
		},
	}
	cmd.Flags().BoolVar(&markdown, "markdown", false, "write Markdown, for a comment on a pull request")
	return cmd
}

func isNumber(arg string) bool {
	return strings.Trim(arg, "0123456789") == ""
}

// isVersion tells whether the argument can be a version: no file has its name, and it does not look like one.
func isVersion(arg string) bool {
	_, err := os.Stat(arg)
	return errors.Is(err, fs.ErrNotExist) && !strings.Contains(arg, "/") && !slices.Contains([]string{".plan", ".json"}, filepath.Ext(arg))
}

func (p *program) showSaved(path string, markdown bool) error {
	saved, err := readPlan(path)
	switch {
	case err != nil:
		return err
	case p.flags.json:
		return p.writeJSON(saved)
	case markdown:
		return saved.Plan.Markdown(p.out)
	}
	p.note("Saved by %s on %s at %s.", saved.Who, saved.Where, saved.At.Format("2006-01-02 15:04:05 MST"))
	return saved.Plan.Text(p.out.prose(), plan.TextOptions{Color: p.out.color})
}
