package conformance_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kamald/kamald/state"
)

func init() {
	cases(map[string]func(*subject){
		"events of a life": func(s *subject) {
			ref := s.image("v1", program{})
			f := s.follow(s.clock())
			labelled := func(spec *state.Spec) {
				spec.Labels = map[string]string{"service": "shop", "role": "web", "destination": "production"}
			}
			s.start("a", ref, labelled)
			s.listening(s.address("a", "bridge") + ":3000")
			s.note("rename", s.engine.Rename(s.ctx, s.named("a"), s.named("b")))
			s.note("update", s.engine.Update(s.ctx, s.named("b"), map[string][]string{"memory": {"134217728"}}))
			s.note("stop", s.engine.Stop(s.ctx, s.named("b"), 5*time.Second))
			s.note("start", s.engine.Start(s.ctx, s.named("b")))
			s.listening(s.address("b", "bridge") + ":3000")
			s.note("remove", s.engine.Remove(s.ctx, s.named("b")))
			f.until(state.ActionDestroy, "b")
			f.tell()
			f.stop()
		},
		"events of a program that ends": func(s *subject) {
			f := s.follow(s.clock())
			s.start("a", s.image("v1", program{crash: true, crashAfter: 300 * time.Millisecond, code: 7}))
			f.until(state.ActionDie, "a")
			f.until(state.ActionNetworkDisconnect, "a") // it leaves its networks after it ended, on a busy host a while after
			f.tell()
			f.stop()
		},
		"events of one that does not start": func(s *subject) {
			port := func(spec *state.Spec) { spec.Options = map[string][]string{"publish": {"127.0.0.1:18997:3000"}} }
			ref := s.image("v1", program{})
			s.start("a", ref, port)
			f := s.follow(s.clock())
			s.create("b", ref, port)
			s.note("start", s.engine.Start(s.ctx, s.named("b")))
			s.note("stop one that does not run", s.engine.Stop(s.ctx, s.named("b"), time.Second))
			s.note("remove", s.engine.Remove(s.ctx, s.named("b")))
			f.until(state.ActionDestroy, "b")
			f.tell()
			f.stop()
		},
		"events of the engine's health check": func(s *subject) {
			f := s.follow(s.clock())
			s.start("a", s.image("v1", program{health: true, ready: 1500 * time.Millisecond}))
			f.until(state.ActionHealth, "a")
			s.start("b", s.image("v2", program{health: true, sick: true}))
			f.until(state.ActionHealth, "b")
			f.tell()
			f.stop()
		},
		"events of tags": func(s *subject) {
			s.push("conf/"+s.slug(), "v1", program{})
			f := s.follow(s.clock())
			ref := s.image("v1", program{})
			seen, err := s.engine.Image(s.ctx, ref)
			s.must(err)
			f.word(seen.ID, "IMAGE")
			s.note("tag", s.engine.Tag(s.ctx, ref, s.repo()+":latest"))
			s.note("tag again", s.engine.Tag(s.ctx, ref, s.repo()+":latest"))
			s.note("untag", s.engine.RemoveImage(s.ctx, s.repo()+":latest"))
			s.note("remove", s.engine.RemoveImage(s.ctx, ref))
			s.start("last", s.image("v2", program{}))
			f.until(state.ActionStart, "last")
			f.tell()
			f.stop()
		},
		"events of networks": func(s *subject) {
			s.must(s.engine.CreateNetwork(s.ctx, s.named("net")))
			s.start("a", s.image("v1", program{}))
			s.create("b", s.repo()+":v1")
			f := s.follow(s.clock())
			s.note("connect", s.engine.ConnectNetwork(s.ctx, s.named("net"), s.named("a"), nil))
			s.disconnect(s.named("a"), "bridge")
			s.note("connect one that does not run", s.engine.ConnectNetwork(s.ctx, s.named("net"), s.named("b"), nil))
			s.disconnect(s.named("b"), "bridge")
			s.must(s.engine.Start(s.ctx, s.named("b")))
			f.until(state.ActionStart, "b")
			s.note("stop", s.engine.Stop(s.ctx, s.named("b"), 5*time.Second))
			f.until(state.ActionStop, "b")
			f.tell()
			f.stop()
		},
		"events are told again from a time on": func(s *subject) {
			ref := s.image("v1", program{})
			began := s.clock()
			s.start("a", ref)
			s.listening(s.address("a", "bridge") + ":3000")
			time.Sleep(1100 * time.Millisecond)
			later := s.clock()
			s.must(s.engine.Stop(s.ctx, s.named("a"), 5*time.Second))
			for _, from := range []struct {
				name string
				at   time.Time
			}{{"from the beginning", began}, {"from later", later}} {
				f := s.follow(from.at)
				f.until(state.ActionStop, "a")
				s.note(from.name)
				f.tell()
				f.stop()
			}
			f := s.follow(time.Time{})
			time.Sleep(time.Second) // until it follows: what is from now on cannot be asked for
			s.must(s.engine.Remove(s.ctx, s.named("a")))
			f.until(state.ActionDestroy, "a")
			s.note("from now on")
			f.tell()
			f.stop()
		},
	})
}

