package proxy

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/kamald/kamald/state"
)

const (
	aboutPath = configPath + "/kamald-proxy.json"
	// newProgram is where an upgrade finds its program, and beside it what image it is of.
	newProgram = command + ".new"

	// upgradeMargin is what an upgrade may take beyond its drain: it waits for the commands that are under way.
	upgradeMargin = time.Minute
)

// About reads what kamald-proxy has written of itself when it started; fs.ErrNotExist for another proxy.
func (d *Driver) About(ctx context.Context, container string) (state.Program, error) {
	data, err := d.readConfig(ctx, container, aboutPath)
	if err != nil {
		return state.Program{}, fmt.Errorf("read %s of proxy %s: %w", aboutPath, container, err)
	}
	var program state.Program
	if err := json.Unmarshal(data, &program); err != nil {
		return state.Program{}, fmt.Errorf("%s of proxy %s does not read: %w; the proxy writes it anew when it starts", aboutPath, container, err)
	}
	return program, nil
}

// Program is the program of an image with its version, under the names that Upgrade takes.
func (d *Driver) Program(ctx context.Context, ref, arch string) (io.ReadCloser, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	repository, tag := splitReference(ref)
	if repository != Repository {
		return nil, fmt.Errorf("the program of image %s is not made by kamald, only that of %s is: %w", ref, Repository, fs.ErrNotExist)
	}
	binary, _, err := d.binary(arch)
	if err != nil {
		return nil, err
	}
	archive, err := tarOf([]entry{{newProgram, 0o755, binary}, {newProgram + ".version", 0o644, []byte(tag + "\n")}})
	if err != nil {
		return nil, err
	}
	return io.NopCloser(bytes.NewReader(archive)), nil
}

// Upgrade has the proxy go on as the program that was put beside its own. After an error that is not the proxy's own answer it may
// have gone on all the same: read About.
func (d *Driver) Upgrade(ctx context.Context, container string, drain time.Duration) error {
	if drain < 0 {
		return fmt.Errorf("proxy %s is not upgraded: the drain timeout must not be negative, not %s", container, drain)
	}
	ctx, cancel := context.WithTimeout(ctx, drain+upgradeMargin)
	defer cancel()
	result, err := d.engine.Exec(ctx, container, []string{command, "upgrade", "--binary=" + programDir + "/" + newProgram, "--drain-timeout=" + drain.String()})
	if err != nil {
		return fmt.Errorf("upgrade proxy %s: %w", container, err)
	}
	if result.Code != 0 {
		return fmt.Errorf("proxy %s was not upgraded, and serves as before: %s", container, clean(result))
	}
	return nil
}
