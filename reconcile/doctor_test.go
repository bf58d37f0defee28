package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// elsewhere is what anybody sees, in a test.
type elsewhere struct {
	names  map[string][]string
	served map[string]state.ServedCertificate // name → what is served for it
	parsed state.ServedCertificate
}

func (e elsewhere) Addresses(_ context.Context, name string) ([]string, error) {
	if found, ok := e.names[name]; ok {
		return found, nil
	}
	return nil, errors.New("no such host")
}

func (e elsewhere) Served(_ context.Context, _ string, _ int, name string) (state.ServedCertificate, error) {
	if found, ok := e.served[name]; ok {
		return found, nil
	}
	return state.ServedCertificate{}, errors.New("connection refused")
}

func (e elsewhere) Parsed(string) (state.ServedCertificate, error) { return e.parsed, nil }

// doctor gives the findings as "level where what: said", without those that are well.
func (w *world) doctor(desired release.Release, outside elsewhere) (wrong []string, ok int) {
	w.t.Helper()
	c := w.controller()
	defer func() { _ = c.Close() }()
	found, err := c.Doctor(w.t.Context(), desired, outside)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, f := range found {
		switch {
		case f.Level == reconcile.LevelOK:
			ok++
		default:
			wrong = append(wrong, fmt.Sprintf("%s %s %s: %s", f.Level, f.Where, f.What, f.Said))
			if f.Level == reconcile.LevelWrong && f.Next == "" {
				w.t.Errorf("%s: %s: nobody says how to mend it", f.Where, f.Said)
			}
		}
	}
	return wrong, ok
}

func mustFind(t *testing.T, found []string, want ...string) {
	t.Helper()
	for _, one := range want {
		if !slices.ContainsFunc(found, func(line string) bool { return strings.Contains(line, one) }) {
			t.Errorf("it lacks %q:\n%s", one, strings.Join(found, "\n"))
		}
	}
	if len(found) != len(want) {
		t.Errorf("found are %d, want %d:\n%s", len(found), len(want), strings.Join(found, "\n"))
	}
}

func TestDoctorFindsNothingWhereAllIsWellAndChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 5101)
		w.mustApply(w.release("v1"))
		before := len(w.History())
		found, ok := w.doctor(w.release("v1"), elsewhere{})
		mustFind(t, found)
		if ok < 20 {
			t.Errorf("%d things were looked at", ok)
		}
		if after := len(w.History()); after != before {
			t.Errorf("it has changed something: %v", w.History()[before:])
		}
	})
}

func TestDoctorNamesWhatIsWrongOnEachHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 5102)
		w.mustApply(w.release("v1"))
		w.StopContainer("h1", "kamal-proxy")
		w.SetSkew("h2", time.Hour)
		w.SetFree("h2", 100<<20)
		w.Cut("h3")
		found, _ := w.doctor(w.release("v1"), elsewhere{})
		mustFind(t, found, "wrong h1 proxy: kamal-proxy does not run", "warning h2 clock", "warning h2 disk", "wrong h3 reach")
	})
}

func TestDoctorLooksAtNamesCertificatesAndSecrets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 5103)
		desired := w.release("v1")
		w.mustApply(desired)
		web := &desired.Roles[0]
		web.Proxy.Options.TLS, web.Proxy.Options.Hosts = true, []string{"shop.example.com", "old.example.com", "gone.example.com", "far.example.com", "*.example.com"}
		web.Hosts = []string{"h1"}
		desired.Registry.PasswordSecret = "OTHER_PASSWORD"
		day := 24 * time.Hour
		served := func(days int, names ...string) state.ServedCertificate {
			return state.ServedCertificate{Names: names, From: time.Now().Add(-day), Until: time.Now().Add(time.Duration(days) * day), By: "a CA"}
		}
		found, _ := w.doctor(desired, elsewhere{
			names:  map[string][]string{"h1": {"10.0.0.1"}, "shop.example.com": {"10.0.0.1"}, "old.example.com": {"10.0.0.1"}, "far.example.com": {"192.0.2.7"}},
			served: map[string]state.ServedCertificate{"shop.example.com": served(60, "*.example.com"), "old.example.com": served(-1, "old.example.com"), "far.example.com": served(3, "far.example.com"), "gone.example.com": served(60, "other.example.com")},
		})
		kept := slices.DeleteFunc(found, func(line string) bool {
			return !strings.Contains(line, "example.com") && !strings.Contains(line, "secret ")
		})
		mustFind(t, kept, "wrong h1 certificate of old.example.com: it ended on", "wrong outside name gone.example.com", "wrong h1 certificate of gone.example.com: it is for other.example.com",
			"warning outside name far.example.com: it leads to 192.0.2.7", "warning h1 certificate of far.example.com: it ends on", "wrong this machine secret OTHER_PASSWORD")
	})
}

// The secrets of accessories are needed, too: in their environment, in their files, and for their registries.
func TestDoctorCountsTheSecretsOfAccessories(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorldWithRedis(t)
		desired := w.withRedis("v1", "redis:7")
		desired.Accessories[0].Registry = &release.Registry{PasswordSecret: "OTHER_PASSWORD"}
		desired.Accessories[0].Files[0].Content = append(desired.Accessories[0].Files[0].Content, release.Part{Secret: "IN_A_FILE"})
		wrong, _ := w.doctor(desired, elsewhere{})
		for _, name := range []string{"OTHER_PASSWORD", "IN_A_FILE"} {
			if !slices.ContainsFunc(wrong, func(said string) bool { return strings.Contains(said, "secret "+name+": it is not at hand") }) {
				t.Errorf("nobody misses %s: %q", name, wrong)
			}
		}
	})
}

func TestDoctorSaysOfOneSecretWhatIsSaidOfOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 77)
		desired := w.release("v1")
		desired.Registry = nil
		c := w.controller()
		defer func() { _ = c.Close() }()
		found, err := c.Doctor(t.Context(), desired, elsewhere{})
		if err != nil {
			t.Fatal(err)
		}
		if i := slices.IndexFunc(found, func(f reconcile.Finding) bool { return f.What == "secrets" }); i < 0 || found[i].Said != "the only one is found" {
			t.Errorf("%+v", found)
		}
	})
}
