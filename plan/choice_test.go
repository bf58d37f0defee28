package plan_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

func TestAPolicyChoosesTheNewestTagThatFits(t *testing.T) {
	semver := func(r string) release.VersionPolicy { return release.VersionPolicy{Semver: r} }
	broken := func(versions ...string) (records []state.Record) {
		for i, v := range versions {
			records = append(records, state.Record{Number: 20 - i, Version: v, Kind: "release", Outcome: state.OutcomeFailed, OwnFault: true})
		}
		return records
	}
	for name, test := range map[string]struct {
		policy  release.VersionPolicy
		tags    string
		held    string
		records []state.Record
		want    string
		out     string // quarantined, the newest first
	}{
		"the newest":                               {policy: semver("~> 2.1"), tags: "2.1.0 2.9.0 2.10.0 3.0.0 latest", want: "2.10.0"},
		"nothing fits":                             {policy: semver("~> 2.1"), tags: "1.0.0 3.0.0 latest"},
		"nothing fits, and one is held":            {policy: semver("~> 2.1"), tags: "1.0.0", held: "1.0.0", want: "1.0.0"},
		"no tags at all":                           {policy: semver("~> 2.1"), held: "2.1.0", want: "2.1.0"},
		"newer than what is held":                  {policy: semver("~> 2.1"), tags: "2.1.0 2.1.1", held: "2.1.0", want: "2.1.1"},
		"never back from what is held":             {policy: semver("~> 2.1"), tags: "2.1.0 2.1.1", held: "2.2.0", want: "2.2.0"},
		"back where what is held does not fit":     {policy: semver("~> 2.1.0"), tags: "2.1.0 2.1.1", held: "2.2.0", want: "2.1.1"},
		"on from a version that is none":           {policy: semver("~> 2.1"), tags: "2.1.0", held: "0123abc", want: "2.1.0"},
		"the other name of what is held":           {policy: semver("~> 2.1"), tags: "2.1.0 v2.1.0", held: "v2.1.0", want: "v2.1.0"},
		"two names of one":                         {policy: semver("~> 2.1"), tags: "v2.1.0 2.1.0", want: "2.1.0"},
		"a quarantined one":                        {policy: semver("~> 2.1"), tags: "2.1.3 2.1.4", held: "2.1.3", records: broken("2.1.4"), want: "2.1.3", out: "2.1.4"},
		"two quarantined ones":                     {policy: semver("~> 2.1"), tags: "2.1.3 2.1.4 2.1.5", held: "2.1.3", records: broken("2.1.5", "2.1.4"), want: "2.1.3", out: "2.1.5 2.1.4"},
		"a newer one than the quarantined":         {policy: semver("~> 2.1"), tags: "2.1.3 2.1.4 2.1.5", held: "2.1.3", records: broken("2.1.4"), want: "2.1.5"},
		"what is held is not quarantined":          {policy: semver("~> 2.1"), tags: "2.1.3 2.1.4", held: "2.1.4", records: broken("2.1.4"), want: "2.1.4"},
		"all quarantined, nothing held":            {policy: semver("~> 2.1"), tags: "2.1.3", records: broken("2.1.3"), out: "2.1.3"},
		"a pattern":                                {policy: release.VersionPolicy{Pattern: "^main-[0-9]{14}-"}, tags: "main-20260102030405-ff main-20260102030406-aa dev-20270102030405-aa", want: "main-20260102030406-aa"},
		"a pattern's numbers are compared as such": {policy: release.VersionPolicy{Pattern: "^build-"}, tags: "build-9 build-10 build-8", want: "build-10"},
	} {
		choice, err := plan.Choose(test.policy, plan.Tags{List: strings.Fields(test.tags), From: "at the registry"}, test.held, test.records)
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, q := range choice.Quarantined {
			out = append(out, q.Version)
		}
		if choice.Version != test.want || strings.Join(out, " ") != test.out {
			t.Errorf("%s: %q, quarantined %v, want %q and %q", name, choice.Version, out, test.want, test.out)
		}
	}
}

func TestWhatCannotBeAskedLeavesWhatIsHeld(t *testing.T) {
	choice, err := plan.Choose(release.VersionPolicy{Semver: "~> 2.1"}, plan.Tags{Unasked: "no route"}, "2.1.0", nil)
	if err != nil || choice.Version != "2.1.0" || choice.Unasked != "no route" {
		t.Errorf("%+v %v", choice, err)
	}
	if got := choice.String(); got != "version 2.1.0 stays, for the newest that fits ~> 2.1 is not known: no route" {
		t.Error(got)
	}
}

