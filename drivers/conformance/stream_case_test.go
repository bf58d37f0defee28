package conformance_test

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

func init() {
	cases(map[string]func(*subject){
		"commands with streams": func(s *subject) {
			ref := s.image("v1", program{})
			s.start("a", ref)
			s.listening(s.address("a", "bridge") + ":3000")
			converse := func(what, name, in string, env map[string]release.Secret, argv ...string) {
				var out, errs bytes.Buffer
				code, err := s.engine.Converse(s.ctx, s.named(name), argv, env, streamsOf(in, &out, &errs))
				s.note(what, code, strconv.Quote(out.String()), strconv.Quote(errs.String()), err)
			}
			converse("input comes back", "a", "from here", nil, "app", "cat")
			converse("an exit code", "a", "", nil, "app", "fail", "7")
			converse("a variable", "a", "", map[string]release.Secret{"X": release.NewSecret("a b")}, "app", "env", "X", "APP_VERSION")
			converse("in one that is not there", "none", "", nil, "app", "cat")
			s.must(s.engine.Stop(s.ctx, s.named("a"), 5*time.Second))
			converse("in a stopped one", "a", "", nil, "app", "cat")
		},
		"a container for one command": func(s *subject) {
			ref := s.image("v1", program{})
			through := func(what, name, in string) {
				var out, errs bytes.Buffer
				code, err := s.engine.RunThrough(s.ctx, s.named(name), streamsOf(in, &out, &errs))
				s.note(what, code, strconv.Quote(out.String()), strconv.Quote(errs.String()), err)
			}
			cmd := func(passing bool, argv ...string) func(*state.Spec) {
				return func(spec *state.Spec) { spec.Cmd, spec.Passing = argv, passing }
			}
			piped := func(spec *state.Spec) { spec.Options = map[string][]string{"interactive": {"true"}} }
			s.create("a", ref, cmd(true, "app", "cat"), piped)
			through("input comes back", "a", "from here")
			s.wait(func() bool {
				_, err := s.engine.Inspect(s.ctx, s.named("a"), state.View{})
				return kind(err) == "error: "+state.ErrNotFound.Error()
			}, func() string { return "it is not removed" })
			s.create("b", ref, cmd(false, "app", "fail", "5"))
			through("an exit code", "b", "")
			c, err := s.engine.Inspect(s.ctx, s.named("b"), state.View{})
			s.must(err)
			s.note("then", s.ended(c))
			through("one that is not there", "none", "")
		},
		"a log line by line": func(s *subject) {
			began := time.Now()
			s.start("a", s.image("v1", program{lines: 3}))
			s.listening(s.address("a", "bridge") + ":3000")
			_, err := s.bootLines("a", 3, time.Time{})
			s.must(err)
			read := func(what, name string, q state.LogQuery) {
				var lines []string
				last, inOrder := time.Time{}, true
				err := s.engine.ReadLog(s.ctx, s.named(name), q, func(l state.LogLine) {
					inOrder = inOrder && !l.At.Before(last) && !l.At.IsZero()
					if last = l.At; strings.HasPrefix(l.Text, "boot line") {
						lines = append(lines, l.Text)
					}
				})
				s.note(what, lines, inOrder, err)
			}
			read("all of it", "a", state.LogQuery{})
			read("since before it began", "a", state.LogQuery{Since: began.Add(-time.Hour)})
			read("since what is to come", "a", state.LogQuery{Since: began.Add(time.Hour)})
			ctx, cancel := context.WithTimeout(s.ctx, 300*time.Millisecond)
			s.note("followed for a moment", s.engine.ReadLog(ctx, s.named("a"), state.LogQuery{Follow: true}, func(state.LogLine) {}))
			cancel()
			time.AfterFunc(300*time.Millisecond, func() { _ = s.engine.Stop(context.WithoutCancel(s.ctx), s.named("a"), 5*time.Second) })
			read("followed to its end", "a", state.LogQuery{Follow: true})
			read("of one that is not there", "none", state.LogQuery{})
			s.start("b", s.image("v1", program{lines: 3}), func(spec *state.Spec) { spec.LogDriver = "none" })
			read("that nobody keeps", "b", state.LogQuery{})
		},
	})
}

func streamsOf(in string, out, errs *bytes.Buffer) state.Streams {
	s := state.Streams{Out: out, Err: errs}
	if in != "" {
		s.In = strings.NewReader(in)
	}
	return s
}

// asApp is the lab's program as far as these cases run it.
func asApp(ctx context.Context, argv []string, env map[string]string, s state.Streams) int {
	switch argv[1] {
	case "cat":
		return sim.Run(ctx, "cat", nil, env, s)
	case "fail":
		fmt.Fprintln(s.Out, "it fails as it was asked to")
		return sim.Run(ctx, "exit", argv[2:], env, s)
	case "env":
		for _, name := range argv[2:] {
			fmt.Fprintf(s.Out, "%s=%s\n", name, env[name])
		}
		return 0
	}
	return 127
}
