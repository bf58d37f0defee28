package files

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pkg/sftp"

	"github.com/kamald/kamald/state"
)

// host is what both kinds of file system promise.
type host interface {
	Home(ctx context.Context) (string, error)
	Read(ctx context.Context, path string) ([]byte, error)
	Write(ctx context.Context, path string, data []byte, mode fs.FileMode) error
	Mkdir(ctx context.Context, path string) error
	Rename(ctx context.Context, from, to string) error
	Append(ctx context.Context, path string, data []byte) error
	Remove(ctx context.Context, path string) error
	List(ctx context.Context, path string) ([]string, error)
	Modified(ctx context.Context, path string) (time.Time, error)
	Touch(ctx context.Context, path string) error
	Chmod(ctx context.Context, path string, mode fs.FileMode) error
	Chown(ctx context.Context, path string, user, group int) error
	Free(ctx context.Context, path string) (free, size int64, err error)
	Unpack(ctx context.Context, dir string, archive io.Reader) error
	Share(ctx context.Context, from, to string) error
}

// onBoth runs a test on this machine's files and on those of an SFTP server, each with a home directory of its own.
func onBoth(t *testing.T, test func(t *testing.T, h host, home string)) {
	t.Run("local", func(t *testing.T) {
		home := t.TempDir()
		test(t, &Local{root: home}, home)
	})
	t.Run("sftp", func(t *testing.T) {
		home := t.TempDir()
		client := serve(t, home)
		test(t, NewSFTP(func(context.Context) (*sftp.Client, error) { return client, nil }), home)
	})
}

// serve is an SFTP server of this process whose relative paths begin at home.
func serve(t *testing.T, home string) *sftp.Client {
	t.Helper()
	here, there := net.Pipe()
	server, err := sftp.NewServer(there, sftp.WithServerWorkingDirectory(home))
	if err != nil {
		t.Fatal(err)
	}
	go server.Serve()
	client, err := sftp.NewClientPipe(here, here)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close(); server.Close() })
	return client
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestAFileIsWrittenWholeWithItsModeAndReadBack(t *testing.T) {
	onBoth(t, func(t *testing.T, h host, home string) {
		defer syscall.Umask(syscall.Umask(0o027))
		ctx := t.Context()
		for _, size := range []int{0, 1, 100, 32 << 10, 32<<10 + 1, 300_000} {
			data := bytes.Repeat([]byte("0123456789"), size/10+1)[:size]
			must(t, h.Write(ctx, ".kamal/apps/shop/env/web.env", data, 0o646))
			got, err := h.Read(ctx, ".kamal/apps/shop/env/web.env")
			if err != nil || !bytes.Equal(got, data) {
				t.Errorf("of %d bytes came %d back, %v", size, len(got), err)
			}
		}
		for name, want := range map[string]fs.FileMode{".kamal/apps/shop/env/web.env": 0o646, ".kamal/apps/shop/env": 0o700, ".kamal": 0o700} {
			info, err := os.Stat(filepath.Join(home, name))
			if err != nil || info.Mode().Perm() != want {
				t.Errorf("%s: %v, %v; want %v", name, info.Mode(), err, want)
			}
		}
		left, err := h.List(ctx, ".kamal/apps/shop/env")
		if err != nil || !slices.Equal(left, []string{"web.env"}) {
			t.Errorf("left lying: %q, %v", left, err)
		}
		if got, err := h.Read(ctx, filepath.Join(home, ".kamal/apps/shop/env/web.env")); err != nil || len(got) != 300_000 {
			t.Errorf("by its absolute path: %d bytes, %v", len(got), err)
		}
	})
}

func TestAFileIsGivenToAUserAndAGroup(t *testing.T) {
	onBoth(t, func(t *testing.T, h host, home string) {
		ctx := t.Context()
		must(t, h.Write(ctx, "d/f", []byte("x"), 0o600))
		for _, one := range [][2]int{{os.Getuid(), os.Getgid()}, {os.Getuid(), -1}, {-1, os.Getgid()}} {
			must(t, h.Chown(ctx, "d/f", one[0], one[1]))
			must(t, h.Chown(ctx, "d", one[0], one[1]))
		}
		if os.Getuid() == 0 {
			must(t, h.Chown(ctx, "d/f", 999, 998))
			info, err := os.Stat(filepath.Join(home, "d/f"))
			must(t, err)
			if stat := info.Sys().(*syscall.Stat_t); stat.Uid != 999 || stat.Gid != 998 {
				t.Errorf("it belongs to %d:%d", stat.Uid, stat.Gid)
			}
		} else if err := h.Chown(ctx, "d/f", 0, 0); !errors.Is(err, fs.ErrPermission) {
			t.Errorf("given to root: %v", err)
		}
		if err := h.Chown(ctx, "none", os.Getuid(), os.Getgid()); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("of what is not there: %v", err)
		}
	})
}

