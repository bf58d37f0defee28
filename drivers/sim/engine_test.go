package sim_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

func TestNamesAreUniqueAndACreatedContainerRunsWhenItIsStarted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, sim.Image{Ref: repo + ":v1"})
		must(t, b.Engine.Pull(t.Context(), repo+":v1", "", release.Auth{}))
		spec := state.Spec{Image: repo + ":v1", Network: net, Labels: map[string]string{"service": "shop", "destination": ""}}
		id, err := b.Engine.Create(t.Context(), "one", spec, nil, nil)
		must(t, err)
		if _, err := b.Engine.Create(t.Context(), "one", spec, nil, nil); !errors.Is(err, state.ErrConflict) {
			t.Fatal(err)
		}
		list, err := b.Engine.Containers(t.Context(), state.Filter{Labels: map[string]string{"service": "shop", "destination": ""}})
		must(t, err)
		if len(list) != 1 || list[0].ID != id || list[0].Status != state.StatusCreated || len(id) != 64 {
			t.Fatalf("%+v", list)
		}
		must(t, b.Engine.Rename(t.Context(), "one", state.ReplacedName("one", id)))
		_, err = b.Engine.Create(t.Context(), "one", spec, nil, nil)
		must(t, err)
		must(t, b.Engine.Start(t.Context(), id))
		must(t, b.Engine.Start(t.Context(), state.ShortID(id)))
		c, err := b.Engine.Inspect(t.Context(), id, state.View{})
		must(t, err)
		if !c.Running() || c.IPs[net] == "" || !c.Replaced() {
			t.Fatalf("%+v", c)
		}
		must(t, b.Engine.Remove(t.Context(), id))
		must(t, b.Engine.Remove(t.Context(), id))
		if _, err := b.Engine.Inspect(t.Context(), id, state.View{}); !errors.Is(err, state.ErrNotFound) {
			t.Fatal(err)
		}
	})
}

func TestAnInspectionShowsNoSecretsValue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, sim.Image{Ref: repo + ":v1", Env: map[string]string{"PATH": "/bin"}})
		must(t, b.Engine.Pull(t.Context(), repo+":v1", "", release.Auth{}))
		key := []byte("key")
		spec := state.Spec{Image: repo + ":v1", Env: map[string]string{"A": "1"}, Secrets: map[string]string{"S": state.SecretDigest(key, "canary")}}
		if _, err := b.Engine.Create(t.Context(), "one", spec, nil, nil); err == nil || !strings.Contains(err.Error(), "S") {
			t.Fatalf("a secret without a value: %v", err)
		}
		labels := map[string]string{state.LabelSpec: spec.JSON(), state.LabelRelease: "7"}
		_, err := b.Engine.Create(t.Context(), "one", spec, labels, map[string]release.Secret{"S": release.NewSecret("canary")})
		must(t, err)
		c, err := b.Engine.Inspect(t.Context(), "one", state.View{Key: key})
		must(t, err)
		data, _ := json.Marshal(c)
		if strings.Contains(string(data), "canary") || !reflect.DeepEqual(*c.Asked, spec) || c.Release != 7 {
			t.Fatalf("%s", data)
		}
		if c.Live.Secrets["S"] != spec.Secrets["S"] || c.Live.Env["A"] != "1" || c.Live.Secrets["PATH"] == "" {
			t.Fatalf("%+v", c.Live)
		}
	})
}

func TestAContainerThatEndsIsRestartedWithGrowingPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, sim.Image{Ref: repo + ":v1", Behaviour: sim.Exits(3, 0)})
		b.run(t, "one", "v1")
		time.Sleep(time.Second)
		c, err := b.Engine.Inspect(t.Context(), "one", state.View{})
		must(t, err)
		if c.Status != state.StatusRestarting || c.RestartCount != 3 || c.ExitCode != 3 { // after 100, 300 and 700 ms
			t.Fatalf("%s, %d restarts, code %d", c.Status, c.RestartCount, c.ExitCode)
		}
		must(t, b.Engine.Stop(t.Context(), "one", time.Second))
		time.Sleep(time.Hour)
		if c, _ = b.Engine.Inspect(t.Context(), "one", state.View{}); c.Status != state.StatusExited {
			t.Fatalf("%s after a stop", c.Status)
		}
	})
}

