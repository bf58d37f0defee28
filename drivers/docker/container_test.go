package docker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/moby/client"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

func removeNetwork(t *testing.T, e *Engine, name string) {
	t.Helper()
	if _, err := e.client.NetworkRemove(context.Background(), name, client.NetworkRemoveOptions{}); err != nil {
		t.Errorf("cleaning up: %v", err)
	}
}

func TestWhatWasAskedForComesBackFromTheEngine(t *testing.T) {
	e := realEngine(t)
	withImage(t, e)
	network := testNetwork(t, e)
	key := []byte("a key for digests")
	for _, c := range fixedPoints {
		t.Run(c.name, func(t *testing.T) {
			asked := state.Spec{
				Image:   testImage,
				Cmd:     []string{"/app", "wait", "it's \"quoted\""},
				Env:     map[string]string{"PORT": "80", "EMPTY": "", "TWO": "a=b\nc"},
				Secrets: map[string]string{"TOKEN": state.SecretDigest(key, "hush")},
				Labels:  map[string]string{"service": "shop", "role": "web", "destination": "", "team": "checkout"},
				Volumes: []string{"/tmp:/data:ro", "/var/tmp:/more"},
				Network: network, Restart: "on-failure:3",
				LogDriver: "json-file", LogOptions: map[string]string{"max-size": "10m"},
				StopSignal: "TERM", StopGrace: 1500 * time.Millisecond,
				Options: c.options,
			}
			id := made(t, e, uniqueName(), asked, map[string]release.Secret{"TOKEN": release.NewSecret("hush")})
			got, err := e.Inspect(t.Context(), id, state.View{Key: key})
			if err != nil {
				t.Fatal(err)
			}
			if got.Asked == nil || cmp.Diff(asked, *got.Asked) != "" {
				t.Errorf("the spec's label came back as %+v", got.Asked)
			}
			want := asked
			want.Labels = map[string]string{"service": "shop", "role": "web", "destination": "", "team": "checkout", "maker": "kamald's tests"}
			want.Secrets = map[string]string{"TOKEN": asked.Secrets["TOKEN"], "PATH": state.SecretDigest(key, "/"), "IMAGE_OWN": state.SecretDigest(key, "from the image")}
			if diff := cmp.Diff(want, got.Live); diff != "" {
				t.Errorf("live differs from asked (-asked +live):\n%s", diff)
			}
			if got.Release != 12 || got.Fence != 34 || got.RunDir != "/root/.kamal" || got.Role != "web" || got.Status != state.StatusCreated {
				t.Errorf("the container's own fields: %+v", got)
			}
			if _, attached := got.IPs[network]; !attached {
				t.Errorf("networks: %v, want %s", got.IPs, network)
			}
		})
	}
}

func TestALeastSpecComesBackWithTheEnginesOwnDefaultsLeftOut(t *testing.T) {
	e := realEngine(t)
	withImage(t, e)
	asked := state.Spec{Image: testImage, Env: map[string]string{"PATH": "/", "IMAGE_OWN": "from the image"}}
	id := made(t, e, uniqueName(), asked, nil)
	got, err := e.Inspect(t.Context(), id, state.View{})
	if err != nil {
		t.Fatal(err)
	}
	want := asked
	want.Cmd, want.StopSignal = []string{"/app", "wait"}, testSignal // the image's own
	want.Labels = map[string]string{"maker": "kamald's tests"}
	want.LogDriver, want.LogOptions = got.Live.LogDriver, got.Live.LogOptions // whatever this engine is configured to
	if diff := cmp.Diff(want, got.Live); diff != "" {
		t.Errorf("(-want +live):\n%s", diff)
	}
}

