package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// thing is a kind of object of the engine that the demo makes.
type thing struct {
	kind   string
	list   []string // prints a line an object: its name, a space, and the value of the mark
	remove []string // with the name after it
	ours   func(name string) bool
}

// things are in the order of their removal.
var things = []thing{
	{"container", []string{"ps", "-a", "--format", `{{.Names}} {{.Label "` + mark + `"}}`}, []string{"rm", "-f", "-v"},
		func(name string) bool { return name == proxyName || strings.HasPrefix(name, service+"-") }},
	{"network", []string{"network", "ls", "--format", `{{.Name}} {{.Label "` + mark + `"}}`}, []string{"network", "rm"},
		func(name string) bool { return name == network }},
	{"volume", []string{"volume", "ls", "--format", `{{.Name}} {{.Label "` + mark + `"}}`}, []string{"volume", "rm"},
		func(name string) bool { return name == proxyName+"-config" }},
}

// Prepare refuses when a name that the demo will use is taken by something without its mark, and removes what a demo that was
// killed has left. It makes the network and the proxy's volume, so that they bear the mark.
func (d *dockerStage) Prepare(ctx context.Context) error {
	if err := d.alone(); err != nil {
		return err
	}
	left := false
	for _, t := range things {
		marked, foreign, err := t.find(ctx)
		if err != nil {
			return err
		}
		if len(foreign) > 0 {
			return fmt.Errorf("this engine has the %s %s, which the demo did not make (no label %s=1) and will not touch: "+
				"remove or rename it, then run the demo again", t.kind, strings.Join(foreign, ", "), mark)
		}
		left = left || len(marked) > 0
	}
	if err := checkImages(ctx); err != nil {
		return err
	}
	if left {
		fmt.Fprintln(d.out, "a demo that was killed has left things behind: they are removed")
	}
	if err := d.Clean(ctx); err != nil {
		return err
	}
	if _, err := docker(ctx, "network", "create", "--label", mark+"=1", network); err != nil {
		return err
	}
	_, err := docker(ctx, "volume", "create", "--label", mark+"=1", proxyName+"-config")
	return err
}

// Clean removes everything that bears the demo's names and mark.
func (d *dockerStage) Clean(ctx context.Context) error {
	var errs []error
	for _, t := range things {
		marked, _, err := t.find(ctx)
		errs = append(errs, err)
		for _, name := range marked {
			_, err := docker(ctx, slices.Concat(t.remove, []string{name})...)
			errs = append(errs, err)
		}
	}
	references, err := ourImages(ctx)
	errs = append(errs, err)
	for _, reference := range references {
		_, err := docker(ctx, "rmi", reference)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// alone keeps a second demo on this machine from removing what the first one needs. The lock ends with the process.
func (d *dockerStage) alone() error {
	path := filepath.Join(os.TempDir(), fmt.Sprintf("kamald-demo-%d.lock", os.Getuid()))
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = file.Close()
		return fmt.Errorf("another demo runs on this machine (%s is locked): wait until it ends", path)
	}
	d.lock = file
	return nil
}

// find lists the objects that bear one of the demo's names, with its mark and without.
func (t thing) find(ctx context.Context) (marked, foreign []string, err error) {
	listed, err := docker(ctx, t.list...)
	if err != nil {
		return nil, nil, err
	}
	for line := range strings.Lines(listed) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch {
		case !t.ours(name):
		case value == "1":
			marked = append(marked, name)
		default:
			foreign = append(foreign, name)
		}
	}
	return marked, foreign, nil
}

// checkImages refuses images of the demo's repository that lack its mark.
func checkImages(ctx context.Context) error {
	all, err := references(ctx, image)
	if err != nil {
		return err
	}
	marked, err := references(ctx, "--filter", "label="+mark+"=1", image)
	if err != nil {
		return err
	}
	for _, reference := range all {
		if !slices.Contains(marked, reference) {
			return fmt.Errorf("this engine has the image %s, which the demo did not make (no label %s=1) and will not touch: "+
				"remove it, then run the demo again", reference, mark)
		}
	}
	return nil
}

// ourImages are the app's, and the proxy's under a tag that nothing else uses.
func ourImages(ctx context.Context) ([]string, error) {
	app, err := references(ctx, "--filter", "label="+mark+"=1", image)
	if err != nil {
		return nil, err
	}
	proxy, err := references(ctx, proxyImage)
	return append(app, proxy...), err
}

func references(ctx context.Context, args ...string) ([]string, error) {
	listed, err := docker(ctx, append([]string{"images", "--format", "{{.Repository}}:{{.Tag}}"}, args...)...)
	return strings.Fields(listed), err
}
