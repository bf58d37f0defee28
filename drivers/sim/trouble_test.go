package sim_test

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

func TestABlackHoleSwallowsWithoutAWord(t *testing.T) {
	for name, c := range map[string]struct {
		requests, replies bool
		carried           bool
	}{"requests": {true, false, false}, "replies": {false, true, true}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := setup(t)
				b.BlackHole(web, c.requests, c.replies)
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				if err := b.Files.Mkdir(ctx, "d"); !errors.Is(err, context.DeadlineExceeded) {
					t.Fatal(err)
				}
				done := make(chan error)
				go func() { done <- b.Files.Write(t.Context(), "f", nil, 0o600) }()
				time.Sleep(time.Hour)
				if _, carried := b.File(web, "f"); carried != c.carried {
					t.Fatalf("it was carried out: %t", carried)
				}
				b.Restore(web)
				must(t, <-done)
				if err := b.Files.Mkdir(t.Context(), "d"); errors.Is(err, fs.ErrExist) != c.carried {
					t.Fatal(err)
				}
			})
		})
	}
}

func TestAFrozenEngineHangsItsCallsAndNothingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, sim.Image{Ref: repo + ":v1", Behaviour: sim.Exits(1, time.Minute)})
		b.run(t, "one", "v1")
		b.FreezeEngine(web)
		done := make(chan error)
		go func() { _, err := b.Engine.Info(t.Context()); done <- err }()
		_, err := b.Files.Home(t.Context())
		must(t, err)
		time.Sleep(time.Hour)
		select {
		case err := <-done:
			t.Fatalf("it answered: %v", err)
		default:
		}
		if c := b.Containers(web, state.View{})[0]; c.RestartCount != 0 || c.Status == state.StatusRunning {
			t.Fatalf("a frozen engine has restarted it: %+v", c)
		}
		b.ThawEngine(web)
		must(t, <-done)
		if c := b.Containers(web, state.View{})[0]; c.RestartCount != 1 {
			t.Fatalf("%+v", c)
		}
	})
}

func TestARestartOfSSHLosesConnectionsAndNothingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, sim.Image{Ref: repo + ":v1", PullTakes: time.Minute})
		done := make(chan error)
		go func() { done <- b.Engine.Pull(t.Context(), repo+":v1", "", release.Auth{}) }()
		time.Sleep(time.Second)
		began := time.Now()
		b.RestartSSH(web)
		if err := <-done; !errors.Is(err, state.ErrUnreachable) || time.Since(began) > time.Second {
			t.Fatalf("%v after %s", err, time.Since(began))
		}
		if b.ImageID(web, repo+":v1") != "" {
			t.Fatal("a pull went on without its caller")
		}
		c := connect(t, b.World)
		must(t, c.Engine.Pull(t.Context(), repo+":v1", "", release.Auth{}))
		if !b.Containers(web, state.View{})[0].Running() {
			t.Fatal("a container noticed")
		}
	})
}

func TestARebootedHostComesBackWithItsContainersAndRoutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, sim.Image{Ref: repo + ":v1"})
		must(t, b.route(t, b.run(t, "one", "v1")))
		b.WriteFile(web, "kept", []byte("x"))
		b.Reboot(web, time.Minute)
		if _, err := b.Connector().Connect(t.Context(), release.Host{Name: web}); !errors.Is(err, state.ErrUnreachable) {
			t.Fatal(err)
		}
		if got := b.Request(web, "", "/"); got != 0 {
			t.Fatalf("a host without power answered %d", got)
		}
		time.Sleep(2 * time.Minute)
		if got := b.Request(web, "", "/"); got != 200 {
			t.Fatalf("got %d", got)
		}
		data, err := connect(t, b.World).Files.Read(t.Context(), "kept")
		must(t, err)
		if string(data) != "x" {
			t.Fatalf("%q", data)
		}
	})
}

func TestASlowNetworkTakesItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		b.Slow(web, time.Second)
		began := time.Now()
		_, err := b.Files.Home(t.Context())
		must(t, err)
		if took := time.Since(began); took < time.Second || took > 1100*time.Millisecond {
			t.Fatal(took)
		}
	})
}

func TestAWriteThatIsCutOffLeavesItsTemporaryFileAndTheOldOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		must(t, b.Files.Write(t.Context(), "dir/f", []byte("old"), 0o600))
		b.TearNth(b.Calls() + 1)
		if err := b.Files.Write(t.Context(), "dir/f", []byte("new"), 0o600); !errors.Is(err, state.ErrUnreachable) {
			t.Fatal(err)
		}
		names, err := b.Files.List(t.Context(), "dir")
		must(t, err)
		if data, _ := b.File(web, "dir/f"); string(data) != "old" || len(names) != 2 || !strings.HasPrefix(names[0], ".f.") {
			t.Fatalf("%q %v", data, names)
		}
	})
}