func TestAStopWaitsForTheProgramAndKillsItAfterItsGrace(t *testing.T) {
	for name, c := range map[string]struct {
		behaviour sim.Behaviour
		takes     time.Duration
		code      int
	}{
		"ends by itself": {sim.Behaviour{StopsIn: 2 * time.Second}, 2 * time.Second, 0},
		"too slow":       {sim.Behaviour{StopsIn: time.Minute}, 5 * time.Second, 137},
		"ignores it":     {sim.Behaviour{IgnoresStop: true}, 5 * time.Second, 137},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := setup(t, sim.Image{Ref: repo + ":v1", Behaviour: c.behaviour})
				b.run(t, "one", "v1")
				must(t, b.Engine.Stop(t.Context(), "one", 5*time.Second))
				seen, err := b.Engine.Inspect(t.Context(), "one", state.View{})
				must(t, err)
				if took := seen.Finished.Sub(seen.Started).Round(100 * time.Millisecond); took != c.takes || seen.ExitCode != c.code {
					t.Fatalf("it took %s and ended with %d", took, seen.ExitCode)
				}
				must(t, b.Engine.Stop(t.Context(), "one", 5*time.Second))
			})
		})
	}
}

func TestAnEngineRestartBringsBackWhatWasNotStoppedByHand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, sim.Image{Ref: repo + ":v1"})
		b.run(t, "one", "v1")
		b.run(t, "two", "v1")
		must(t, b.Engine.Stop(t.Context(), "two", time.Second))
		b.RestartEngine(web, time.Second)
		if _, err := b.Engine.Info(t.Context()); !errors.Is(err, state.ErrUnreachable) {
			t.Fatalf("the engine answers while it restarts: %v", err)
		}
		_, err := b.Files.Home(t.Context())
		must(t, err)
		time.Sleep(time.Second)
		got := map[string]state.Status{}
		for _, c := range b.Containers(web, state.View{}) {
			got[c.Name] = c.Status
			if c.RestartCount != 0 {
				t.Errorf("%s: %d restarts", c.Name, c.RestartCount)
			}
		}
		if want := map[string]state.Status{"one": "running", "two": "exited", proxy: "running"}; !reflect.DeepEqual(got, want) {
			t.Fatalf("%v", got)
		}
	})
}

func TestImagesArePulledTaggedCarriedAndRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		ctx := t.Context()
		id, digest := b.Push(sim.Image{Ref: repo + ":v1", PullTakes: time.Minute})
		got, err := b.Engine.Manifest(ctx, repo+":v1", release.Auth{})
		must(t, err)
		if got.Digest != digest || len(got.Platforms) != 1 {
			t.Fatalf("%+v, want %s", got, digest)
		}
		must(t, b.Engine.Pull(ctx, repo+"@"+digest, "", release.Auth{}))
		must(t, b.Engine.Tag(ctx, repo+"@"+digest, repo+":v1"))
		must(t, b.Engine.Tag(ctx, repo+":v1", repo+":latest"))
		list, err := b.Engine.Images(ctx, repo)
		must(t, err)
		if len(list) != 1 || list[0].ID != id || !slices.Equal(list[0].Tags, []string{repo + ":latest", repo + ":v1"}) {
			t.Fatalf("%+v", list)
		}
		b.AddHost("other")
		other, err := b.Connector().Connect(ctx, release.Host{Name: "x", Address: "other"})
		must(t, err)
		archive, err := b.Engine.Save(ctx, repo+":v1")
		must(t, err)
		must(t, other.Engine.Load(ctx, archive))
		if b.ImageID("other", repo+":v1") != id {
			t.Fatal("the carried image is another one")
		}
		b.run(t, "one", "v1")
		must(t, b.Engine.RemoveImage(ctx, repo+":latest"))
		if err := b.Engine.RemoveImage(ctx, repo+":v1"); !errors.Is(err, state.ErrConflict) {
			t.Fatalf("an image in use went: %v", err)
		}
		must(t, b.Engine.Remove(ctx, "one"))
		must(t, b.Engine.RemoveImage(ctx, repo+":v1"))
		must(t, b.Engine.RemoveImage(ctx, repo+":v1"))
		if err := b.Engine.Pull(ctx, repo+":v9", "", release.Auth{}); !errors.Is(err, state.ErrNotFound) {
			t.Fatal(err)
		}
		b.SetFree(web, 10)
		if err := b.Engine.Pull(ctx, repo+":v1", "", release.Auth{}); !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
	})
}

