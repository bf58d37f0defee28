package reconcile_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// beside runs a command on an accessory's hosts.
func (w *world) beside(desired release.Release, o reconcile.ExecOptions) (done []reconcile.Executed) {
	w.t.Helper()
	places, err := reconcile.AccessoryPlaces(desired, "redis", nil)
	if err != nil {
		w.t.Fatal(err)
	}
	w.using(func(c *reconcile.Controller) { done = c.Exec(w.t.Context(), desired, places, o) })
	return done
}

func TestACommandRunsInAContainerLikeTheAccessorys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorldWithRedis(t)
		desired := w.withRedis("v1", "redis:7")
		desired.Accessories[0].Options = map[string][]string{"publish": {"127.0.0.1:6379:3000"}, "memory": {"268435456"}}
		desired.Accessories[0].OnChange = release.OnChangePlan
		w.mustApply(desired)
		var like state.Spec
		w.Program("look", func(_ context.Context, argv []string, env map[string]string, s state.Streams) int {
			w.mustBeEmpty(desired) // it is nobody's while it runs
			for _, c := range w.Containers("h3", state.View{}) {
				if strings.HasPrefix(c.Name, "shop-redis-exec-") {
					like = c.Live
				}
			}
			fmt.Fprintln(s.Out, strings.Join(argv[1:], "|"), env["TOKEN"], env["TZ"], env["KAMAL_HOST"], env["EXTRA"])
			return 3
		})
		// The file says something else by now, which waits: the command runs with what the accessory runs with.
		desired.Accessories[0].Image, desired.Accessories[0].Env.Clear = ours+"redis:8", map[string]string{"TZ": "CET"}
		var o outputs
		done := w.beside(desired, reconcile.ExecOptions{Argv: []string{"look", "a b", "$HOME"}, Streams: o.streams(""),
			Env: map[string]release.Secret{"EXTRA": release.NewSecret("extra-secret")}})
		if len(done) != 1 || done[0].Err != nil || done[0].Code != 3 || !strings.HasPrefix(done[0].Container, "shop-redis-exec-") {
			t.Fatalf("%+v", done)
		}
		if got, want := o.of("h3/accessory/redis"), "a b|$HOME "+canary+" UTC h3 extra-secret\n"; got != want {
			t.Errorf("%q, want %q", got, want)
		}
		if like.Image != ours+"redis:7" || like.Network != "kamal" || fmt.Sprint(like.Options["memory"]) != "[268435456]" || len(like.Options["publish"]) > 0 ||
			!slices.Contains(like.Volumes, "redis-sockets:/run/redis") || !slices.ContainsFunc(like.Volumes, func(v string) bool { return strings.HasSuffix(v, "shop-redis/etc/redis.conf:/etc/redis.conf") }) {
			t.Errorf("it was %+v", like)
		}
		for _, e := range w.store.events {
			if strings.Contains(fmt.Sprintf("%+v", e), "extra-secret") || strings.Contains(fmt.Sprintf("%+v", e), "$HOME") {
				t.Errorf("it is noted: %+v", e)
			}
		}
		if log, _ := w.File("h3", ".kamal/shop-audit.log"); !strings.Contains(string(log), "[accessory/redis] Executed look in shop-redis-exec-") {
			t.Errorf("the host's audit file: %s", log)
		}
		if left := w.extras(); !slices.Equal(left, []string{"h3/shop-redis"}) {
			t.Errorf("left are %v", left)
		}
	})
}

func TestACommandRunsInTheAccessoryItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorldWithRedis(t)
		desired := w.withRedis("v1", "redis:7")
		w.mustApply(desired)
		var o outputs
		done := w.beside(desired, reconcile.ExecOptions{Argv: []string{"cat"}, Reuse: true, Streams: o.streams("from here")})
		if done[0].Err != nil || done[0].Container != "shop-redis" || o.of("h3/accessory/redis") != "from here" {
			t.Errorf("%+v %q", done, o.of("h3/accessory/redis"))
		}
		w.StopContainer("h3", "shop-redis")
		if done = w.beside(desired, reconcile.ExecOptions{Argv: []string{"true"}, Reuse: true, Streams: o.streams("")}); !strings.Contains(done[0].Error, "does not run (exited)") {
			t.Errorf("%+v", done)
		}
		if done = w.beside(desired, reconcile.ExecOptions{Argv: []string{"true"}, Streams: o.streams("")}); done[0].Err != nil {
			t.Errorf("a new one beside one that has ended: %+v", done)
		}
		if _, err := reconcile.AccessoryPlaces(desired, "redis", []string{"h1"}); err == nil {
			t.Error("a host that it is not on is taken")
		}
	})
}

