package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/kamald/kamald/release"
)

func (p *program) fmtCommand() *cobra.Command {
	var check bool
	cmd := &cobra.Command{
		Use:   "fmt [FILE]",
		Short: "Lay the file out: indentation and alignment, nothing else",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			file := p.flags.file
			if len(args) == 1 {
				file = args[0]
			}
			return p.format(file, check)
		},
	}
	cmd.Flags().BoolVar(&check, "check", false, "change nothing; exit with 1 when the file would change")
	return cmd
}

func (p *program) format(file string, check bool) error {
	source, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("the file cannot be read: %w; -c or an argument names another", err)
	}
	formatted := release.Format(source)
	same := bytes.Equal(source, formatted)
	if p.flags.json {
		if err := p.writeJSON(map[string]any{"schema": schema, "file": file, "formatted": same || !check, "changed": !same && !check}); err != nil {
			return err
		}
	}
	switch {
	case same:
		return nil
	case !check:
		if !p.flags.json && !p.flags.quiet {
			p.printf("%s\n", file)
		}
		return replaceFile(file, formatted)
	}
	if !p.flags.json {
		p.printf("%s is not formatted; `kamald fmt %s` does it.\n", file, file)
	}
	return &exit{code: exitError}
}

// replaceFile writes a file in one go, with the mode it had; a link stays a link.
func replaceFile(path string, data []byte) error {
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	staged, err := stage(path, data, info.Mode().Perm())
	if err != nil {
		return fmt.Errorf("%s cannot be written: %w", path, err)
	}
	if err := os.Rename(staged, path); err != nil {
		_ = os.Remove(staged)
		return err
	}
	return nil
}

// stage writes what a file is to hold beside it. The name that it gives is to be renamed to the file's, or removed.
func stage(path string, data []byte, mode fs.FileMode) (name string, err error) {
	file, err := os.CreateTemp(filepath.Dir(path), ".kamald-*")
	if err != nil {
		return "", err
	}
	_, err = file.Write(data)
	if err = errors.Join(err, file.Chmod(mode), file.Close()); err != nil {
		_ = os.Remove(file.Name())
	}
	return file.Name(), err
}
