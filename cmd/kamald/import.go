package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/release/kamal"
)

// kamalFile is where Kamal has its configuration.
const kamalFile = "config/deploy.yml"

// importing is what the import command was asked for.
type importing struct {
	source       string
	output       string // "-" is standard output
	destinations []string
	force        bool
}

func (p *program) importCommand() *cobra.Command {
	var asked importing
	cmd := &cobra.Command{
		Use:   "import [FILE]",
		Short: "Make deploy.hcl of Kamal's configuration",
		Long: "Reads Kamal's " + kamalFile + ", of Kamal 2 or 1, with the deploy.DESTINATION.yml files beside it, and writes the deploy.hcl that says\n" +
			"the same. It runs no Ruby and no command. What was changed, what has no counterpart and why is said key by key. Passwords that\n" +
			"stand in the file go to .kamald/secrets. Run it where Kamal is run; it looks at no server.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			asked.source = kamalFile
			if len(args) == 1 {
				asked.source = args[0]
			}
			if asked.output == "" {
				asked.output = p.flags.file
			}
			return p.importFile(asked)
		},
	}
	cmd.Flags().StringVarP(&asked.output, "output", "o", "", "the `file` to write, or - for standard output (default: that of -c)")
	cmd.Flags().BoolVar(&asked.force, "force", false, "write over a file that is there")
	cmd.Flags().StringSliceVarP(&asked.destinations, "destination", "d", nil, "only these destinations (default: all)")
	return cmd
}

func (p *program) importFile(asked importing) error {
	if _, err := os.Lstat(asked.output); err == nil && asked.output != "-" && !asked.force {
		return fmt.Errorf("%s is there already, and %s was not imported: --force writes over it, -o names another file", asked.output, asked.source)
	}
	result, err := kamal.Import(asked.source, kamal.Options{Destinations: asked.destinations, ReadFile: os.ReadFile, ReadDir: release.ReadDir,
		Executables: executables, KamaldVersion: version})
	if err != nil && p.flags.json {
		all := importedJSON(asked, result, nil)
		all["error"] = err.Error()
		return errors.Join(p.writeJSON(all), &exit{code: exitError})
	}
	if err != nil {
		p.sayImported(asked, result, nil)
		return err
	}
	var kept []string
	if asked.output == "-" {
		if !p.flags.json {
			p.printf("%s", result.HCL)
		}
	} else if kept, err = writeImported(asked.output, result); err != nil {
		return err
	}
	if p.flags.json {
		return p.writeJSON(importedJSON(asked, result, kept))
	}
	p.sayImported(asked, result, kept)
	p.sayNext(asked, result)
	return nil
}

// importedJSON is the result as data. Secrets are in it by name.
func importedJSON(asked importing, result kamal.Result, kept []string) map[string]any {
	secrets := []string{}
	for _, line := range result.Secrets {
		secrets = append(secrets, line.Name)
	}
	report := result.Report
	if report == nil {
		report = kamal.Report{}
	}
	all := map[string]any{"schema": schema, "sources": result.Sources, "file": asked.output, "report": report, "secrets": secrets,
		"secrets_there": append([]string{}, kept...)}
	if asked.output == "-" {
		all["hcl"] = string(result.HCL)
	}
	return all
}

// sayImported tells what became of each key, on standard error.
func (p *program) sayImported(asked importing, result kamal.Result, kept []string) {
	if p.flags.quiet || p.flags.json || len(result.Sources) == 0 {
		return
	}
	_ = result.Report.Text(p.err) // a reader that has gone away is no failure of what was done
	if len(kept) > 0 {
		p.note("\n%s has %s already: they are left as they are there.", secretsBeside(asked.output), strings.Join(kept, ", "))
	}
}