func TestARunningContainerHasTheSameLiveSpecAsACreatedOne(t *testing.T) {
	e := realEngine(t)
	withImage(t, e)
	network := testNetwork(t, e)
	asked := state.Spec{Image: testImage, Network: network, Restart: "unless-stopped",
		Options: map[string][]string{"network-alias": {"web"}, "memory": {"67108864"}, "publish": {"127.0.0.1::80"}}}
	id := made(t, e, uniqueName(), asked, nil)
	before, err := e.Inspect(t.Context(), id, state.View{})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(e.Start(t.Context(), id), e.Start(t.Context(), id)); err != nil {
		t.Fatal(err)
	}
	after, err := e.Inspect(t.Context(), id, state.View{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before.Live, after.Live); diff != "" {
		t.Errorf("(-created +running):\n%s", diff)
	}
	if after.Status != state.StatusRunning || net.ParseIP(after.IPs[network]) == nil || after.Started.IsZero() {
		t.Errorf("running container: %+v", after)
	}
	listed, err := e.Containers(t.Context(), state.Filter{Name: after.Name})
	if err != nil || len(listed) != 1 || listed[0].ID != id || listed[0].IPs[network] != after.IPs[network] {
		t.Errorf("listed by name: %+v, %v", listed, err)
	}
}

func TestASecretsValueIsNowhereInWhatIsInspected(t *testing.T) {
	e := realEngine(t)
	withImage(t, e)
	const canary = "canary-4c1ba5f7"
	asked := state.Spec{Image: testImage, Env: map[string]string{"OPEN": "yes"}, Secrets: map[string]string{"TOKEN": "", "NOW_CLEAR": ""}}
	id := made(t, e, uniqueName(), asked, map[string]release.Secret{
		"TOKEN": release.NewSecret(canary), "NOW_CLEAR": release.NewSecret(canary + "-too")})
	// The desired release says of NOW_CLEAR that it is clear; the container has the secret's value still.
	got, err := e.Inspect(t.Context(), id, state.View{Key: []byte("key"), Clear: map[string]bool{"NOW_CLEAR": true}})
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{string(data), fmt.Sprintf("%+v %#v", got, got)} {
		if strings.Contains(text, canary) {
			t.Fatalf("the secret's value is in %s", text)
		}
	}
	if got.Live.Env["OPEN"] != "yes" || got.Live.Secrets["TOKEN"] != state.SecretDigest([]byte("key"), canary) || len(got.Live.Secrets["TOKEN"]) != 32 {
		t.Errorf("env %v, secrets %v", got.Live.Env, got.Live.Secrets)
	}
	if err := e.Start(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	said, err := e.Exec(t.Context(), id, []string{"/app", "print", "TOKEN"})
	if err != nil || said.Stdout != canary {
		t.Errorf("the container itself has no value: %+v, %v", said, err)
	}
}

func TestAContainerThatKamaldDidNotMakeKeepsOnlyTheValuesThatAreSaidToBeClear(t *testing.T) {
	e := realEngine(t)
	withImage(t, e)
	spec := state.Spec{Image: testImage, Env: map[string]string{"PORT": "80", "TOKEN": "hush"}, Labels: map[string]string{"destination": ""}}
	id, err := e.Create(t.Context(), uniqueName(), spec, map[string]string{"kamald.test": t.Name()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Remove(context.Background(), id) })
	got, err := e.Inspect(t.Context(), id, state.View{Key: []byte("k"), Clear: map[string]bool{"PORT": true}})
	if err != nil {
		t.Fatal(err)
	}
	if got.Asked != nil || got.Live.Env["PORT"] != "80" || got.Live.Env["TOKEN"] != "" || got.Live.Secrets["TOKEN"] != state.SecretDigest([]byte("k"), "hush") {
		t.Errorf("asked %v, env %v, secrets %v", got.Asked, got.Live.Env, got.Live.Secrets)
	}
}

func TestCallsThatRepeatWhatIsSoSucceed(t *testing.T) {
	e, ctx := realEngine(t), t.Context()
	withImage(t, e)
	network := testNetwork(t, e)
	name := uniqueName()
	id := made(t, e, name, state.Spec{Image: testImage}, nil)
	for i := range 2 {
		for _, call := range []struct {
			what string
			err  error
		}{
			{"start", e.Start(ctx, id)},
			{"connect", e.ConnectNetwork(ctx, network, id, []string{"web"})},
			{"create network", e.CreateNetwork(ctx, network)},
			{"rename", e.Rename(ctx, id, name+"-b")},
		} {
			if call.err != nil {
				t.Errorf("%s, time %d: %v", call.what, i+1, call.err)
			}
		}
	}
	if err := errors.Join(e.Stop(ctx, id, time.Second), e.Stop(ctx, id, time.Second)); err != nil {
		t.Errorf("stop: %v", err)
	}
	stopped, err := e.Inspect(ctx, id, state.View{})
	if err != nil || stopped.Status != state.StatusExited || stopped.ExitCode != 0 || stopped.Name != name+"-b" {
		t.Errorf("stopped: %+v, %v", stopped, err)
	}
	if lines, err := e.Logs(ctx, id, 1, time.Time{}); err != nil || len(lines) != 1 || lines[0] != "ended by quit" {
		t.Errorf("it was not stopped by the image's own signal: %q, %v", lines, err)
	}
	if err := errors.Join(e.Remove(ctx, id), e.Remove(ctx, id)); err != nil {
		t.Errorf("remove: %v", err)
	}
	networks, err := e.Networks(ctx)
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, n := range networks {
		if n.Name == network {
			count++
		}
	}
	if count != 1 {
		t.Errorf("there are %d networks of one name", count)
	}
}

func TestErrorsSayWhatTheyAre(t *testing.T) {
	e, ctx := realEngine(t), t.Context()
	withImage(t, e)
	name := uniqueName()
	id := made(t, e, name, state.Spec{Image: testImage}, nil)
	_, taken := e.Create(ctx, name, state.Spec{Image: testImage}, nil, nil)
	_, noImage := e.Create(ctx, uniqueName(), state.Spec{Image: "kamald-test/none:v1"}, nil, nil)
	_, moved := e.Create(ctx, uniqueName(), state.Spec{Image: testImage, Digest: "sha256:" + strings.Repeat("0", 64)}, nil, nil)
	_, inspect := e.Inspect(ctx, "kamald-test-none", state.View{})
	_, noFile := e.ReadFile(ctx, id, "/none")
	_, noContainer := e.ReadFile(ctx, "kamald-test-none", "/none")
	_, dir := e.ReadFile(ctx, id, "/etc")
	for _, c := range []struct {
		what string
		err  error
		is   error
	}{
		{"a name that is taken", taken, state.ErrConflict},
		{"an image that is not there", noImage, state.ErrNotFound},
		{"an image that is not the pinned one", moved, state.ErrConflict},
		{"inspect", inspect, state.ErrNotFound},
		{"start", e.Start(ctx, "kamald-test-none"), state.ErrNotFound},
		{"stop", e.Stop(ctx, "kamald-test-none", 0), state.ErrNotFound},
		{"rename", e.Rename(ctx, "kamald-test-none", "b"), state.ErrNotFound},
		{"tag", e.Tag(ctx, "kamald-test/none:v1", "kamald-test/none:v2"), state.ErrNotFound},
		{"connect", e.ConnectNetwork(ctx, "kamald-test-none", id, nil), state.ErrNotFound},
		{"the image of a container", e.RemoveImage(ctx, testImage), state.ErrConflict},
		{"a file that is not there", noFile, fs.ErrNotExist},
		{"a file of no container", noContainer, state.ErrNotFound},
		{"a directory as a file", dir, fs.ErrInvalid},
	} {
		if !errors.Is(c.err, c.is) {
			t.Errorf("%s: %v, want one that is %q", c.what, c.err, c.is)
		}
		if c.err != nil && !strings.HasPrefix(c.err.Error(), "local: ") {
			t.Errorf("%s: %q does not begin with the host", c.what, c.err)
		}
	}
}

func TestAnUpdateChangesWhatInspectSaysAndNothingElse(t *testing.T) {
	e, ctx := realEngine(t), t.Context()
	withImage(t, e)
	asked := state.Spec{Image: testImage, Options: map[string][]string{"memory": {"67108864"}}}
	id := made(t, e, uniqueName(), asked, nil)
	before, _ := e.Inspect(ctx, id, state.View{})
	changed := map[string][]string{"memory": {"268435456"}, "cpus": {"500000000"}, "cpu-shares": {"512"}, "pids-limit": {"50"}, "restart": {"always"}}
	if err := e.Update(ctx, id, changed); err != nil {
		t.Fatal(err)
	}
	drifted, _ := e.Inspect(ctx, id, state.View{})
	want := before.Live
	want.Restart = "always"
	want.Options = map[string][]string{"memory": {"268435456"}, "cpus": {"500000000"}, "cpu-shares": {"512"}, "pids-limit": {"50"}}
	if diff := cmp.Diff(want, drifted.Live); diff != "" {
		t.Errorf("after the update (-want +live):\n%s", diff)
	}
	if err := e.Update(ctx, id, map[string][]string{"memory": {"67108864"}, "memory-swap": nil, "pids-limit": nil, "restart": {"no"}}); err != nil {
		t.Fatal(err)
	}
	healed, _ := e.Inspect(ctx, id, state.View{})
	want = before.Live
	want.Options = map[string][]string{"memory": {"67108864"}, "cpus": {"500000000"}, "cpu-shares": {"512"}}
	if diff := cmp.Diff(want, healed.Live); diff != "" {
		t.Errorf("after going back (-want +live):\n%s", diff)
	}
	if err := e.Update(ctx, id, map[string][]string{"cap-add": {"ALL"}}); err == nil {
		t.Error("an option that needs a new container was taken")
	}
}

func TestADetachedNetworkIsNotInTheLiveSpec(t *testing.T) {
	e, ctx := realEngine(t), t.Context()
	withImage(t, e)
	network := testNetwork(t, e)
	id := made(t, e, uniqueName(), state.Spec{Image: testImage, Network: network}, nil)
	if err := e.Start(ctx, id); err != nil {
		t.Fatal(err)
	}
	if _, err := e.client.NetworkDisconnect(ctx, network, client.NetworkDisconnectOptions{Container: id}); err != nil {
		t.Fatal(err)
	}
	got, err := e.Inspect(ctx, id, state.View{})
	if _, attached := got.IPs[network]; err != nil || attached || got.Live.Network != "" {
		t.Errorf("detached: network %q, addresses %v, %v", got.Live.Network, got.IPs, err)
	}
	if err := e.ConnectNetwork(ctx, network, id, nil); err != nil {
		t.Fatal(err)
	}
	got, err = e.Inspect(ctx, id, state.View{})
	if err != nil || got.Live.Network != network {
		t.Errorf("attached again: network %q, addresses %v, %v", got.Live.Network, got.IPs, err)
	}
}

func TestALabelWithoutAValueSelectsOnlyContainersThatHaveItEmpty(t *testing.T) {
	e := realEngine(t)
	withImage(t, e)
	service := uniqueName()
	var ids []string
	for _, destination := range []string{"", "staging", ""} {
		ids = append(ids, made(t, e, uniqueName(), state.Spec{Image: testImage, Labels: map[string]string{"service": service, "destination": destination}}, nil))
	}
	got, err := e.Containers(t.Context(), state.Filter{Labels: map[string]string{"service": service, "destination": ""}})
	if err != nil || len(got) != 2 || got[0].ID != ids[2] || got[1].ID != ids[0] {
		t.Errorf("found %+v, %v; want %s and %s", got, err, ids[2], ids[0])
	}
}