func TestAVersionIsQuarantinedByItsOwnFaultOnly(t *testing.T) {
	record := func(n int, version string, outcome state.Outcome, own bool, kind plan.Kind) state.Record {
		return state.Record{Number: n, Version: version, Outcome: outcome, OwnFault: own, Kind: string(kind)}
	}
	got := plan.Quarantine([]state.Record{ // the newest first
		record(12, "a", state.OutcomeCancelled, false, plan.KindRelease),
		record(11, "a", state.OutcomeFailed, true, plan.KindRelease), // the cancelled one says nothing
		record(10, "b", state.OutcomeSucceeded, false, plan.KindRelease),
		record(9, "b", state.OutcomeFailed, true, plan.KindRelease),  // it has succeeded since
		record(8, "c", state.OutcomeFailed, false, plan.KindRelease), // a server's fault
		record(7, "d", state.OutcomeFailed, true, plan.KindConfig),   // another configuration's
		record(6, "d", state.OutcomeSucceeded, false, plan.KindRelease),
		record(5, "e", state.OutcomePartial, false, plan.KindRelease),
		record(4, "e", state.OutcomeFailed, true, plan.KindRelease),
		record(3, "f", state.OutcomeRunning, false, plan.KindRelease),
		record(2, "f", state.OutcomeFailed, true, plan.KindRollback),
	})
	if len(got) != 2 || got["a"] != 11 || got["f"] != 2 {
		t.Error(got)
	}
}

// The laws: the order of the tags does not matter; what is chosen fits, is there, and is not quarantined, or is held; nothing newer
// that fits and is not quarantined is passed by; and what fits and is held is never left for an older one.
func TestLawsOfAChoice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		policy := pick(t, "policy", release.VersionPolicy{Semver: "~> 1.1"}, release.VersionPolicy{Semver: ">= 0.2.0, != 1.1.1"},
			release.VersionPolicy{Semver: ">= 1.1.0-rc.1"}, release.VersionPolicy{Pattern: "^v?[0-9]+[.]"}, release.VersionPolicy{Pattern: "-rc"})
		tag := rapid.Custom(func(t *rapid.T) string {
			text := pick(t, "v", "", "v") + fmt.Sprintf("%d.%d.%d", rapid.IntRange(0, 2).Draw(t, "major"), rapid.IntRange(0, 11).Draw(t, "minor"), rapid.IntRange(0, 2).Draw(t, "patch"))
			return text + pick(t, "pre", "", "", "-rc.1", "-rc.10", "-rc.2")
		})
		other := rapid.SampledFrom([]string{"latest", "1.1", "main", "20260101", "01.2.3", "sha256-" + strings.Repeat("a", 64) + ".sig"})
		tags := rapid.SliceOfNDistinct(rapid.OneOf(tag, tag, tag, other), 0, 12, rapid.ID[string]).Draw(t, "tags")
		held := rapid.OneOf(rapid.Just(""), tag, rapid.Just("0123abc")).Draw(t, "held")
		var records []state.Record
		for i, v := range rapid.SliceOfN(tag, 0, 6).Draw(t, "failed") {
			records = append(records, state.Record{Number: 90 - i, Version: v, Kind: "release", Outcome: state.OutcomeFailed, OwnFault: rapid.Bool().Draw(t, "own")})
		}
		order, err := policy.Order()
		if err != nil {
			t.Fatal(err)
		}
		choice, _ := plan.Choose(policy, plan.Tags{List: tags}, held, records)
		shuffled := slices.Clone(tags)
		rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1)).Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		again, _ := plan.Choose(policy, plan.Tags{List: shuffled}, held, records)
		if fmt.Sprint(choice) != fmt.Sprint(again) {
			t.Fatalf("another order of the tags, another choice: %+v %+v", choice, again)
		}
		failed := plan.Quarantine(records)
		chosen := choice.Version
		_, out := failed[chosen]
		if chosen != "" && chosen != held && (out || !order.Fits(chosen) || !slices.Contains(tags, chosen)) {
			t.Fatalf("%s must not be chosen of %v, quarantined %v", chosen, tags, failed)
		}
		if held != "" && order.Fits(held) && order.Compare(chosen, held) < 0 {
			t.Fatalf("from %s back to %s", held, chosen)
		}
		for _, tag := range tags {
			_, out := failed[tag]
			if !order.Fits(tag) || out && tag != held {
				continue
			}
			if chosen == "" || order.Fits(chosen) && order.Compare(tag, chosen) > 0 || !order.Fits(chosen) {
				t.Fatalf("%s is there and fits, and %q was chosen", tag, chosen)
			}
		}
	})
}
