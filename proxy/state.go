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

// stateFile is replaced as a whole: a reader sees the old one or the new one, also after a crash.
type stateFile struct{ path string }

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

// sweep removes what killed proxies left of their writing. A young file may be that of a proxy which still runs beside
// this one.
func (f stateFile) sweep() {
	left, _ := filepath.Glob(f.path + "*.new-*")
	for _, path := range left {
		if info, err := os.Lstat(path); err == nil && time.Since(info.ModTime()) > time.Minute {
			_ = os.Remove(path) // the next start tries again
		}
	}
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
			if rec.Name == "" {
				continue
			}
			rec.damage, rec.raw = err, raw
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
