package docker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// lone is another run of kamald, with a connection of its own.
func lone(t *testing.T) *Engine {
	t.Helper()
	socket, err := LocalSocket(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	e := New(DialLocal, Options{Host: "local", Socket: socket})
	t.Cleanup(func() { _ = e.Close() })
	return e
}

// Engines before API 1.44 make a second network of a name, and then start nothing on either. First releases of several services on one
// host at once end with one network, and everything on it.
func TestFirstReleasesAtOnceMakeOneNetwork(t *testing.T) {
	e := realEngine(t)
	withImage(t, e)
	for round := range 2 {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			name := uniqueName()
			t.Cleanup(func() { removeNetworks(t, e, name) })
			var all sync.WaitGroup
			for range 6 {
				run, c := lone(t), uniqueName()
				t.Cleanup(func() { _ = e.Remove(context.Background(), c) })
				all.Go(func() {
					if err := run.CreateNetwork(t.Context(), name); err != nil {
						t.Error(err)
						return
					}
					if _, err := run.Create(t.Context(), c, state.Spec{Image: testImage, Network: name}, map[string]string{"kamald.test": "1"}, map[string]release.Secret{}); err != nil {
						t.Error(err)
						return
					}
					if err := run.Start(t.Context(), c); err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
			if same, err := e.networksNamed(t.Context(), name); err != nil || len(same) != 1 {
				t.Errorf("there are %d networks %s: %v", len(same), name, err)
			}
		})
	}
}

// What a killed run has left of such a moment is in nobody's way: the older stays, or the one that has containers. Networks of others stay in
// any case, and whoever has to remove one is told which.
func TestTwinsOfANetworkAreTakenAway(t *testing.T) {
	e := realEngine(t)
	withImage(t, e)
	for name, c := range map[string]struct {
		ours   [2]bool // whether kamald has made the older, and the newer
		used   int     // which one a stopped container has: 1 and 2; 0: none
		stays  []int
		starts bool
	}{
		"both are kamald's":                                    {[2]bool{true, true}, 0, []int{1}, true},
		"the newer has a container":                            {[2]bool{true, true}, 2, []int{2}, true},
		"somebody else has made the old":                       {[2]bool{false, true}, 0, []int{1}, true},
		"somebody else has made the new":                       {[2]bool{true, false}, 0, []int{2}, true},
		"both are of others":                                   {[2]bool{}, 0, []int{1, 2}, false},
		"the newer is another's, and kamald's has a container": {[2]bool{true, false}, 1, []int{1, 2}, false},
	} {
		t.Run(name, func(t *testing.T) {
			network := uniqueName()
			t.Cleanup(func() { removeNetworks(t, e, network) })
			ids := []string{twinOf(t, e, network, c.ours[0]), ""}
			if c.used == 1 {
				stoppedOn(t, e, ids[0])
			}
			ids[1] = twinOf(t, e, network, c.ours[1])
			if c.used == 2 {
				stoppedOn(t, e, ids[1])
			}
			box := made(t, e, uniqueName(), state.Spec{Image: testImage, Network: network}, nil)
			err := e.Start(t.Context(), box)
			if (err == nil) != c.starts {
				t.Errorf("it is started: %v", err)
			}
			if err != nil && (!strings.Contains(err.Error(), state.ShortID(ids[0])) || !strings.Contains(err.Error(), "docker network rm")) {
				t.Errorf("the error does not say what to do: %v", err)
			}
			var stay []int
			same, err := e.networksNamed(t.Context(), network)
			for _, n := range same {
				stay = append(stay, slices.Index(ids, n.ID)+1)
			}
			slices.Sort(stay)
			if err != nil || !slices.Equal(stay, c.stays) {
				t.Errorf("of the two there stay %v, and not %v: %v", stay, c.stays, err)
			}
		})
	}
}

// twinOf makes a network, whether there is one of its name or not.
func twinOf(t *testing.T, e *Engine, name string, ours bool) string {
	t.Helper()
	labels := map[string]string{"kamald.test": t.Name()}
	if ours {
		labels[labelNetwork] = "1"
	}
	made, err := e.client.NetworkCreate(t.Context(), name, client.NetworkCreateOptions{Labels: labels})
	if errdefs.IsConflict(err) {
		t.Skip("NOT RUN: this engine makes no two networks of one name")
	}
	if err != nil {
		t.Fatal(err)
	}
	return made.ID
}

// stoppedOn makes a container that was on a network, and does not run.
func stoppedOn(t *testing.T, e *Engine, network string) {
	t.Helper()
	box := made(t, e, uniqueName(), state.Spec{Image: testImage}, nil)
	err := e.Start(t.Context(), box)
	if err == nil { // by its ID: nothing else names one of two
		_, err = e.client.NetworkConnect(t.Context(), network, client.NetworkConnectOptions{Container: box})
	}
	if err = errors.Join(err, e.Stop(t.Context(), box, 0)); err != nil {
		t.Fatal(err)
	}
}

// removeNetworks removes every network of a name.
func removeNetworks(t *testing.T, e *Engine, name string) {
	t.Helper()
	same, err := e.networksNamed(context.Background(), name)
	if err != nil {
		t.Error(err)
	}
	for _, n := range same {
		if _, err := e.client.NetworkRemove(context.Background(), n.ID, client.NetworkRemoveOptions{}); err != nil {
			t.Error(err)
		}
	}
}