func TestADetachedContainerIsAttachedAgainWithAnAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, sim.Image{Ref: repo + ":v1"})
		b.run(t, "one", "v1")
		b.DetachNetwork(web, "one", net)
		for range 2 {
			must(t, b.Engine.ConnectNetwork(t.Context(), net, "one", nil))
		}
		c, err := b.Engine.Inspect(t.Context(), "one", state.View{})
		must(t, err)
		must(t, b.Prober.TCP(t.Context(), c.IPs[net]+":3000"))
		if err := b.Engine.ConnectNetwork(t.Context(), "nowhere", "one", nil); !errors.Is(err, state.ErrNotFound) {
			t.Fatal(err)
		}
	})
}

func TestAPortOfTheHostBelongsToOneContainer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, sim.Image{Ref: repo + ":v1"})
		spec := state.Spec{Image: repo + ":v1", Options: map[string][]string{"publish": {"127.0.0.1:80:3000"}}}
		b.Place(web, sim.Image{Ref: repo + ":v1"})
		b.RunContainer(web, "one", spec, nil, nil)
		_, err := b.Engine.Create(t.Context(), "two", spec, nil, nil)
		must(t, err)
		if err := b.Engine.Start(t.Context(), "two"); err == nil || !strings.Contains(err.Error(), "already allocated") {
			t.Fatal(err)
		}
	})
}

func TestARegistryWithAPasswordRefusesOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := sim.New(1, sim.WithCredentials("deployer", "word"))
		w.AddHost(web)
		w.Push(sim.Image{Ref: repo + ":v1"})
		c := connect(t, w)
		if err := c.Engine.Pull(t.Context(), repo+":v1", "", release.Auth{Username: "deployer"}); !errors.Is(err, state.ErrDenied) {
			t.Fatal(err)
		}
		must(t, c.Engine.Pull(t.Context(), repo+":v1", "", release.Auth{Username: "deployer", Password: release.NewSecret("word")}))
	})
}

func TestAProbeTellsWhoAnswersWhoRefusesAndWhoIsNotThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, sim.Image{Ref: repo + ":v1", Behaviour: sim.Redirects("/login")})
		b.run(t, "one", "v1")
		c, err := b.Engine.Inspect(t.Context(), "one", state.View{})
		must(t, err)
		got, err := b.Prober.HTTP(t.Context(), c.IPs[net]+":3000", "/up", "")
		must(t, err)
		if got.Status != 302 || got.Location != "/login" {
			t.Fatalf("%+v", got)
		}
		if err := b.Prober.TCP(t.Context(), c.IPs[net]+":3001"); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Fatal(err)
		}
		must(t, b.Engine.Stop(t.Context(), "one", time.Second))
		if err := b.Prober.TCP(t.Context(), c.IPs[net]+":3000"); !errors.Is(err, syscall.EHOSTUNREACH) {
			t.Fatal(err)
		}
	})
}

func TestFilesAreAsTheSeamSays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		ctx, f := t.Context(), b.Files
		b.SetSkew(web, time.Hour)
		must(t, f.Mkdir(ctx, ".kamal/lock-shop"))
		if err := f.Mkdir(ctx, ".kamal/lock-shop"); !errors.Is(err, fs.ErrExist) {
			t.Fatal(err)
		}
		must(t, f.Write(ctx, ".kamal/lock-shop/details", []byte("a"), 0o600))
		must(t, f.Append(ctx, ".kamal/audit.log", []byte("one\n")))
		must(t, f.Append(ctx, ".kamal/audit.log", []byte("two\n")))
		mod, err := f.Modified(ctx, ".kamal/audit.log")
		must(t, err)
		if ahead := time.Until(mod); ahead < 59*time.Minute {
			t.Fatalf("the file's time is %s ahead", ahead)
		}
		must(t, f.Rename(ctx, ".kamal/lock-shop", ".kamal/lock-old"))
		if _, err := f.Read(ctx, ".kamal/lock-shop/details"); !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		data, err := f.Read(ctx, "/root/.kamal/lock-old/details")
		must(t, err)
		names, err := f.List(ctx, ".kamal")
		must(t, err)
		if string(data) != "a" || !slices.Equal(names, []string{"audit.log", "lock-old"}) {
			t.Fatalf("%q, %v", data, names)
		}
		must(t, f.Remove(ctx, ".kamal/lock-old"))
		must(t, f.Remove(ctx, ".kamal/lock-old"))
		if names, err = f.List(ctx, "nowhere"); err != nil || len(names) != 0 {
			t.Fatal(names, err)
		}
		b.SetFree(web, 0)
		if err := f.Write(ctx, "x", []byte("y"), 0o600); !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
	})
}
