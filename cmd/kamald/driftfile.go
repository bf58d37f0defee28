package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// reportable refuses, before anything is asked of a server, to write a report where none can be, or over the file that says what should
// run. Another file is written over: a report of yesterday is there in most pipelines.
func reportable(path, deployFile string) error {
	if path == "" {
		return nil
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if _, err := os.Stat(filepath.Dir(path)); err != nil {
			return fmt.Errorf("the report cannot be written: %w", err)
		}
		return nil
	case err != nil:
		return fmt.Errorf("the report cannot be written: %w", err)
	case info.IsDir():
		return fmt.Errorf("the report cannot be written: %s is a directory", path)
	case filepath.Ext(path) == ".hcl":
		return fmt.Errorf("%s is there and is no report: it is not written over; give another name", path)
	}
	if other, err := os.Stat(deployFile); err == nil && os.SameFile(info, other) {
		return fmt.Errorf("%s is the file that says what should run: it is not written over; give another name", path)
	}
	return nil
}

// writeReport puts a report there in one go, for whoever may read the directory: a CI takes it up as another user. What is no regular
// file is written to, and not replaced.
func writeReport(path string, data []byte) error {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return os.WriteFile(path, data, 0o644)
	}
	if err := writeOwn(path, data); err != nil {
		return err
	}
	return os.Chmod(path, 0o644)
}