// clock is the host's own time.
func (s *subject) clock() time.Time {
	info, err := s.engine.Info(s.ctx)
	s.must(err)
	return info.Clock
}

// following is a stream of events under way, and those of this case that it told.
type following struct {
	s    *subject
	end  context.CancelCauseFunc
	over chan error

	mu    sync.Mutex
	heard []state.EngineEvent
	words map[string]string // what differs from run to run
}

// follow follows the engine's events from a time on.
func (s *subject) follow(since time.Time) *following {
	ctx, end := context.WithCancelCause(s.ctx)
	f := &following{s: s, end: end, over: make(chan error, 1), words: map[string]string{}}
	go func() {
		f.over <- s.engine.Events(ctx, since, func(e state.EngineEvent) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.heard = append(f.heard, e)
		})
	}()
	return f
}

// word has an ID told as a word.
func (f *following) word(id, word string) { f.words[id] = word }

// until waits for an event of a container of the case.
func (f *following) until(action, name string) {
	last := ""
	f.s.wait(func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		last = fmt.Sprint(f.heard)
		return slices.ContainsFunc(f.heard, func(e state.EngineEvent) bool { return e.Action == action && e.Name == f.s.named(name) })
	}, func() string { return last })
	time.Sleep(500 * time.Millisecond) // what else belongs to it
}

// tell notes what was told of each container, image and network of the case, in its order; not how they follow each other.
func (f *following) tell() {
	f.mu.Lock()
	defer f.mu.Unlock()
	told := map[string][]string{}
	for _, e := range f.heard {
		about, ok := f.about(e)
		if !ok {
			continue
		}
		word := e.Action
		switch {
		case e.Action == state.ActionDie:
			word = fmt.Sprintf("die(%d)", e.ExitCode)
		case e.Action == state.ActionHealth:
			word += "(" + e.Health + ")"
		case e.Action == state.ActionRename:
			word += "(from " + strings.TrimPrefix(e.Was, f.s.slug()+"-") + ")"
		}
		if e.Kind == state.EngineContainer && e.Service != "conformance" {
			word += fmt.Sprintf("[%s %s %s]", e.Service, e.Role, e.Destination)
		}
		told[about] = append(told[about], word)
	}
	for _, about := range slices.Sorted(maps.Keys(told)) {
		f.s.note("  "+about, strings.Join(told[about], " "))
	}
}

// about says what an event is about; false when that is none of the case's.
func (f *following) about(e state.EngineEvent) (string, bool) {
	short := func(text string) string {
		return strings.ReplaceAll(strings.ReplaceAll(text, f.s.repo(), "REPO"), f.s.slug(), "OWN")
	}
	if e.Kind == state.EngineImage {
		if word, ok := f.words[e.Ref]; ok {
			return "image " + word, true
		}
		return "image " + short(e.Ref), strings.HasPrefix(e.Ref, f.s.repo()+":")
	}
	about := e.Kind + " " + short(e.Name)
	if e.Kind == state.EngineNetwork {
		about = "network " + short(e.Ref) + " of " + short(e.Name)
	}
	return about, strings.HasPrefix(e.Name, f.s.slug()+"-")
}

// stop ends the stream, and notes why it did.
func (f *following) stop() {
	enough := fmt.Errorf("that is enough")
	f.end(enough)
	err := <-f.over
	f.s.note("ended by its context", strings.Contains(fmt.Sprint(err), enough.Error()))
}
