package proxy

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// serviceRecord is a service in the state file, with kamal-proxy's field names, so that one reader serves both.
// What kamal-proxy does not know is under kamald.
type serviceRecord struct {
	Name              string         `json:"name"`
	Options           ServiceOptions `json:"options"`
	TargetOptions     TargetOptions  `json:"target_options"`
	ActiveTargets     []string       `json:"active_targets"`
	ActiveReaders     []string       `json:"active_readers"`
	RolloutTargets    []string       `json:"rollout_targets"`
	RolloutReaders    []string       `json:"rollout_readers"`
	PauseController   gate           `json:"pause_controller"`
	RolloutController any            `json:"rollout_controller"`
	Kamald            *deployRecord  `json:"kamald,omitempty"`
}

type deployRecord struct {
	DeployTimeout time.Duration `json:"deploy_timeout"`
	DrainTimeout  time.Duration `json:"drain_timeout"`
}

// stateFile is replaced as a whole: a reader sees the old one or the new one, also after a crash.
type stateFile struct{ path string }

func recordOf(name string, d *deployment, g gate) serviceRecord {
	if d.kept != nil {
		rec := *d.kept
		rec.PauseController = g
		return rec
	}
	return serviceRecord{
		Name:            name,
		Options:         d.options,
		TargetOptions:   d.targetOptions,
		ActiveTargets:   d.targetNames,
		ActiveReaders:   []string{},
		PauseController: g,
		Kamald:          &deployRecord{d.deployTimeout, d.drainTimeout},
	}
}

// restoreService makes a service that serves at once. With an error the service is there too, with its routes and
// record, but broken.
func restoreService(rec serviceRecord) (*service, error) {
	req := DeployRequest{
		Service:       rec.Name,
		Targets:       rec.ActiveTargets,
		Options:       rec.Options,
		TargetOptions: rec.TargetOptions,
		DeployTimeout: DefaultDeployTimeout,
		DrainTimeout:  DefaultDrainTimeout,
	}
	if rec.Kamald != nil {
		req.DeployTimeout, req.DrainTimeout = rec.Kamald.DeployTimeout, rec.Kamald.DrainTimeout
	}
	req.Force = true
	req.Options.Normalize()
	s := &service{name: rec.Name, gate: newGate()}
	s.gate.State, s.gate.StopMessage, s.gate.FailAfter = rec.PauseController.State, rec.PauseController.StopMessage, rec.PauseController.FailAfter
	err := req.Validate()
	if len(rec.ActiveReaders)+len(rec.RolloutTargets)+len(rec.RolloutReaders) > 0 {
		err = errors.Join(err, notBuilt("serving read or rollout targets"))
	}
	if err == nil {
		s.dep, err = newDeployment(req)
	}
	if err != nil {
		s.broken = err
		s.dep = &deployment{options: req.Options, targetOptions: req.TargetOptions, targetNames: req.Targets, kept: &rec}
		return s, err
	}
	s.dep.pool.markHealthy()
	return s, nil
}

// read returns the records that can be read. A missing file is no records. When a part cannot be read, the file is
// kept aside as .corrupt, the readable records are returned, and the error says so.
func (f stateFile) read() ([]serviceRecord, error) {
	file, err := os.Open(f.path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the state: %w", err)
	}
	defer file.Close()
	records, err := decodeRecords(file)
	if err == nil {
		return records, nil
	}
	aside := f.path + ".corrupt"
	if copyErr := copyFile(aside, f.path); copyErr != nil {
		err = errors.Join(err, copyErr)
	}
	return records, fmt.Errorf("state file %s is damaged (kept as %s, %d services read from it): %w", f.path, aside, len(records), err)
}

// write replaces the file: temporary file, sync, rename, sync of the directory.
func (f stateFile) write(records []serviceRecord) error {
	data, err := json.Marshal(records)
	if err != nil {
		return fmt.Errorf("saving the state: %w", err)
	}
	if err := writeAtomically(f.path, append(data, '\n')); err != nil {
		return fmt.Errorf("saving the state (nothing was changed): %w", err)
	}
	return nil
}

// decodeRecords reads service by service, so that the records before the damage, and those beside a record of a wrong
// shape, are not lost with it.
func decodeRecords(r io.Reader) ([]serviceRecord, error) {
	dec := json.NewDecoder(r)
	if token, err := dec.Token(); err != nil || token != json.Delim('[') {
		return nil, fmt.Errorf("it does not begin with a JSON array: %v", err)
	}
	var records []serviceRecord
	var errs []error
	for dec.More() {
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return records, errors.Join(append(errs, err)...)
		}
		var rec serviceRecord
		if err := json.Unmarshal(raw, &rec); err != nil {
			errs = append(errs, fmt.Errorf("service %q: %w", rec.Name, err))
			continue
		}
		records = append(records, rec)
	}
	if _, err := dec.Token(); err != nil {
		errs = append(errs, err)
	}
	return records, errors.Join(errs...)
}

func writeAtomically(path string, data []byte) (err error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(dir, filepath.Base(path)+".new-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(tmp.Name()))
		}
	}()
	_, err = tmp.Write(data)
	err = errors.Join(err, tmp.Sync(), tmp.Close())
	if err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return err
	}
	return syncDir(dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func copyFile(to, from string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o600)
}
