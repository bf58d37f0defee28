package reconcile

import (
	"context"
	"io"
	"io/fs"
	"time"

	"github.com/kamald/kamald/state"
)

type files struct {
	caller
	next Files
}

func (f files) Home(ctx context.Context) (home string, err error) {
	err = f.read(ctx, "Files.Home", func(ctx context.Context) (err error) { home, err = f.next.Home(ctx); return })
	return
}

func (f files) Read(ctx context.Context, path string) (data []byte, err error) {
	err = f.read(ctx, "Files.Read", func(ctx context.Context) (err error) { data, err = f.next.Read(ctx, path); return })
	return
}

func (f files) Write(ctx context.Context, path string, data []byte, mode fs.FileMode) error {
	return f.write(ctx, "Files.Write", func(ctx context.Context) error { return f.next.Write(ctx, path, data, mode) })
}

func (f files) Mkdir(ctx context.Context, path string) error {
	return f.write(ctx, "Files.Mkdir", func(ctx context.Context) error { return f.next.Mkdir(ctx, path) })
}

func (f files) Rename(ctx context.Context, from, to string) error {
	return f.write(ctx, "Files.Rename", func(ctx context.Context) error { return f.next.Rename(ctx, from, to) })
}

func (f files) Unpack(ctx context.Context, dir string, archive io.Reader) error {
	return f.write(ctx, "Files.Unpack", func(ctx context.Context) error { return f.next.Unpack(ctx, dir, archive) })
}

func (f files) Share(ctx context.Context, from, to string) error {
	return f.write(ctx, "Files.Share", func(ctx context.Context) error { return f.next.Share(ctx, from, to) })
}

func (f files) Append(ctx context.Context, path string, data []byte) error {
	return f.write(ctx, "Files.Append", func(ctx context.Context) error { return f.next.Append(ctx, path, data) })
}

func (f files) Remove(ctx context.Context, path string) error {
	return f.write(ctx, "Files.Remove", func(ctx context.Context) error { return f.next.Remove(ctx, path) })
}

func (f files) List(ctx context.Context, path string) (names []string, err error) {
	err = f.read(ctx, "Files.List", func(ctx context.Context) (err error) { names, err = f.next.List(ctx, path); return })
	return
}

func (f files) Modified(ctx context.Context, path string) (at time.Time, err error) {
	err = f.read(ctx, "Files.Modified", func(ctx context.Context) (err error) { at, err = f.next.Modified(ctx, path); return })
	return
}

func (f files) Touch(ctx context.Context, path string) error {
	return f.write(ctx, "Files.Touch", func(ctx context.Context) error { return f.next.Touch(ctx, path) })
}

func (f files) Stat(ctx context.Context, path string) (is state.File, err error) {
	err = f.read(ctx, "Files.Stat", func(ctx context.Context) (err error) { is, err = f.next.Stat(ctx, path); return })
	return
}

func (f files) Chmod(ctx context.Context, path string, mode fs.FileMode) error {
	return f.write(ctx, "Files.Chmod", func(ctx context.Context) error { return f.next.Chmod(ctx, path, mode) })
}

func (f files) Chown(ctx context.Context, path string, user, group int) error {
	return f.write(ctx, "Files.Chown", func(ctx context.Context) error { return f.next.Chown(ctx, path, user, group) })
}

func (f files) Free(ctx context.Context, path string) (free, size int64, err error) {
	err = f.read(ctx, "Files.Free", func(ctx context.Context) (err error) { free, size, err = f.next.Free(ctx, path); return })
	return
}
