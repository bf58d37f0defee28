package reconcile_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

func TestTwoRunsThatWaitForEachOtherGetNumbersOfTheirOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 21)
		w.mustApply(w.release("v1"))
		last := ""
		second, third := w.begin(w.release("v2")), w.begin(w.release("v3"))
		for _, ended := range []ending{<-second, <-third} {
			if ended.err != nil {
				t.Fatal(ended.err)
			}
			record := w.store.releases[ended.report.Release]
			if record.Version != ended.report.Version || record.Outcome != state.OutcomeSucceeded || record.Fence != record.Number {
				t.Errorf("release %d is recorded as %s %s", ended.report.Release, record.Version, record.Outcome)
			}
			if ended.report.Release == 3 {
				last = ended.report.Version
			}
		}
		if want := fmt.Sprintf("h1/web=%s h2/web=%s h3/workers=%s", last, last, last); w.versions() != want {
			t.Errorf("after both: %s, want %s", w.versions(), want)
		}
		for _, host := range w.Hosts() {
			for n := 1; n <= 3; n++ {
				if _, there := w.File(host, fmt.Sprintf(".kamal/apps/shop/kamald/releases/%d.json", n)); !there {
					t.Errorf("%s has no record of release %d", host, n)
				}
			}
			if fence, _ := w.File(host, ".kamal/apps/shop/kamald/fence"); !strings.HasPrefix(string(fence), "3\n") {
				t.Errorf("the fence on %s is %q", host, fence)
			}
		}
	})
}

// The hosts of the last release are out of reach, and those of the next know nothing of it.
func TestReleasesOnDifferentHostsGetNumbersOfTheirOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 22)
		at := func(version string) release.Release {
			desired := without(w.release(version), "h3")
			desired.Roles = desired.Roles[:1]
			return desired
		}
		w.mustApply(at("v1"))
		numbers := map[int]string{}
		for i, version := range []string{"v2", "v3"} {
			cut := []string{"h1", "h2"}[i]
			w.Cut(cut)
			report, err := w.applyWith(at(version), reconcile.Options{SkipUnreachable: true})
			if err != nil || numbers[report.Release] != "" {
				t.Errorf("%s is release %d, and so is %s: %v", version, report.Release, numbers[report.Release], err)
			}
			numbers[report.Release] = version
			w.Restore(cut)
		}
		w.mustApply(at("v4"))
	})
}
