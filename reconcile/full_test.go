package reconcile_test

import (
	"errors"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/reconcile"
)

// mustSay wants an error to have each of some texts.
func mustSay(t *testing.T, err error, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("no %q in: %v", text, err)
		}
	}
}

// Every call of a release that takes room may find none: the release is taken back, says where and what to do, and leaves no lock.
func TestAReleaseThatMeetsAFullDiskIsTakenBackAndSaysWhereItIsFull(t *testing.T) {
	for _, test := range []struct{ method, args, where string }{
		{"Engine.Pull", "", "the engine's data (/var/lib/docker)"},
		{"Engine.Create", "shop-", "the engine's data (/var/lib/docker)"},
		{"Engine.Start", "", "the engine's data (/var/lib/docker)"},
		{"Files.Write", "env", "kamald's files (/root/.kamal)"},
		{"Files.Write", "fence", "kamald's files (.kamal)"},
		{"Files.Write", "lock-shop/details", "kamald's files (.kamal)"},
	} {
		t.Run(test.method+" "+strings.ReplaceAll(test.args, "/", " "), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 851)
				w.mustApply(w.release("v1"))
				met := false
				w.Before(func(c sim.Call) error {
					if c.Host != "h2" || c.Method != test.method || !strings.Contains(c.Args, test.args) || strings.Contains(c.Args, "audit") {
						return nil
					}
					if !met && test.method == "Files.Write" || test.method != "Files.Write" && !strings.Contains(c.Args, "v1") && !met {
						met = true
						w.SetFree("h2", 3<<10)
						return syscall.ENOSPC
					}
					return nil
				})
				w.using(func(c *reconcile.Controller) {
					c.Secrets = secrets{"TOKEN": "another", "REGISTRY_PASSWORD": "registry-password"}
					_, err := c.Apply(t.Context(), w.release("v2"), reconcile.Options{})
					mustSay(t, err, "h2: ", "no space left on device", test.where, "KiB are free", "next: make room on h2")
					if _, is := errors.AsType[*reconcile.FullError](err); !is {
						t.Errorf("%v", err)
					}
				})
				w.ClearHooks()
				w.noLocks(0)
				if got := w.versions(); got != allV1 {
					t.Errorf("what runs: %s", got)
				}
			})
		})
	}
}

// An accessory's files lie in the home of who logs in, or where the file says, and not with the engine.
func TestAnAccessorysFilesThatFindNoRoomAreNoneOfTheEngines(t *testing.T) {
	for at, where := range map[string]string{"./shop-redis/etc/redis.conf": "/root", "/srv/redis/redis.conf": "/srv/redis"} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorldWithRedis(t)
			w.Before(func(c sim.Call) error {
				if c.Method == "Files.Write" && strings.Contains(c.Args, "redis.conf") {
					return syscall.ENOSPC
				}
				return nil
			})
			desired := w.withRedis("v1", "redis:7")
			desired.Accessories[0].Files[0].Path = at
			_, err := w.apply(t.Context(), desired)
			mustSay(t, err, "h3: ", "an accessory's files ("+where+")", "`df -h "+where+"`")
			if err != nil && strings.Contains(err.Error(), "docker system df") {
				t.Errorf("%v", err)
			}
		})
	}
}

// A prune needs a few bytes for its lock. Without them it says what it would have removed.
func TestAPruneOnACompletelyFullDiskSaysWhatToRemoveByHand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 852)
		for _, version := range []string{"v1", "v2", "v3"} {
			w.mustApply(w.release(version))
		}
		w.SetFree("h2", 0)
		_, err := w.prune(1)
		mustSay(t, err, "h2: ", "write the deploy lock's details", "0 KiB are free", "`docker rm shop-web-v1`", "`docker image rm "+repository+":v1`", "then prune again")
		w.noLocks(0)
		if got := w.images("h1"); got != "v1 v2 v3" {
			t.Errorf("without all locks it removed: %s", got)
		}
		w.RemoveContainer("h2", "shop-web-v1") // as it said
		if _, err := w.prune(1); err != nil {
			t.Errorf("with the first freed by hand: %v", err)
		}
		if got := w.images("h2"); got != "v2 v3" {
			t.Errorf("images on h2: %s", got)
		}
	})
}

// The audit files are best effort: what a full disk keeps out of them is in the store.
func TestADiskThatIsTooFullForTheAuditFileForbidsNoPrune(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 853)
		for _, version := range []string{"v1", "v2", "v3"} {
			w.mustApply(w.release(version))
		}
		w.Before(func(c sim.Call) error {
			if c.Method == "Files.Append" {
				return syscall.ENOSPC
			}
			return nil
		})
		if _, err := w.prune(1); err != nil {
			t.Error(err)
		}
		w.ClearHooks()
		w.mustNote()
		w.noLocks(0)
	})
}
