package files

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// entry is one of an archive as an engine gives it.
type entry struct {
	kind byte
	name string
	text string // or where a link leads
	mode int64
}

var long = strings.Repeat("a long file\n", 200_000) // more than what is written beside others

func archived(t *testing.T, entries ...entry) *bytes.Buffer {
	t.Helper()
	var buffer bytes.Buffer
	out := tar.NewWriter(&buffer)
	for _, e := range entries {
		header := &tar.Header{Typeflag: e.kind, Name: e.name, Mode: e.mode, Uid: 1000, Gid: 1000, ModTime: time.Unix(1_700_000_000, 0)}
		if e.kind == tar.TypeReg {
			header.Size = int64(len(e.text))
		} else {
			header.Linkname = e.text
		}
		must(t, out.WriteHeader(header))
		if e.kind == tar.TypeReg {
			_, err := out.Write([]byte(e.text))
			must(t, err)
		}
	}
	must(t, out.Close())
	return &buffer
}

func images(root string) []entry {
	return []entry{
		{kind: tar.TypeDir, name: root + "/", mode: 0o700},
		{kind: tar.TypeReg, name: root + "/.hidden", text: "hidden", mode: 0o600},
		{kind: tar.TypeReg, name: root + "/app.js", text: "js", mode: 0o644},
		{kind: tar.TypeReg, name: root + "/long", text: long, mode: 0o644},
		{kind: tar.TypeReg, name: root + "/tool", text: "tool", mode: 0o755},
		{kind: tar.TypeDir, name: root + "/deep/", mode: 0o700},
		{kind: tar.TypeReg, name: root + "/deep/er/a.png", text: "png", mode: 0o400},
		{kind: tar.TypeSymlink, name: root + "/link", text: "app.js"},
		{kind: tar.TypeLink, name: root + "/deep/hard", text: root + "/app.js"},
		{kind: tar.TypeFifo, name: root + "/fifo"},
	}
}

func TestATreeIsUnpackedForEverybodyToRead(t *testing.T) {
	for _, root := range []string{"assets", "."} {
		onBoth(t, func(t *testing.T, h host, home string) {
			ctx := t.Context()
			must(t, h.Unpack(ctx, "run/sets/web-v1", archived(t, images(root)...)))
			dir := filepath.Join(home, "run/sets/web-v1")
			for name, want := range map[string]string{".hidden": "hidden", "app.js": "js", "long": long, "tool": "tool", "deep/er/a.png": "png", "deep/hard": "js"} {
				if data, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(data) != want {
					t.Errorf("%s has %d bytes, %v", name, len(data), err)
				}
			}
			for name, want := range map[string]fs.FileMode{".": 0o755, "deep": 0o755, "deep/er": 0o755, ".hidden": 0o644, "tool": 0o755, "deep/er/a.png": 0o644, "..": 0o700} {
				info, err := os.Stat(filepath.Join(dir, name))
				must(t, err)
				if info.Mode().Perm() != want {
					t.Errorf("%s has the mode %o, want %o", name, info.Mode().Perm(), want)
				}
				if name == ".hidden" && info.ModTime().Unix() != 1_700_000_000 {
					t.Errorf("%s is of %s", name, info.ModTime())
				}
			}
			mustLink(t, filepath.Join(dir, "link"))
			if _, err := os.Lstat(filepath.Join(dir, "fifo")); err == nil {
				t.Error("a fifo is no asset")
			}
			if err := h.Unpack(ctx, "run/sets/web-v1", archived(t, images(root)...)); !errors.Is(err, fs.ErrExist) {
				t.Errorf("once more: %v", err)
			}
		})
	}
}

// mustLink wants a symbolic link. Where it leads, this process's SFTP server changes: what sshd's does, conformance sees.
func mustLink(t *testing.T, name string) {
	t.Helper()
	if target, err := os.Readlink(name); err != nil || filepath.Base(target) != "app.js" {
		t.Errorf("%s leads to %q, %v", name, target, err)
	}
}

