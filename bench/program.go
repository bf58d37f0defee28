package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// apply releases a version by `kamald apply`, the whole process; its calls are read from its log.
func (s *site) apply(ctx context.Context, version string) (trial, error) {
	cmd := exec.CommandContext(ctx, s.bin, "apply", "-c", s.file(byKamald), "--version", version,
		"--store", filepath.Join(s.dir, "state.db"), "--json", "-v", "-q")
	cmd.Env = append(os.Environ(), "HOME="+s.dir)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	began := time.Now()
	err := cmd.Run()
	t := trial{took: time.Since(began)}
	if err != nil {
		return t, fmt.Errorf("kamald apply --version %s: %w\n%s%s", version, err, stdout.String(), stderr.String())
	}
	for line := range bytes.Lines(stderr.Bytes()) {
		var entry struct {
			Host, Took, Message string
			Time                time.Time
		}
		if json.Unmarshal(line, &entry) != nil || entry.Took == "" {
			continue // not of a call
		}
		took, err := time.ParseDuration(entry.Took)
		if err != nil {
			return t, fmt.Errorf("kamald's log has a call that took %q: %w", entry.Took, err)
		}
		end := entry.Time.Sub(began.Round(0))
		t.calls = append(t.calls, call{host: entry.Host, method: entry.Message, begin: end - took, end: end})
	}
	if len(t.calls) == 0 {
		return t, fmt.Errorf("kamald's log names no call:\n%s", stderr.String())
	}
	return t, nil
}
