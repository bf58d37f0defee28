package reconcile_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// letIn is a registry that lets this machine in.
func letIn(context.Context, release.Auth) error { return nil }

func TestALoginIsTriedFromEverywhereAndKeptNowhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 931)
		w.using(func(c *reconcile.Controller) {
			done, err := c.Login(t.Context(), w.release("v1"), letIn, nil)
			if err != nil || len(done.Done) != 4 || done.Done[0].Host != reconcile.Here || done.Done[1].Error != "" {
				t.Errorf("%+v %v", done, err)
			}
			done, err = c.Login(t.Context(), w.release("v1"), func(context.Context, release.Auth) error { return errors.New("no way there") }, []string{"h2"})
			if err != nil || len(done.Done) != 2 || !strings.Contains(done.Done[0].Notes[0], "no way there") {
				t.Errorf("a registry that only the hosts reach: %+v %v", done, err)
			}
			w.SetPassword("another")
			if _, err := c.Login(t.Context(), w.release("v1"), letIn, nil); err == nil || !strings.Contains(err.Error(), "registry.username") || strings.Contains(err.Error(), "registry-password") {
				t.Errorf("%v", err)
			}
			without := w.release("v1")
			without.Registry = nil
			if _, err := c.Login(t.Context(), without, letIn, nil); !errors.Is(err, reconcile.ErrNoRegistry) {
				t.Errorf("%v", err)
			}
		})
		for _, c := range w.History() {
			if c.Mutates && !strings.HasPrefix(c.Method, "Files.Append") {
				t.Errorf("a login does %s", c)
			}
		}
	})
}

func TestALogoutTakesOneEntryAndLeavesTheRestOfTheFile(t *testing.T) {
	const server = "registry.example.com"
	for name, c := range map[string]struct{ before, after, note string }{
		"Kamal's":     {`{"auths":{"registry.example.com":{"auth":"eA=="},"ghcr.io":{"auth":"eQ=="}},"psFormat":"{{.ID}} <x>"}`, "{\n\t\"auths\": {\n\t\t\"ghcr.io\": {\n\t\t\t\"auth\": \"eQ==\"\n\t\t}\n\t},\n\t\"psFormat\": \"{{.ID}} <x>\"\n}\n", ""},
		"by its URL":  {`{"auths":{"https://registry.example.com":{}}}`, "{\n\t\"auths\": {}\n}\n", ""},
		"another's":   {`{"auths":{"ghcr.io":{}}}`, `{"auths":{"ghcr.io":{}}}`, ""},
		"a helper's":  {`{"auths":{"registry.example.com":{}},"credsStore":"pass"}`, "{\n\t\"auths\": {},\n\t\"credsStore\": \"pass\"\n}\n", "docker logout " + server},
		"none at all": {"", "", ""},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, 932)
			if c.before != "" {
				w.WriteFile("h1", ".docker/config.json", []byte(c.before))
			}
			w.using(func(r *reconcile.Controller) {
				done, err := r.Logout(t.Context(), w.release("v1"), nil)
				if err != nil || len(done.Done) != 3 || done.Done[0].Unchanged != (c.before == c.after) {
					t.Fatalf("%s: %+v %v", name, done, err)
				}
				if got := strings.Join(done.Done[0].Notes, " "); !strings.Contains(got, c.note) || c.note == "" && got != "" {
					t.Errorf("%s: notes %q", name, got)
				}
			})
			if file, _ := w.File("h1", ".docker/config.json"); string(file) != c.after {
				t.Errorf("%s: %q, want %q", name, file, c.after)
			}
		})
	}
}

func TestAFileThatIsNotDockersIsLeftAndNotShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 933)
		w.WriteFile("h2", ".docker/config.json", []byte("auth "+canary))
		noted := false
		w.Before(func(c sim.Call) error {
			events, _ := w.store.Events(state.App{}, 0)
			noted = noted || len(events) > 0
			return nil
		})
		w.using(func(c *reconcile.Controller) {
			done, err := c.Logout(t.Context(), w.release("v1"), nil)
			if err == nil || strings.Contains(err.Error(), canary) || done.Done[1].Error == "" || done.Done[0].Error != "" || !noted {
				t.Errorf("%+v %v", done, err)
			}
		})
	})
}