func TestAnArchiveStaysInItsDirectory(t *testing.T) {
	for name, entries := range map[string][]entry{
		"above":        {{kind: tar.TypeDir, name: "a"}, {kind: tar.TypeReg, name: "a/../../b", text: "x"}},
		"beside":       {{kind: tar.TypeDir, name: "a"}, {kind: tar.TypeReg, name: "b/c", text: "x"}},
		"absolute":     {{kind: tar.TypeDir, name: "."}, {kind: tar.TypeReg, name: "/etc/b", text: "x"}},
		"linked":       {{kind: tar.TypeDir, name: "a"}, {kind: tar.TypeLink, name: "a/b", text: "../secret"}},
		"no directory": {{kind: tar.TypeReg, name: "a", text: "x"}},
		"nothing":      {},
	} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, h host, home string) {
				must(t, os.WriteFile(filepath.Join(home, "secret"), nil, 0o600))
				if err := h.Unpack(t.Context(), "d/e", archived(t, entries...)); err == nil {
					t.Error("it was taken")
				}
				for _, name := range []string{"b", "d/b", "d/e/b"} {
					if _, err := os.Lstat(filepath.Join(home, name)); err == nil {
						t.Errorf("%s is there", name)
					}
				}
			})
		})
	}
}

func TestATreeSharesWhatAnotherLacks(t *testing.T) {
	onBoth(t, func(t *testing.T, h host, home string) {
		ctx := t.Context()
		must(t, h.Unpack(ctx, "from", archived(t, images("a")...)))
		at := func(name string) string { return filepath.Join(home, name) }
		must(t, os.MkdirAll(at("to/tool"), 0o700)) // a directory where the other has a file
		must(t, os.WriteFile(at("to/app.js"), []byte("its own"), 0o600))
		must(t, os.WriteFile(at("to/deep"), []byte("a file where the other has a directory"), 0o600))
		for range 2 {
			must(t, h.Share(ctx, "from", "to"))
			must(t, h.Share(ctx, "from", "new/to"))
		}
		for name, want := range map[string]string{"to/app.js": "its own", "to/.hidden": "hidden", "to/deep": "a file where the other has a directory",
			"new/to/app.js": "js", "new/to/deep/er/a.png": "png", "new/to/deep/hard": "js", "new/to/long": long} {
			if data, err := os.ReadFile(at(name)); err != nil || string(data) != want {
				t.Errorf("%s has %.20q, %v", name, data, err)
			}
		}
		mustLink(t, at("to/link"))
		if info, err := os.Stat(at("to/tool")); err != nil || !info.IsDir() {
			t.Errorf("the directory is %v, %v", info, err)
		}
		one, _ := os.Stat(at("from/long"))
		other, _ := os.Stat(at("new/to/long"))
		if !os.SameFile(one, other) {
			t.Error("the files take room twice")
		}
		if err := h.Share(ctx, "none", "to"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("from nothing: %v", err)
		}
		must(t, h.Remove(ctx, "from"))
		if data, err := os.ReadFile(at("new/to/app.js")); err != nil || string(data) != "js" {
			t.Errorf("without the other it has %q, %v", data, err)
		}
	})
}

func TestThousandsOfFilesAreSharedAndRemoved(t *testing.T) {
	onBoth(t, func(t *testing.T, h host, home string) {
		entries := []entry{{kind: tar.TypeDir, name: "."}}
		for i := range 3000 {
			entries = append(entries, entry{kind: tar.TypeReg, name: fmt.Sprintf("%d/%d", i%20, i), text: "x", mode: 0o644})
		}
		ctx := t.Context()
		must(t, h.Unpack(ctx, "from", archived(t, entries...)))
		must(t, h.Share(ctx, "from", "to"))
		must(t, h.Remove(ctx, "from"))
		for i := range 20 {
			if names, err := h.List(ctx, fmt.Sprintf("to/%d", i)); err != nil || len(names) != 150 {
				t.Errorf("%d: %d names, %v", i, len(names), err)
			}
		}
		if _, err := os.Stat(filepath.Join(home, "from")); !errors.Is(err, fs.ErrNotExist) {
			t.Error("it is still there")
		}
	})
}
