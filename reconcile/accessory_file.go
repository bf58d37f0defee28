package reconcile

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// errFileGone: a file that a container has mounted is not on the host.
var errFileGone = errors.New("is not there")

// filesThere wants the files of an accessory there that a container of this spec has mounted: an engine makes directories in the place of
// those that are not. Which of its mounts are files a container of kamald's says; of another's, the file does.
func filesThere(ctx context.Context, files Files, a release.Accessory, spec state.Spec) error {
	group, grouped := crewWithin(ctx)
	for _, volume := range spec.Volumes {
		source, rest, mounted := strings.Cut(volume, ":")
		to, _, _ := strings.Cut(rest, ":")
		placed := spec.Files[to].Digest != "" || spec.Files == nil && slices.ContainsFunc(a.Files, func(p release.Placed) bool { return p.To == to })
		if !mounted || !placed {
			continue
		}
		group.Go(func() error {
			_, err := files.Read(grouped, source)
			if errors.Is(err, fs.ErrNotExist) || errors.Is(err, state.ErrDirectory) {
				return fmt.Errorf("its file %s %w; `kamald accessory reboot %s` puts it there", source, errFileGone, a.Name)
			}
			return unless(err, fs.ErrPermission)
		})
	}
	return group.Wait()
}

// filesThere wants the files there that the accessory's container has mounted, before it starts.
func (on *accessoryOn) filesThere(ctx context.Context) error {
	spec := on.container.Live
	if on.container.Asked != nil {
		if spec = *on.container.Asked; spec.Files == nil {
			spec.Files = map[string]state.File{} // it is said that there are none
		}
	}
	return filesThere(ctx, on.conn.Files, on.accessory, spec)
}

// clearWay takes away the directory that an engine has made in the place of a file that was gone; one that holds anything stays.
func clearWay(ctx context.Context, files Files, name string) error {
	held, err := files.List(ctx, name)
	if err != nil {
		return err
	}
	if len(held) > 0 {
		return fmt.Errorf("a directory lies there, with %s in it: move it away by hand", strings.Join(held, ", "))
	}
	return files.Remove(ctx, name)
}
