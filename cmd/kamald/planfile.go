package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/reconcile"
)

// mostPlanned is the largest saved plan that is read, in bytes.
const mostPlanned = 256 << 20

// savePlan writes a plan for `kamald apply FILE`, in one go and for its owner only.
func (p *program) savePlan(s *session, planned reconcile.Planned, path string) error {
	data, err := s.SavePlan(planned, version).Encode()
	if err != nil {
		return err
	}
	if err := replaceable(path); err != nil {
		return err
	}
	if err := writeOwn(path, data); err != nil {
		return fmt.Errorf("the plan cannot be saved: %w", err)
	}
	switch {
	case len(planned.Plan.Problems) > 0:
		p.note("Saved to %s, for `kamald show`; a plan with problems cannot be applied.", path)
	case planned.Plan.Waits != "":
		p.note("Saved to %s, for `kamald show`; a plan that waits cannot be applied.", path)
	case planned.Plan.Empty():
		p.note("Saved to %s; there is nothing to do in it.", path)
	default:
		p.note("Saved to %s. `kamald apply %s` does exactly this, once.", path, path)
	}
	return nil
}

// replaceable refuses to write over what is no saved plan: a slip of the hand must not cost a deploy.hcl.
func replaceable(path string) error {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("the plan cannot be saved: %w", err)
	}
	if info.IsDir() {
		return fmt.Errorf("the plan cannot be saved: %s is a directory", path)
	}
	data, err := readLimited(path)
	if err == nil && (len(data) == 0 || plan.IsSaved(data)) {
		return nil
	}
	return fmt.Errorf("%s is there and is no saved plan: it is not written over; give another name", path)
}

// writeOwn puts a file there in one go, 0600.
func writeOwn(path string, data []byte) (err error) {
	file, err := os.CreateTemp(filepath.Dir(path), ".kamald-plan-*") // 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(file.Name()))
		}
	}()
	_, err = file.Write(data)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}

// readPlan reads a saved plan.
func readPlan(path string) (plan.Saved, error) {
	data, err := readLimited(path)
	if errors.Is(err, fs.ErrNotExist) {
		return plan.Saved{}, fmt.Errorf("the plan cannot be read: %s: no such file; a version is given with --version, and `kamald plan -o FILE` saves a plan", path)
	}
	if err != nil {
		return plan.Saved{}, fmt.Errorf("the plan cannot be read: %w", err)
	}
	saved, err := plan.ParseSaved(data, version)
	if err != nil {
		return plan.Saved{}, fmt.Errorf("%s: %w", path, err)
	}
	return saved, nil
}

func readLimited(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is a directory or a device, and no file", path)
	case info.Size() > mostPlanned:
		return nil, fmt.Errorf("%s is larger than %d MiB: that is no plan of kamald's", path, mostPlanned>>20)
	}
	return os.ReadFile(path)
}