func TestPermissionsAreSetOfFilesAndDirectories(t *testing.T) {
	onBoth(t, func(t *testing.T, h host, home string) {
		ctx := t.Context()
		must(t, h.Write(ctx, "d/f", []byte("x"), 0o600))
		must(t, h.Chmod(ctx, "d/f", 0o644))
		must(t, h.Chmod(ctx, "d", 0o755))
		for name, want := range map[string]fs.FileMode{"d/f": 0o644, "d": 0o755} {
			if info, err := os.Stat(filepath.Join(home, name)); err != nil || info.Mode().Perm() != want {
				t.Errorf("%s: %v, %v; want %v", name, info.Mode(), err, want)
			}
		}
		if err := h.Chmod(ctx, "none", 0o644); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("of what is not there: %v", err)
		}
	})
}

func TestAFileThatIsTooLongIsNotRead(t *testing.T) {
	onBoth(t, func(t *testing.T, h host, home string) {
		must(t, os.WriteFile(filepath.Join(home, "long"), make([]byte, readLimit+1), 0o600))
		if got, err := h.Read(t.Context(), "long"); err == nil {
			t.Errorf("%d bytes were read", len(got))
		}
		if _, err := h.Read(t.Context(), "/proc/self/status"); err != nil {
			t.Errorf("a file that says no size: %v", err)
		}
	})
}

func TestADirectoryIsNotReadAsAFile(t *testing.T) {
	onBoth(t, func(t *testing.T, h host, home string) {
		must(t, os.Mkdir(filepath.Join(home, "here"), 0o700))
		if got, err := h.Read(t.Context(), "here"); !errors.Is(err, state.ErrDirectory) || !strings.Contains(err.Error(), "here") {
			t.Errorf("%q, %v", got, err)
		}
	})
}

func TestWhatIsNotThereIsSaidInGosWords(t *testing.T) {
	onBoth(t, func(t *testing.T, h host, _ string) {
		ctx := t.Context()
		_, read := h.Read(ctx, "none/none")
		_, modified := h.Modified(ctx, "none")
		for _, err := range []error{read, modified, h.Rename(ctx, "none", "other"), h.Touch(ctx, "none")} {
			if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "none") {
				t.Errorf("got %v", err)
			}
		}
		names, err := h.List(ctx, "none")
		if err != nil || len(names) != 0 {
			t.Errorf("list: %q, %v", names, err)
		}
		must(t, h.Remove(ctx, "none"))
	})
}

func TestExactlyOneOfManyMakesADirectory(t *testing.T) {
	onBoth(t, func(t *testing.T, h host, home string) {
		const many = 20
		var all sync.WaitGroup
		errs := make([]error, many)
		for i := range many {
			all.Go(func() { errs[i] = h.Mkdir(t.Context(), ".kamal/lock-shop") })
		}
		all.Wait()
		made := 0
		for _, err := range errs {
			switch {
			case err == nil:
				made++
			case !errors.Is(err, fs.ErrExist):
				t.Errorf("got %v", err)
			}
		}
		if info, err := os.Stat(filepath.Join(home, ".kamal/lock-shop")); made != 1 || err != nil || !info.IsDir() {
			t.Errorf("%d of %d made it; %v", made, many, err)
		}
	})
}

func TestRenamingReplacesAFileAndMovesADirectory(t *testing.T) {
	onBoth(t, func(t *testing.T, h host, _ string) {
		ctx := t.Context()
		must(t, h.Write(ctx, "a", []byte("a"), 0o600))
		must(t, h.Write(ctx, "b", []byte("b"), 0o600))
		must(t, h.Rename(ctx, "a", "b"))
		if got, err := h.Read(ctx, "b"); err != nil || string(got) != "a" {
			t.Errorf("got %q, %v", got, err)
		}
		must(t, h.Write(ctx, "dir/file", nil, 0o600))
		must(t, h.Rename(ctx, "dir", "dir.stale"))
		if names, err := h.List(ctx, "dir.stale"); err != nil || !slices.Equal(names, []string{"file"}) {
			t.Errorf("got %q, %v", names, err)
		}
		must(t, h.Write(ctx, "full/file", nil, 0o600))
		if err := h.Rename(ctx, "dir.stale", "full"); !errors.Is(err, fs.ErrExist) {
			t.Errorf("over a directory that is not empty: %v", err)
		}
	})
}