// What the engine would make directories in place of, and what is not there or another's, is said before anything is made.
func TestNoCommandRunsBesideAnAccessoryThatIsNotThere(t *testing.T) {
	for _, one := range []struct {
		name, want string
		trouble    func(w *world)
	}{
		{"no container", "`kamald accessory boot redis`", func(w *world) { w.RemoveContainer("h3", "shop-redis") }},
		{"no file", "shop-redis/etc/redis.conf is not there", func(w *world) { w.RemoveFile("h3", "shop-redis/etc/redis.conf") }},
	} {
		t.Run(one.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorldWithRedis(t)
				desired := w.withRedis("v1", "redis:7")
				w.mustApply(desired)
				one.trouble(w)
				before := len(w.extras())
				var o outputs
				if done := w.beside(desired, reconcile.ExecOptions{Argv: []string{"true"}, Streams: o.streams("")}); !strings.Contains(done[0].Error, one.want) {
					t.Errorf("%+v", done)
				}
				if left := w.extras(); len(left) != before {
					t.Errorf("left are %v", left)
				}
			})
		})
	}
}

func TestACommandThatNobodyWaitsForBesideAnAccessoryGoesWithAPrune(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorldWithRedis(t)
		desired := w.withRedis("v1", "redis:7")
		w.mustApply(desired)
		var o outputs
		done := w.beside(desired, reconcile.ExecOptions{Argv: []string{"work"}, Detach: true, Streams: o.streams("")})
		w.mustBeEmpty(desired)
		if extras := w.extras(); done[0].Err != nil || !slices.Contains(extras, "h3/"+done[0].Container) || w.redis() != "redis:7" {
			t.Fatalf("%+v %v", done, extras)
		}
		w.StopContainer("h3", done[0].Container)
		w.using(func(c *reconcile.Controller) {
			if _, err := c.Prune(t.Context(), desired, reconcile.Options{}); err != nil {
				t.Error(err)
			}
		})
		if left := w.extras(); !slices.Equal(left, []string{"h3/shop-redis"}) {
			t.Errorf("left are %v", left)
		}
	})
}

func TestAnAccessorysLogsGoOnThroughItsReboot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorldWithRedis(t)
		w.cache("redis:8", sim.Behaviour{Ready: 300 * time.Millisecond, Logs: []string{"eight boots"}})
		desired := w.withRedis("v1", "redis:7")
		desired.Accessories[0].Hosts = []string{"h2", "h3"}
		w.mustApply(desired)
		w.Say("h3", "shop-redis", "one")
		time.Sleep(time.Second)
		w.Say("h2", "shop-redis", "two")
		w.Say("h2", "shop-web-v1", "not of it")
		time.Sleep(time.Second)
		read := func(o reconcile.LogOptions) *logged {
			o.Accessory = "redis"
			return w.logsOf(desired, o)
		}
		if l := read(reconcile.LogOptions{}).wait(); l.err != nil || !slices.Equal(l.text(), []string{"h3 accessory/redis: one", "h2 accessory/redis: two"}) {
			t.Fatalf("%v %v\n%s", l.err, l.text(), l.said())
		}
		if l := read(reconcile.LogOptions{Hosts: []string{"h2"}, Match: func(s string) bool { return s == "two" }}).wait(); !slices.Equal(l.text(), []string{"h2 accessory/redis: two"}) {
			t.Errorf("of one host: %v", l.text())
		}
		l := read(reconcile.LogOptions{Follow: true, Lines: 1})
		time.Sleep(5 * time.Second)
		eight := desired
		eight.Accessories = slices.Clone(desired.Accessories) // the other is read meanwhile
		eight.Accessories[0].Image = ours + "redis:8"
		w.using(func(c *reconcile.Controller) {
			if _, err := c.BootAccessories(t.Context(), eight, []string{"redis"}, []string{"h3"}, true); err != nil {
				t.Fatal(err)
			}
		})
		w.Say("h3", "shop-redis", "three")
		time.Sleep(time.Minute)
		l.end()
		l.wait()
		if got, want := l.text(), []string{"h3 accessory/redis: one", "h2 accessory/redis: two", "h3 accessory/redis: eight boots", "h3 accessory/redis: three"}; !slices.Equal(got, want) {
			t.Errorf("%v, want %v\n%s", got, want, l.said())
		}
		w.RemoveContainer("h2", "shop-redis")
		w.StopContainer("h3", "shop-redis")
		if l := read(reconcile.LogOptions{Lines: 1}).wait(); !strings.Contains(l.said(), "`kamald accessory boot redis` makes it") || !strings.Contains(l.said(), "no container of it runs. This is the log of shop-redis") {
			t.Errorf("of what is not there it says\n%s", l.said())
		}
	})
}
