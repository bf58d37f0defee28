package reconcile_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kamald/kamald/drivers/image"
	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// newCarriedWorld is a world without a registry: this machine's own engine has the versions. Each has three layers, of which two
// are every version's.
func newCarriedWorld(t *testing.T, seed uint64) *world {
	w := newWorld(t, seed)
	w.AddHost(release.LocalHost)
	for n := 1; n <= 6; n++ {
		w.built(fmt.Sprintf("v%d", n))
	}
	return w
}

// built puts a version on this machine.
func (w *world) built(version string) {
	w.Place(release.LocalHost, sim.Image{Ref: repository + ":" + version, Behaviour: sim.Healthy(300 * time.Millisecond),
		Labels: map[string]string{"service": "shop", "version": version},
		Layers: []sim.Layer{{Digest: "base", Size: 80 << 20}, {Digest: "libraries", Size: 20 << 20}, {Digest: "code " + version, Size: 100}}})
}

// carried is the desired release at a version, without a registry.
func (w *world) carried(version string) release.Release {
	desired := w.release(version)
	desired.Registry, desired.Repository = nil, repository
	return desired
}

// waiting are the tags of layers on a host whose image has not come whole.
func (w *world) waiting(host string) (tags []string) {
	conn, err := connector{w.Connector()}.Connect(w.t.Context(), release.Host{Name: host, Address: host})
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	images, err := conn.Engine.Images(w.t.Context(), repository)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, m := range images {
		for _, tag := range m.Tags {
			if strings.Contains(tag, ":kamald-carried-") {
				tags = append(tags, tag)
			}
		}
	}
	return tags
}

func sentTo(t *testing.T, report reconcile.Report, host string) reconcile.Carried {
	t.Helper()
	i := slices.IndexFunc(report.Carried, func(c reconcile.Carried) bool { return c.Host == host })
	if i < 0 {
		t.Fatalf("nothing is said of what was carried to %s: %+v", host, report.Carried)
	}
	return report.Carried[i]
}

func TestWithoutARegistryOnlyTheLayersThatAHostLacksTravel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newCarriedWorld(t, 1)
		first := w.mustApply(w.carried("v1"))
		second := w.mustApply(w.carried("v2"))
		for _, host := range []string{"h1", "h2", "h3"} {
			all, rest := sentTo(t, first, host), sentTo(t, second, host)
			if all.Layers != 3 || all.There != 0 || rest.Layers != 1 || rest.There != 2 || rest.ThereBytes < 90<<20 {
				t.Errorf("%s: first %+v, then %+v", host, all, rest)
			}
			if rest.Sent == 0 || rest.Sent*3 > all.Sent {
				t.Errorf("%s: %d bytes of the first, %d for a layer of 100", host, all.Sent, rest.Sent)
			}
			if waiting := w.waiting(host); len(waiting) > 0 {
				t.Errorf("%s keeps %v", host, waiting)
			}
		}
		if report := w.mustApply(w.carried("v2")); len(report.Carried) > 0 {
			t.Errorf("nothing was to be carried, and %+v was", report.Carried)
		}
	})
}

func TestWhatHasArrivedOfAnImageIsNotSentAgainAfterACut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newCarriedWorld(t, 2)
		whole := sentTo(t, w.mustApply(w.carried("v1")), "h1").Sent

		w = newCarriedWorld(t, 2)
		cut := fmt.Errorf("the line is cut: %w", state.ErrUnreachable)
		w.Before(func(c sim.Call) error {
			if c.Host == "h1" && c.Method == "Engine.Load" && !strings.Contains(c.Args, "kamald-carried-") && strings.Contains(c.Args, repository) {
				return cut // the last part
			}
			return nil
		})
		report, err := w.apply(t.Context(), w.carried("v1"))
		if err == nil || !strings.Contains(err.Error(), "h1: get image") || !strings.Contains(err.Error(), "the line is cut") {
			t.Fatalf("got %v", err)
		}
		if w.versions() != "" || !strings.Contains(w.progress(), "attempt 5 of 5") || sentTo(t, report, "h1").Sent == 0 {
			t.Errorf("it runs %q\n%s", w.versions(), w.progress())
		}
		if waiting := w.waiting("h1"); len(waiting) == 0 {
			t.Error("nothing has stayed on h1")
		}
		w.ClearHooks()
		report = w.mustApply(w.carried("v1"))
		if rest := sentTo(t, report, "h1"); rest.There != 2 || rest.Layers != 1 || rest.Sent*3 > whole {
			t.Errorf("the second run sent %+v, and the whole is %d bytes", rest, whole)
		}
		if waiting := w.waiting("h1"); len(waiting) > 0 {
			t.Errorf("h1 keeps %v", waiting)
		}
	})
}

func TestACutIsGoneBehindWithinOneRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newCarriedWorld(t, 3)
		var once sync.Once
		w.After(func(c sim.Call) (err error) {
			if c.Host == "h2" && c.Method == "Engine.Load" && strings.Contains(c.Args, "kamald-carried-") {
				once.Do(func() { err = fmt.Errorf("the reply is lost: %w", state.ErrUnreachable) })
			}
			return err
		})
		report := w.mustApply(w.carried("v1"))
		one, two := sentTo(t, report, "h1"), sentTo(t, report, "h2")
		if two.Sent != one.Sent || two.Layers+two.There != 3 {
			t.Errorf("h1 got %+v, h2 with a cut %+v", one, two)
		}
		if !strings.Contains(w.progress(), "going on behind what has arrived in 1s (attempt 2 of 5)") {
			t.Error(w.progress())
		}
	})
}

// damaging is a spool whose n-th archive of more than a layer's headers has a wrong byte.
type damaging struct {
	reconcile.Spool
	at func(ref string) bool
}

func (d damaging) Archive(from, to int, ref string, labels map[string]string) (io.Reader, error) {
	archive, err := d.Spool.Archive(from, to, ref, labels)
	if err != nil || !d.at(ref) {
		return archive, err
	}
	data, err := io.ReadAll(archive)
	data[512+40] ^= 1 // in the first layer
	return bytes.NewReader(data), err
}

func TestALayerThatIsDamagedOnTheWayIsNamedWithItsHostAndNothingIsChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newCarriedWorld(t, 4)
		w.mustApply(w.carried("v1"))
		before := w.versions()
		c := w.controller()
		defer func() { _ = c.Close() }()
		var once sync.Once
		c.NewSpool = func() reconcile.Spool {
			return damaging{&image.Spool{}, func(string) (now bool) { once.Do(func() { now = true }); return now }}
		}
		report, err := c.Apply(t.Context(), w.carried("v2"), reconcile.Options{})
		if err == nil || report.Outcome != state.OutcomeFailed {
			t.Fatalf("%+v, %v", report, err)
		}
		if text := err.Error(); !strings.Contains(text, ": get image "+repository+":v2: the layer ") || !strings.Contains(text, "was damaged on the way") || strings.Count(text, "damaged on the way") != 1 {
			t.Error(text)
		}
		if w.versions() != before || report.Undone && len(report.Left) > 0 {
			t.Errorf("it runs %s, ran %s; left %v", w.versions(), before, report.Left)
		}
		w.mustApply(w.carried("v2"))
	})
}

func TestAnEngineThatWantsWholeImagesGetsThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newCarriedWorld(t, 5)
		w.mustApply(w.carried("v1"))
		w.Before(func(c sim.Call) error {
			if c.Host == "h3" && c.Method == "Engine.Load" && strings.Contains(c.Args, repository+":v2") {
				return fmt.Errorf("archives with absent layers are not supported")
			}
			return nil
		})
		report := w.mustApply(w.carried("v2"))
		one, three := sentTo(t, report, "h1"), sentTo(t, report, "h3")
		if three.Layers != 3 || three.There != 0 || three.Sent < 3*one.Sent {
			t.Errorf("h1 got %+v, h3 %+v", one, three)
		}
		if !strings.Contains(w.progress(), "all of it is sent: ") {
			t.Error(w.progress())
		}
	})
}

// sharedLine lets so many bytes a second through, and counts who is on the way at once.
type sharedLine struct {
	mu   sync.Mutex
	rate int
	next time.Time
	sum  int
}

func (l *sharedLine) wait(ctx context.Context, bytes int) error {
	l.mu.Lock()
	if now := time.Now(); l.next.Before(now) {
		l.next = now
	}
	l.next = l.next.Add(time.Duration(bytes) * time.Second / time.Duration(l.rate))
	at := l.next
	l.sum += bytes
	l.mu.Unlock()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(time.Until(at)):
		return nil
	}
}

