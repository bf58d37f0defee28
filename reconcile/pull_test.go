package reconcile_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/release"
)

func TestAPullMayTakeAsLongAsItComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 651)
		w.push("v1", sim.Healthy(0), 3*time.Hour)
		w.mustApply(w.release("v1"))
	})
}

func TestAPullThatHangsIsBegunAnewAndThenGivenUpWithWhatToDo(t *testing.T) {
	for hangs, fails := range map[int32]bool{1: false, 3: true} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, 652)
			var hung atomic.Int32
			w.Before(func(c sim.Call) error {
				if c.Method == "Engine.Pull" && c.Host == "h2" && hung.Add(1) <= hangs {
					return sim.ErrHang
				}
				return nil
			})
			_, err := w.apply(t.Context(), w.release("v1"))
			if (err != nil) != fails {
				t.Fatalf("%d hung: %v", hangs, err)
			}
			for _, words := range []string{"h2: get image", "nothing more of it came for 2m0s", "next: look at the line between h2 and registry.example.com"} {
				if fails && !strings.Contains(err.Error(), words) {
					t.Errorf("no %q in: %v", words, err)
				}
			}
		})
	}
}

// Builders push a list also of one image, since their attestation stands in it.
func TestAnEmulatedImageOfAListIsPulledForItsPlatform(t *testing.T) {
	for name, platforms := range map[string][]string{"one and an attestation": {"linux/amd64", sim.Attestation}, "several": {"linux/amd64", "linux/arm64"}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 653)
				w.SetArch("h3", "arm64")
				w.Push(sim.Image{Ref: repository + ":list", Platforms: platforms, Behaviour: sim.Healthy(0)})
				desired := w.release("list")
				desired.Roles[1].Options = map[string][]string{"platform": {"linux/amd64"}}
				w.mustApply(desired)
				w.mustBeEmpty(desired)
			})
		})
	}
}

func TestRolesOfOneHostThatNeedTwoImagesOfAListAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 654)
		w.SetArch("h1", "arm64")
		w.Push(sim.Image{Ref: repository + ":list", Platforms: []string{"linux/amd64", "linux/arm64"}, Behaviour: sim.Healthy(0)})
		desired := w.release("list")
		desired.Roles = append(desired.Roles, release.Role{Name: "jobs", Hosts: []string{"h1"}, Restart: "unless-stopped", Options: map[string][]string{"platform": {"linux/amd64"}}})
		w.mustRefuse(w.controller(), desired, "h1/web: the image "+repository+":list is taken for linux/amd64 there", "give them hosts of their own")
	})
}