func TestAppendingAddsToTheEndAndKeepsTheMode(t *testing.T) {
	onBoth(t, func(t *testing.T, h host, home string) {
		ctx := t.Context()
		must(t, h.Append(ctx, ".kamal/audit.log", []byte("one\n")))
		must(t, os.Chmod(filepath.Join(home, ".kamal/audit.log"), 0o640))
		must(t, h.Append(ctx, ".kamal/audit.log", []byte("two\n")))
		got, err := h.Read(ctx, ".kamal/audit.log")
		if err != nil || string(got) != "one\ntwo\n" {
			t.Errorf("got %q, %v", got, err)
		}
		if info, _ := os.Stat(filepath.Join(home, ".kamal/audit.log")); info.Mode().Perm() != 0o640 {
			t.Errorf("mode %v", info.Mode())
		}
		must(t, h.Append(ctx, "new.log", nil))
		if info, _ := os.Stat(filepath.Join(home, "new.log")); info.Mode().Perm() != 0o600 {
			t.Errorf("a new one: mode %v", info.Mode())
		}
	})
}

func TestRemovingTakesATreeAndFollowsNoLink(t *testing.T) {
	onBoth(t, func(t *testing.T, h host, home string) {
		ctx := t.Context()
		must(t, h.Write(ctx, "tree/deep/er/file", []byte("x"), 0o600))
		must(t, h.Write(ctx, "outside/file", []byte("x"), 0o600))
		must(t, os.Symlink(filepath.Join(home, "outside"), filepath.Join(home, "tree/link")))
		must(t, h.Remove(ctx, "tree"))
		must(t, h.Remove(ctx, "tree"))
		names, err := h.List(ctx, ".")
		if err != nil || !slices.Equal(names, []string{"outside"}) {
			t.Errorf("left: %q, %v", names, err)
		}
		if got, err := h.Read(ctx, "outside/file"); err != nil || string(got) != "x" {
			t.Errorf("what the link led to: %q, %v", got, err)
		}
		for _, path := range []string{"", ".", "/", "..", "../.."} {
			if err := h.Remove(ctx, path); err == nil {
				t.Errorf("%q was removed", path)
			}
		}
	})
}

func TestTouchingSetsTheHostsOwnTimeAndLeavesTheContent(t *testing.T) {
	onBoth(t, func(t *testing.T, h host, home string) {
		ctx := t.Context()
		for _, content := range []string{"", "lease"} {
			must(t, h.Write(ctx, "details", []byte(content), 0o600))
			past := time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)
			must(t, os.Chtimes(filepath.Join(home, "details"), past, past))
			if before, err := h.Modified(ctx, "details"); err != nil || !before.Equal(past) {
				t.Errorf("before: %v, %v", before, err)
			}
			must(t, h.Touch(ctx, "details"))
			after, err := h.Modified(ctx, "details")
			if err != nil || !after.After(past) {
				t.Errorf("after touching %q: %v, %v", content, after, err)
			}
			if got, err := h.Read(ctx, "details"); err != nil || string(got) != content {
				t.Errorf("content %q, %v", got, err)
			}
		}
	})
}

func TestHomeAndFreeSpaceAreKnown(t *testing.T) {
	onBoth(t, func(t *testing.T, h host, home string) {
		if got, err := h.Home(t.Context()); err != nil || got != home {
			t.Errorf("home %q, %v; want %q", got, err, home)
		}
		if free, size, err := h.Free(t.Context(), home); err != nil || free <= 0 || size < free {
			t.Errorf("free %d of %d, %v", free, size, err)
		}
	})
}

func TestAServerThatIsGoneOrSilentIsUnreachable(t *testing.T) {
	client := serve(t, t.TempDir())
	client.Close()
	h := NewSFTP(func(context.Context) (*sftp.Client, error) { return client, nil })
	if _, err := h.Read(t.Context(), "file"); !errors.Is(err, state.ErrUnreachable) {
		t.Errorf("gone: %v", err)
	}
	here, there := net.Pipe()
	t.Cleanup(func() { here.Close(); there.Close() })
	go io.Copy(io.Discard, there)
	silent := NewSFTP(func(ctx context.Context) (*sftp.Client, error) { return sftp.NewClientPipe(here, here) })
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := silent.List(ctx, "."); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, state.ErrUnreachable) {
		t.Errorf("silent: %v", err)
	}
}