func TestAFullDiskTakesNothingMoreAndIsFreedByWhatIsRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := sim.Layer{Digest: "sha256:base", Size: 100 << 20}
		b := setup(t, sim.Image{Ref: repo + ":v1", Layers: []sim.Layer{shared, {Digest: "sha256:1", Size: 1 << 20}}},
			sim.Image{Ref: repo + ":v2", Layers: []sim.Layer{shared, {Digest: "sha256:2", Size: 1 << 20}}})
		ctx := t.Context()
		must(t, b.Engine.Pull(ctx, repo+":v1", "", release.Auth{}))
		b.SetFree(web, 2<<20)
		must(t, b.Engine.Pull(ctx, repo+":v2", "", release.Auth{})) // its base is there
		b.SetFree(web, 10)
		for what, err := range map[string]error{
			"write":  b.Files.Write(ctx, "f", make([]byte, 11), 0o600),
			"append": b.Files.Append(ctx, "g", make([]byte, 11)),
			"create": func() error {
				_, err := b.Engine.Create(ctx, "one", state.Spec{Image: repo + ":v1"}, nil, nil)
				return err
			}(),
		} {
			if !errors.Is(err, syscall.ENOSPC) {
				t.Errorf("%s: %v", what, err)
			}
		}
		must(t, b.Files.Write(ctx, "f", make([]byte, 10), 0o600))
		must(t, b.Files.Remove(ctx, "f"))
		must(t, b.Engine.RemoveImage(ctx, repo+":v1"))
		must(t, b.Engine.RemoveImage(ctx, repo+":v2"))
		if got := b.Free(web); got != 10+102<<20 {
			t.Fatalf("%d bytes are free", got)
		}
	})
}

func TestRequestsAreCountedByTheirOutcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, sim.Image{Ref: repo + ":v1", Behaviour: sim.Behaviour{Serves: time.Second, SickIn: time.Minute}})
		must(t, b.route(t, b.run(t, "one", "v1")))
		b.Request(web, "", "/")
		go b.Request(web, "", "/")
		time.Sleep(time.Millisecond)
		if got := b.InFlight(web); got != 1 {
			t.Fatalf("%d in flight", got)
		}
		time.Sleep(time.Minute)
		b.Request(web, "", "/")
		go b.Request(web, "", "/")
		time.Sleep(time.Millisecond)
		b.RestartEngine(web, time.Second)
		time.Sleep(time.Minute)
		if got, want := b.Requests(web), map[int]int{200: 2, 500: 1, 0: 1}; !maps.Equal(got, want) {
			t.Fatalf("%v, want %v", got, want)
		}
	})
}

func TestADeployIsLostWithItsProxy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, sim.Image{Ref: repo + ":v1", Behaviour: sim.Healthy(10 * time.Second)})
		id := b.run(t, "one", "v1")
		time.AfterFunc(time.Second, func() { b.RestartEngine(web, 100*time.Millisecond) })
		if err := b.route(t, id); !errors.Is(err, state.ErrUnreachable) {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if routes := b.Routes(web); len(routes) != 0 {
			t.Fatalf("a proxy that was started anew has switched: %v", routes)
		}
	})
}

func TestWhereTheUserHasNoRightsNothingIsReadOrWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		ctx, f := t.Context(), b.Files
		must(t, f.Write(ctx, "d/f", nil, 0o600))
		b.Deny(web, "d")
		_, read := f.Read(ctx, "d/f")
		_, list := f.List(ctx, "d")
		_, modified := f.Modified(ctx, "d/f")
		for what, err := range map[string]error{
			"read": read, "list": list, "modified": modified, "write": f.Write(ctx, "d/f", nil, 0o600), "mkdir": f.Mkdir(ctx, "d/e"),
			"append": f.Append(ctx, "d/f", nil), "remove": f.Remove(ctx, "d/f"), "rename": f.Rename(ctx, "d/f", "f"), "touch": f.Touch(ctx, "d/f"),
		} {
			if !errors.Is(err, fs.ErrPermission) {
				t.Errorf("%s: %v", what, err)
			}
		}
		b.Allow(web)
		must(t, f.Remove(ctx, "d"))
	})
}
