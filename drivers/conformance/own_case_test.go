package conformance_test

import (
	"bytes"
	"context"
	"strings"
	"time"

	"github.com/kamald/kamald/state"
)

func init() {
	cases(map[string]func(*subject){
		"permissions and owners": func(s *subject) {
			f, name := s.files, s.file("d/f")
			stat := func(what, name string) {
				is, err := f.Stat(s.ctx, name)
				s.note(what, is.Mode, is.Owner, err)
			}
			s.must(f.Write(s.ctx, name, []byte("one"), 0o640))
			stat("as it was written", name)
			s.note("chmod", f.Chmod(s.ctx, name, 0o604))
			stat("its mode is another", name)
			s.note("chown", f.Chown(s.ctx, name, 999, 998))
			stat("it is another's", name)
			s.note("chown the group alone", f.Chown(s.ctx, name, -1, 5))
			stat("of another group", name)
			s.note("chown the user alone", f.Chown(s.ctx, name, 7, -1))
			stat("of another user", name)
			data, err := f.Read(s.ctx, name)
			s.note("what is in it stays", string(data), err)
			s.note("write it again", f.Write(s.ctx, name, []byte("two"), 0o600))
			stat("it is whose who wrote it", name)
			s.must(f.Mkdir(s.ctx, s.file("dir")))
			s.note("a directory", f.Chmod(s.ctx, s.file("dir"), 0o750), f.Chown(s.ctx, s.file("dir"), 999, 999))
			stat("it has both", s.file("dir"))
			none := s.file("none")
			stat("what is not there", none)
			s.note("chmod of that", f.Chmod(s.ctx, none, 0o600))
			s.note("chown of that", f.Chown(s.ctx, none, 1, 1), f.Chown(s.ctx, none, -1, 1))
		},
		"lines for the host's shell": func(s *subject) {
			run := func(line, in string) (string, int, error) {
				var out, beside bytes.Buffer
				streams := state.Streams{Out: &out, Err: &beside}
				if in != "" {
					streams.In = strings.NewReader(in)
				}
				code, err := s.shell.Run(s.ctx, line, streams)
				return out.String(), code, err
			}
			for _, line := range []string{"true", "false", "exit 7", "echo one two", "no-such-program-at-all"} {
				out, code, err := run(line, "")
				s.note(line, strings.TrimSpace(out), code, err)
			}
			out, code, err := run("cat", "from here")
			s.note("what is piped in", out, code, err)
			home, err := s.files.Home(s.ctx)
			s.must(err)
			out, code, err = run("printenv HOME", "")
			s.note("the user's own home", strings.TrimSpace(out) == home, code, err)
			ctx, cancel := context.WithTimeout(s.ctx, time.Second)
			defer cancel()
			code, err = s.shell.Run(ctx, "sleep 60", state.Streams{Out: &bytes.Buffer{}, Err: &bytes.Buffer{}})
			s.note("one that nobody waits for any more", code, err)
		},
	})
}
