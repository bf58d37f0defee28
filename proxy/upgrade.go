package proxy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	// verifyTimeout is what a new program may take to say its version.
	verifyTimeout = 10 * time.Second
	// maxUpgradeDrain bounds how long two programs may run side by side.
	maxUpgradeDrain = time.Hour
)

// upgradeRequest is the body of upgrade. Without a binary it is the program's own path.
type upgradeRequest struct {
	Binary       string        `json:"binary,omitempty"`
	DrainTimeout time.Duration `json:"drain_timeout"`
}

// upgradeResult is what an upgrade came to. Warning is what went wrong after the new program had begun to serve.
type upgradeResult struct {
	From    string `json:"from"`
	To      string `json:"to"`
	Warning string `json:"warning,omitempty"`
}

func (in invocation) upgrade(args []string) error {
	f := in.newFlagSet("upgrade", "")
	binary := f.String("binary", "", "New program, a path where the proxy runs; it takes the old one's place (default: the proxy's own path, replaced before)")
	drain := f.Duration("drain-timeout", DefaultDrainTimeout, "How long requests and upgraded connections of the old program may go on")
	if _, err := f.parse(args, 0); err != nil {
		return err
	}
	req := upgradeRequest{*binary, *drain}
	if err := req.validate(); err != nil {
		return err
	}
	var result upgradeResult
	if err := newClient(f.socket).do(in.ctx, http.MethodPost, "/v1/upgrade", req, &result); err != nil {
		return err
	}
	fmt.Fprintf(in.stdout, "Upgraded from %s to %s\n", result.From, result.To)
	if result.Warning != "" {
		fmt.Fprintln(in.stderr, "Warning: "+result.Warning)
	}
	return nil
}

func (q upgradeRequest) validate() error {
	if q.DrainTimeout < 0 || q.DrainTimeout > maxUpgradeDrain {
		return fmt.Errorf("drain-timeout must be from 0 to %s, not %s", maxUpgradeDrain, q.DrainTimeout)
	}
	if q.Binary != "" && !filepath.IsAbs(q.Binary) {
		return fmt.Errorf("binary must be an absolute path where the proxy runs, not %q", q.Binary)
	}
	return nil
}

func (c *controlServer) serveUpgrade(w http.ResponseWriter, r *http.Request) {
	if c.upgrade == nil {
		reply(w, http.StatusUnprocessableEntity, controlError{"this proxy runs without a supervisor and cannot be upgraded in place; restart it instead"})
		return
	}
	var req upgradeRequest
	err := decodeCommand(w, r, &req)
	if err == nil {
		err = req.validate()
	}
	if err != nil {
		reply(w, http.StatusBadRequest, controlError{"reading the command: " + err.Error()})
		return
	}
	result, err := c.upgrade(r.Context(), req)
	switch {
	case err != nil:
		reply(w, http.StatusUnprocessableEntity, controlError{"the proxy was not upgraded, the old program goes on: " + err.Error()})
	default:
		reply(w, http.StatusOK, result)
	}
}

// verifyProgram has a program say what it is, and refuses one that could not take over from this one.
func verifyProgram(ctx context.Context, path string) (about, error) {
	var a about
	if info, err := os.Stat(path); err != nil {
		return a, fmt.Errorf("the new program: %w", err)
	} else if !info.Mode().IsRegular() || info.Mode().Perm()&0o111 == 0 {
		return a, fmt.Errorf("the new program %s is no executable file (mode %s)", path, info.Mode())
	}
	ctx, cancel := context.WithTimeout(ctx, verifyTimeout)
	defer cancel()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, path, "version", "--json")
	cmd.Stdout, cmd.Stderr = &limitedWriter{&stdout, maxCommand}, &limitedWriter{&stderr, 4 << 10}
	cmd.WaitDelay = time.Second
	switch err := cmd.Run(); {
	case ctx.Err() != nil:
		return a, fmt.Errorf("the new program %s did not say its version within %s", path, verifyTimeout)
	case errors.Is(err, syscall.ENOEXEC):
		return a, fmt.Errorf("the new program %s cannot run here: it is built for another kind of machine, or is damaged", path)
	case err != nil:
		return a, fmt.Errorf("the new program %s does not run: %w: %s", path, err, strings.TrimSpace(stderr.String()))
	}
	if err := json.Unmarshal(stdout.Bytes(), &a); err != nil || a.Name != programName {
		return a, fmt.Errorf("the new program %s is no kamald-proxy that can be upgraded to", path)
	}
	switch {
	case a.StateFormat < stateFormat:
		return a, fmt.Errorf("the new program %s (%s) reads state files up to format %d, this one writes %d", path, a.Version, a.StateFormat, stateFormat)
	case a.HandOverProtocol != handOverProtocol:
		return a, fmt.Errorf("the new program %s (%s) hands over by protocol %d, this one by %d: the proxy must be started anew for it", path, a.Version, a.HandOverProtocol, handOverProtocol)
	}
	return a, nil
}

// limitedWriter keeps the first bytes and drops the rest.
type limitedWriter struct {
	to   *bytes.Buffer
	room int
}

func (w *limitedWriter) Write(p []byte) (int, error) {
	n := min(w.room-w.to.Len(), len(p))
	w.to.Write(p[:n])
	return len(p), nil
}

// stage puts a new program beside the one whose place it shall take, so that taking it is one rename. It finds out now
// what would else be found out when the new program serves already. A program that is there already is its own stage.
func stage(binary, program string) (staged string, err error) {
	if binary == program {
		return program, nil
	}
	dir := filepath.Dir(program)
	if filepath.Dir(binary) == dir {
		probe, err := os.CreateTemp(dir, ".kamal-proxy-*")
		if err != nil {
			return "", fmt.Errorf("%s could not take the place of %s: %w", binary, program, err)
		}
		return binary, errors.Join(probe.Close(), os.Remove(probe.Name()))
	}
	staged = program + ".staged"
	if err := copyProgram(staged, binary); err != nil {
		return "", fmt.Errorf("%s could not be copied beside %s: %w", binary, program, errors.Join(err, removeStage(staged)))
	}
	if data, err := os.ReadFile(versionFile(binary)); err == nil {
		err = os.WriteFile(versionFile(staged), data, 0o644)
		if err != nil {
			return "", errors.Join(err, removeStage(staged))
		}
	}
	return staged, nil
}

// removeStage forgets a program that was copied.
func removeStage(staged string) error {
	var errs []error
	for _, path := range []string{staged, versionFile(staged)} {
		if err := os.Remove(path); !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// takePlace makes the staged program the one that a restart runs. A program that brings no version file has none.
func takePlace(staged, program string) error {
	if staged == program {
		return nil
	}
	if err := os.Rename(staged, program); err != nil {
		return err
	}
	err := os.Rename(versionFile(staged), versionFile(program))
	if errors.Is(err, os.ErrNotExist) {
		if err = os.Remove(versionFile(program)); errors.Is(err, os.ErrNotExist) {
			err = nil
		}
	}
	return errors.Join(err, syncDir(filepath.Dir(program)))
}

func copyProgram(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	_ = os.Remove(to)
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Sync(), out.Close())
}
