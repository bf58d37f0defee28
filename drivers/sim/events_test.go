package sim_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/state"
)

// stream is a follower of a host's events.
type stream struct {
	told []string // action and name
	at   []time.Duration
	err  chan error
	end  context.CancelFunc
}

// follow notes what is told, and when, from now on.
func (b bench) follow(t *testing.T, since time.Time) *stream {
	ctx, end := context.WithCancel(t.Context())
	s, began := &stream{err: make(chan error, 1), end: end}, time.Now()
	go func() {
		s.err <- b.Engine.Events(ctx, since, func(e state.EngineEvent) {
			if e.Kind == state.EngineContainer {
				word := e.Action + " " + e.Name
				if e.Action == state.ActionHealth {
					word += " " + e.Health
				}
				s.told, s.at = append(s.told, word), append(s.at, time.Since(began))
			}
		})
	}()
	time.Sleep(10 * time.Millisecond)
	synctest.Wait()
	return s
}

func app(b bench, name, restart string, program sim.Behaviour, health bool) {
	b.Place(web, sim.Image{Ref: repo + ":" + name, Behaviour: program, Healthcheck: health})
	b.RunContainer(web, name, state.Spec{Image: repo + ":" + name, Network: net, Restart: restart}, map[string]string{state.LabelService: "shop"}, nil)
}

// TestWhatHappensByItselfIsToldWhenItDoes: nobody has to look at the host for it.
func TestWhatHappensByItselfIsToldWhenItDoes(t *testing.T) {
	for name, c := range map[string]struct {
		restart string
		program sim.Behaviour
		health  bool
		want    []string // action, and after how many seconds
	}{
		"an end":             {"no", sim.Exits(1, time.Hour), false, []string{"die 3600"}},
		"an end for memory":  {"no", sim.Behaviour{Ends: true, EndsIn: time.Minute, OOM: true, ExitCode: 137}, false, []string{"oom 60", "die 60"}},
		"a restart":          {"on-failure:1", sim.Exits(1, time.Minute), false, []string{"die 60", "start 60.1", "die 120.1"}},
		"health":             {"no", sim.Behaviour{Ready: 5 * time.Second, SickIn: time.Minute}, true, []string{"health healthy 5", "health unhealthy 60"}},
		"one never healthy":  {"no", sim.NeverHealthy(503), true, []string{"health unhealthy 0"}},
		"sick and then dead": {"no", sim.Behaviour{SickIn: 5 * time.Second, Ends: true, EndsIn: 10 * time.Second}, true, []string{"health healthy 0", "health unhealthy 5", "die 10"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := setup(t)
				s := b.follow(t, time.Time{})
				began := time.Now()
				app(b, "a", c.restart, c.program, c.health)
				time.Sleep(2 * time.Hour)
				s.end()
				<-s.err
				var got []string
				for i, word := range s.told[2:] { // after its creation and its start
					word = strings.Replace(strings.Replace(word, "health_status", "health", 1), " a", "", 1)
					got = append(got, fmt.Sprintf("%s %v", word, (s.at[2+i]-10*time.Millisecond).Round(20*time.Millisecond).Seconds()))
				}
				if !slices.Equal(got, c.want) {
					t.Errorf("told %v since %s, want %v", got, began, c.want)
				}
			})
		})
	}
}

func TestAStreamEndsWithWhatItGoesOver(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(bench)
		want error
	}{
		"a cut":                 {func(b bench) { b.Cut(web) }, state.ErrUnreachable},
		"a restart of sshd":     {func(b bench) { b.RestartSSH(web) }, state.ErrUnreachable},
		"a restart of Docker":   {func(b bench) { b.RestartEngine(web, time.Second) }, state.ErrUnreachable},
		"a reboot":              {func(b bench) { b.Reboot(web, time.Minute) }, state.ErrUnreachable},
		"the end of a program":  {func(b bench) { b.Kill() }, context.Canceled},
		"the connection's end":  {func(b bench) { _ = b.Close() }, nil},
		"a cut behind a hole":   {func(b bench) { b.BlackHole(web, true, true); b.Cut(web) }, state.ErrUnreachable},
		"a cut of a frozen one": {func(b bench) { b.FreezeEngine(web); b.Cut(web) }, state.ErrUnreachable},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := setup(t)
				s := b.follow(t, time.Time{})
				c.end(b)
				time.Sleep(time.Second)
				select {
				case err := <-s.err:
					if err == nil || c.want != nil && !errors.Is(err, c.want) {
						t.Errorf("it ended with %v", err)
					}
				default:
					t.Error("it goes on")
					s.end()
				}
			})
		})
	}
}

// TestWhatAHoleSwallowsComesWhenItIsGone, as over a connection that survives it.
func TestWhatAHoleSwallowsComesWhenItIsGone(t *testing.T) {
	for name, silence := range map[string]func(bench){
		"a hole": func(b bench) { b.BlackHole(web, false, true) }, "a frozen engine": func(b bench) { b.FreezeEngine(web) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := setup(t)
				s := b.follow(t, time.Time{})
				silence(b)
				app(b, "a", "no", sim.Healthy(0), false)
				time.Sleep(time.Hour)
				synctest.Wait()
				if len(s.told) > 0 {
					t.Errorf("told: %v", s.told)
				}
				b.Restore(web)
				b.ThawEngine(web)
				time.Sleep(time.Second)
				synctest.Wait()
				if len(s.told) != 2 {
					t.Errorf("told: %v", s.told)
				}
				s.end()
				<-s.err
			})
		})
	}
}

// TestAnEngineRemembersSoManyEventsAndNoneOverARestart.
func TestAnEngineRemembersSoManyEventsAndNoneOverARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		began := time.Now()
		app(b, "a", "no", sim.Healthy(0), false)
		for range 300 {
			b.StopContainer(web, "a")
			b.StartContainer(web, "a")
			time.Sleep(time.Second)
		}
		s := b.follow(t, began)
		if n := len(s.told); n < 100 || n > 256 || s.told[n-1] != "start a" {
			t.Errorf("told: %d, the last %v", n, s.told[max(0, n-3):])
		}
		s.end()
		<-s.err
		b.RestartEngine(web, time.Second)
		time.Sleep(time.Minute)
		s = b.follow(t, began)
		if len(s.told) != 1 || s.told[0] != "start "+proxy { // it comes back by its policy
			t.Errorf("told of before the restart: %v", s.told)
		}
		s.end()
		<-s.err
	})
}

// TestTimesOfEventsAreTheHosts.
func TestTimesOfEventsAreTheHosts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		b.SetSkew(web, 24*time.Hour)
		info, err := b.Engine.Info(t.Context())
		must(t, err)
		app(b, "a", "no", sim.Healthy(0), false)
		s := b.follow(t, info.Clock)
		if len(s.told) != 2 {
			t.Errorf("from the host's time on: %v", s.told)
		}
		s.end()
		<-s.err
		s = b.follow(t, info.Clock.Add(time.Minute))
		if len(s.told) != 0 {
			t.Errorf("from a later time on: %v", s.told)
		}
		s.end()
		<-s.err
	})
}