func TestALimitHoldsForAllHostsTogetherAndOthersNeedNotWaitForIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newCarriedWorld(t, 6)
		w.bootProxies(w.carried("v1"))
		c, line := w.controller(), &sharedLine{rate: 500}
		defer func() { _ = c.Close() }()
		c.Throttle = line.wait
		began := time.Now()
		var planned time.Duration
		var other sync.WaitGroup
		other.Go(func() {
			time.Sleep(5 * time.Second) // the image is on its way
			from := time.Now()
			d := w.controller()
			defer func() { _ = d.Close() }()
			if _, err := d.Plan(t.Context(), w.carried("v2"), reconcile.Options{}); err != nil {
				t.Error(err)
			}
			planned = time.Since(from)
		})
		report, err := c.Apply(t.Context(), w.carried("v1"), reconcile.Options{})
		if err != nil {
			t.Fatal(err)
		}
		other.Wait()
		took, least := time.Since(began), time.Duration(line.sum)*time.Second/500
		if took < least || line.sum < 3*4096 {
			t.Errorf("%d bytes took %s, within the limit it is %s", line.sum, took, least)
		}
		if planned == 0 || planned > took/10 {
			t.Errorf("a plan meanwhile took %s of %s", planned, took)
		}
		var sum int64
		for _, c := range report.Carried {
			sum += c.Sent
		}
		if sum != int64(line.sum) {
			t.Errorf("the report says %d bytes, and %d were sent", sum, line.sum)
		}
		words := map[string]int{}
		w.mu.Lock()
		defer w.mu.Unlock()
		for _, p := range w.log {
			if p.Kind == "bytes" && p.Bytes > 0 && p.Total >= p.Bytes && strings.Contains(p.Message, " of ") {
				words[p.Host]++
			}
		}
		for _, host := range []string{"h1", "h2", "h3"} {
			if words[host] == 0 || words[host] > int(took/time.Second)+1 {
				t.Errorf("%s: %d words in %s", host, words[host], took)
			}
		}
	})
}

func TestAnImageThatIsGoneFromThisMachineIsMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newCarriedWorld(t, 7)
		here, err := w.Connector().Connect(t.Context(), release.Host{Name: release.LocalHost})
		if err != nil {
			t.Fatal(err)
		}
		var once sync.Once
		w.Before(func(c sim.Call) (err error) {
			if c.Host == release.LocalHost && c.Method == "Engine.Info" {
				once.Do(func() { err = here.Engine.RemoveImage(t.Context(), repository+":v1") })
			}
			return err
		})
		_, err = w.apply(t.Context(), w.carried("v1"))
		if err == nil || !strings.Contains(err.Error(), "is not on this machine any more") {
			t.Errorf("got %v", err)
		}
	})
}

func TestFourHostsAreOnTheLineAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newCarriedWorld(t, 8)
		desired := w.carried("v1")
		for n := 4; n <= 9; n++ {
			name := fmt.Sprintf("h%d", n)
			w.AddHost(name)
			desired.Hosts = append(desired.Hosts, release.Host{Name: name, Address: name, SSH: desired.SSH})
			desired.Roles[1].Hosts = append(desired.Roles[1].Hosts, name)
		}
		var mu sync.Mutex
		now, most := map[string]bool{}, 0
		c := w.controller()
		defer func() { _ = c.Close() }()
		c.Throttle = func(context.Context, int) error { time.Sleep(100 * time.Millisecond); return nil }
		c.Report = func(p reconcile.Progress) {
			mu.Lock()
			defer mu.Unlock()
			switch {
			case p.Kind == "bytes":
				now[p.Host] = true
				most = max(most, len(now))
			case p.Kind == "done":
				delete(now, p.Host)
			}
		}
		report, err := c.Apply(t.Context(), desired, reconcile.Options{})
		if err != nil || len(report.Carried) != 9 {
			t.Fatalf("%+v, %v", report.Carried, err)
		}
		if most < 2 || most > 4 {
			t.Errorf("%d hosts at once", most)
		}
	})
}

func TestWholeImagesTravelBetweenEnginesOfContainerds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newCarriedWorld(t, 10)
		for _, host := range []string{release.LocalHost, "h1", "h2", "h3"} {
			w.KeepAsContainerd(host)
		}
		w.mustApply(w.carried("v1"))
		if all := sentTo(t, w.mustApply(w.carried("v2")), "h1"); all.Layers != 3 || all.There != 0 {
			t.Errorf("h1 got %+v", all)
		}
	})
}