func (p *program) sayNext(asked importing, result kamal.Result) {
	r := result.Report
	made := asked.output
	if made == "-" {
		made = "deploy.hcl"
	}
	p.note("\n%s of %s: %d keys translated, %d changed, %d left out, %d for you to do.", made, kamal.Enumeration(result.Sources),
		r.Count(kamal.Translated), r.Count(kamal.Changed), r.Count(kamal.Dropped), r.Count(kamal.Todo))
	if len(result.Secrets) > 0 {
		what := "holds secrets now: keep it out of git"
		if asked.output == "-" {
			what = "was not written, for the file went to standard output; with -o it is"
		}
		p.note("%s %s.", secretsBeside(asked.output), what)
	}
	p.note("next: kamald validate, then kamald plan")
}

// writeImported writes the file, and what is secret to .kamald/secrets beside it, in front of which nothing is taken away. It gives
// the names that have a line there already. Both are written or neither: the file takes its name last, and that it can be written
// is seen before the first secret is.
func writeImported(output string, result kamal.Result) (kept []string, err error) {
	target, err := writeTarget(output)
	if err != nil {
		return nil, err
	}
	staged, err := stage(target, result.HCL, 0o644)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be written: %w", output, err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(staged)
		}
	}()
	if len(result.Secrets) > 0 {
		if kept, err = appendSecrets(secretsBeside(output), result.Secrets); err != nil {
			return nil, err
		}
	}
	if err = os.Rename(staged, target); err != nil {
		return nil, fmt.Errorf("%s cannot be written: %w", output, err)
	}
	return kept, nil
}

// writeTarget is the file that an output names: itself, or what it points to.
func writeTarget(output string) (string, error) {
	dir := filepath.Dir(output)
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return "", fmt.Errorf("%s cannot be written: there is no directory %s", output, dir)
	}
	target, err := filepath.EvalSymlinks(output)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Lstat(output); err == nil {
			return "", fmt.Errorf("%s cannot be written: it points to a file that is not there", output)
		}
		return output, nil
	}
	if err != nil {
		return "", fmt.Errorf("%s cannot be written: %w", output, err)
	}
	if info, err := os.Stat(target); err == nil && !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s cannot be written: it is no file", output)
	}
	return target, nil
}

func secretsBeside(output string) string {
	return filepath.Join(filepath.Dir(output), ".kamald", "secrets")
}

// appendSecrets adds lines to a secrets file that only its owner can read.
func appendSecrets(path string, lines []kamal.SecretLine) (kept []string, err error) {
	before, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s cannot be read: %w", path, err)
	}
	var b bytes.Buffer
	if len(before) > 0 && !bytes.HasSuffix(before, []byte("\n")) {
		b.WriteString("\n")
	}
	for _, line := range lines {
		switch {
		case hasSecret(before, line.Name):
			kept = append(kept, line.Name)
		case line.Missing:
			fmt.Fprintf(&b, "# %s=\n", line.Name)
		default:
			fmt.Fprintf(&b, "%s=%s\n", line.Name, line.Line.Reveal())
		}
	}
	if b.Len() == 0 {
		return kept, nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("%s cannot be made: %w", filepath.Dir(path), err)
	}
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be written: %w", path, err)
	}
	_, err = file.Write(b.Bytes())
	if err = errors.Join(file.Chmod(0o600), err, file.Close()); err != nil {
		return nil, fmt.Errorf("%s cannot be written: %w", path, err)
	}
	return kept, nil
}

// hasSecret tells whether a secrets file has a line for a name.
func hasSecret(file []byte, name string) bool {
	return slices.ContainsFunc(strings.Split(string(file), "\n"), func(line string) bool {
		line = strings.TrimPrefix(strings.TrimSpace(line), "export ")
		return strings.HasPrefix(strings.TrimSpace(line), name+"=")
	})
}

// executables are the files of a directory that can be run; none where there is no such directory.
func executables(dir string) []string {
	entries, _ := os.ReadDir(dir)
	var names []string
	for _, entry := range entries {
		if info, err := os.Stat(filepath.Join(dir, entry.Name())); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			names = append(names, entry.Name())
		}
	}
	return names
}
