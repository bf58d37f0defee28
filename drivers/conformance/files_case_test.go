package conformance_test

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"time"
)

func sorted(list []string) []string { return slices.Sorted(slices.Values(list)) }

func init() {
	cases(map[string]func(*subject){
		"files that are not there": func(s *subject) {
			f, name := s.files, s.file("none/f")
			_, err := f.Read(s.ctx, name)
			s.note("read", err)
			_, err = f.Modified(s.ctx, name)
			s.note("modified", err)
			s.note("touch", f.Touch(s.ctx, name))
			s.note("remove", f.Remove(s.ctx, name))
			s.note("rename", f.Rename(s.ctx, name, s.file("other")))
			list, err := f.List(s.ctx, s.file("none"))
			s.note("list", len(list), err)
		},
		"write and read": func(s *subject) {
			f, name := s.files, s.file("d/e/f")
			s.note("write", f.Write(s.ctx, name, []byte("one"), 0o600))
			data, err := f.Read(s.ctx, name)
			s.note("read", string(data), err)
			s.note("write again", f.Write(s.ctx, name, []byte("two"), 0o640))
			data, err = f.Read(s.ctx, name)
			s.note("read again", string(data), err)
			home, err := f.Home(s.ctx)
			s.must(err)
			data, err = f.Read(s.ctx, home+"/"+name)
			s.note("by its absolute path", strings.HasPrefix(home, "/"), string(data), err)
			list, err := f.List(s.ctx, s.file("d/e"))
			s.note("nothing else is left", list, err)
			s.note("write an empty one", f.Write(s.ctx, s.file("d/empty"), nil, 0o600))
			data, err = f.Read(s.ctx, s.file("d/empty"))
			s.note("read it", len(data), err)
			s.note("write over a directory", f.Write(s.ctx, s.file("d/e"), nil, 0o600))
			_, err = f.Read(s.ctx, s.file("d"))
			s.note("read a directory", err)
			s.note("write below a file", f.Write(s.ctx, name+"/g", nil, 0o600))
			s.note("read below a file", func() error { _, err := f.Read(s.ctx, name+"/g"); return err }())
		},
		"a directory has one maker": func(s *subject) {
			f, name := s.files, s.file("d/lock")
			var group sync.WaitGroup
			results := make([]error, 8)
			for i := range results {
				group.Go(func() { results[i] = f.Mkdir(s.ctx, name) })
			}
			group.Wait()
			won, lost := 0, 0
			for _, err := range results {
				if err == nil {
					won++
				} else if errors.Is(err, fs.ErrExist) {
					lost++
				}
			}
			s.note("made and refused", won, lost)
			s.note("over a file", f.Write(s.ctx, s.file("d/file"), nil, 0o600), f.Mkdir(s.ctx, s.file("d/file")))
			s.note("below a file", f.Mkdir(s.ctx, s.file("d/file/x")))
		},
		"rename": func(s *subject) {
			f := s.files
			s.must(f.Write(s.ctx, s.file("a"), []byte("a"), 0o600))
			s.must(f.Write(s.ctx, s.file("b"), []byte("b"), 0o600))
			s.note("onto a file", f.Rename(s.ctx, s.file("a"), s.file("b")))
			data, err := f.Read(s.ctx, s.file("b"))
			s.note("it is the first now", string(data), err)
			s.must(f.Write(s.ctx, s.file("d/x"), []byte("x"), 0o600))
			s.must(f.Write(s.ctx, s.file("e/y"), []byte("y"), 0o600))
			s.must(f.Mkdir(s.ctx, s.file("empty")))
			s.note("a directory", f.Rename(s.ctx, s.file("d"), s.file("c")))
			data, err = f.Read(s.ctx, s.file("c/x"))
			s.note("with what is in it", string(data), err)
			s.note("onto a full directory", f.Rename(s.ctx, s.file("c"), s.file("e")))
			s.note("onto an empty directory", f.Rename(s.ctx, s.file("c"), s.file("empty")) == nil)
			s.note("a file onto a directory", f.Rename(s.ctx, s.file("b"), s.file("e")))
			s.note("a directory onto a file", f.Rename(s.ctx, s.file("e"), s.file("b")))
			s.note("onto itself", f.Rename(s.ctx, s.file("b"), s.file("b")))
			s.note("into a directory that is missing", f.Rename(s.ctx, s.file("b"), s.file("new/b")))
		},
		"append": func(s *subject) {
			f, name := s.files, s.file("d/log")
			for _, line := range []string{"one\n", "two\n"} {
				s.note("append", f.Append(s.ctx, name, []byte(line)))
			}
			data, err := f.Read(s.ctx, name)
			s.note("read", string(data) == "one\ntwo\n", err)
			var group sync.WaitGroup
			for range 8 {
				group.Go(func() { _ = f.Append(s.ctx, name, []byte("a whole line\n")) })
			}
			group.Wait()
			data, err = f.Read(s.ctx, name)
			s.note("lines after eight at once", strings.Count(string(data), "a whole line\n"), err)
			s.must(f.Mkdir(s.ctx, s.file("dir")))
			s.note("to a directory", f.Append(s.ctx, s.file("dir"), []byte("x")))
		},
		"the user's environment": func(s *subject) {
			home, err := s.files.Home(s.ctx)
			s.must(err)
			found, err := s.environ.Variables(s.ctx, []string{"HOME", "KAMALD_ABSENT"})
			s.note("home, and nothing that is not set", found["HOME"] == home, len(found), err)
		},
		"remove a tree": func(s *subject) {
			f := s.files
			for _, name := range []string{"d/a", "d/e/b", "d/e/g/c", "dd"} {
				s.must(f.Write(s.ctx, s.file(name), nil, 0o600))
			}
			list, err := f.List(s.ctx, s.file("d"))
			s.note("list", list, err)
			s.note("remove", f.Remove(s.ctx, s.file("d")))
			list, err = f.List(s.ctx, s.file("d"))
			s.note("list then", len(list), err)
			_, err = f.Read(s.ctx, s.file("dd"))
			s.note("its neighbour", err)
			s.note("remove again", f.Remove(s.ctx, s.file("d")))
			list, err = f.List(s.ctx, s.file("dd"))
			s.note("list a file", len(list), err)
		},
		"times are the host's": func(s *subject) {
			f := s.files
			s.must(f.Write(s.ctx, s.file("a"), []byte("x"), 0o600))
			first, err := f.Modified(s.ctx, s.file("a"))
			s.must(err)
			info, err := s.engine.Info(s.ctx)
			s.must(err)
			apart := info.Clock.Sub(first)
			s.note("near the engine's clock", apart > -3*time.Second && apart < 30*time.Second)
			time.Sleep(1100 * time.Millisecond)
			s.note("touch", f.Touch(s.ctx, s.file("a")))
			second, err := f.Modified(s.ctx, s.file("a"))
			s.note("later", second.After(first), err)
			data, err := f.Read(s.ctx, s.file("a"))
			s.note("what is in it stays", string(data), err)
			s.must(f.Mkdir(s.ctx, s.file("d")))
			_, err = f.Modified(s.ctx, s.file("d"))
			s.note("a directory's", err)
			s.note("touch a directory", f.Touch(s.ctx, s.file("d")))
		},
		"free room": func(s *subject) {
			for _, name := range []string{"/", ".", s.file("not/there")} {
				free, size, err := s.files.Free(s.ctx, name)
				s.note("of "+strings.ReplaceAll(name, s.slug(), "OWN"), free > 0, size >= free && size > 0, err)
			}
		},
	})
}
