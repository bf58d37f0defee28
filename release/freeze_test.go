package release

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Berlin's clocks go from 02:00 to 03:00 on 29 March 2026, a Sunday, and from 03:00 back to 02:00 on 25 October, a Sunday.
func TestAFreezeHoldsFromItsBeginningToItsEnd(t *testing.T) {
	const winter, summer = "+01:00", "+02:00"
	weekend := Freeze{Name: "weekend", Days: []string{"fri", "sat", "sun"}, From: "17:00", To: "09:00", Zone: "Europe/Berlin"}
	lunch := Freeze{Name: "lunch", From: "12:00", To: "13:00", Zone: "Europe/Berlin"}
	night := Freeze{Name: "night", From: "02:30", To: "03:30", Zone: "Europe/Berlin"}
	late := Freeze{Name: "late", From: "01:00", To: "02:30", Zone: "Europe/Berlin"}
	gap := Freeze{Name: "gap", From: "02:10", To: "02:50", Zone: "Europe/Berlin"}
	for _, c := range []struct {
		freeze    Freeze
		at, until string // until "": it does not hold
	}{
		{weekend, "2026-06-05T16:59:59" + summer, ""}, // a Friday
		{weekend, "2026-06-05T17:00:00" + summer, "2026-06-06T09:00:00" + summer},
		{weekend, "2026-06-06T08:59:59" + summer, "2026-06-06T09:00:00" + summer},
		{weekend, "2026-06-06T09:00:00" + summer, ""},
		{weekend, "2026-06-08T08:00:00" + summer, "2026-06-08T09:00:00" + summer}, // Monday, begun on Sunday
		{weekend, "2026-06-08T18:00:00" + summer, ""},
		{weekend, "2026-06-05T15:00:00Z", "2026-06-06T07:00:00Z"}, // the same moment in another zone
		{lunch, "2026-06-10T12:30:00" + summer, "2026-06-10T13:00:00" + summer},
		{lunch, "2026-06-10T12:30:00Z", ""},
		// Spring: the night between is an hour shorter, and 02:30 is left out.
		{weekend, "2026-03-29T08:00:00" + summer, "2026-03-29T09:00:00" + summer},
		{weekend, "2026-03-28T23:00:00" + winter, "2026-03-29T07:00:00Z"},
		{night, "2026-03-29T00:59:59Z", ""},
		{night, "2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z"},
		{late, "2026-03-29T00:30:00Z", "2026-03-29T01:00:00Z"},
		{late, "2026-03-29T01:00:00Z", ""},
		{gap, "2026-03-29T01:00:00Z", ""},
		// Autumn: the night is an hour longer, and 02:30 comes twice.
		{weekend, "2026-10-24T23:00:00" + summer, "2026-10-25T08:00:00Z"},
		{night, "2026-10-25T00:29:59Z", ""},
		{night, "2026-10-25T00:30:00Z", "2026-10-25T02:30:00Z"},
		{night, "2026-10-25T01:15:00Z", "2026-10-25T02:30:00Z"}, // 02:15 for the second time
		{late, "2026-10-25T01:15:00Z", "2026-10-25T01:30:00Z"},
		{late, "2026-10-25T01:30:00Z", ""},
		{gap, "2026-10-25T01:05:00Z", "2026-10-25T01:50:00Z"},
		{gap, "2026-10-25T01:50:00Z", ""},
	} {
		at := moment(t, c.at)
		got, until, ok := Reconcile{Freezes: []Freeze{c.freeze}}.Frozen(at)
		if ok != (c.until != "") || ok && (!until.Equal(moment(t, c.until)) || got.Name != c.freeze.Name) {
			t.Errorf("%s at %s: %v until %s, want %q", c.freeze.Name, c.at, ok, until.UTC().Format(time.RFC3339), c.until)
		}
	}
}

func TestFreezesThatOverlapOrFollowEndTogether(t *testing.T) {
	r := Reconcile{Freezes: []Freeze{
		{Name: "short", From: "10:00", To: "11:00", Zone: "UTC"},
		{Name: "long", From: "10:30", To: "12:00", Zone: "UTC"},
		{Name: "next", From: "12:00", To: "13:00", Zone: "UTC"},
		{Name: "after a gap", From: "13:01", To: "14:00", Zone: "UTC"},
	}}
	f, until, ok := r.Frozen(moment(t, "2026-06-10T10:45:00Z"))
	if !ok || f.Name != "long" || !until.Equal(moment(t, "2026-06-10T13:00:00Z")) {
		t.Errorf("%v %v until %s", ok, f.Name, until)
	}
	always := Reconcile{Freezes: []Freeze{{Name: "a", From: "00:00", To: "12:00", Zone: "UTC"}, {Name: "b", From: "12:00", To: "00:00", Zone: "UTC"}}}
	if _, until, ok := always.Frozen(moment(t, "2026-06-10T10:45:00Z")); !ok || until.Before(moment(t, "2026-07-10T00:00:00Z")) || until.After(moment(t, "2026-07-13T00:00:00Z")) {
		t.Errorf("%v until %s, want about a month", ok, until)
	}
	if _, _, ok := (Reconcile{}).Frozen(moment(t, "2026-06-10T10:45:00Z")); ok {
		t.Error("no freeze holds")
	}
}

// A zone that left out a whole day when it moved over the date line, and one whose clocks move by half an hour.
func TestUnusualClocksAreHeeded(t *testing.T) {
	apia := Reconcile{Freezes: []Freeze{{Name: "day", Days: []string{"fri"}, From: "08:00", To: "17:00", Zone: "Pacific/Apia"}}}
	for _, at := range []string{"2011-12-30T09:59:00Z", "2011-12-30T10:00:00Z", "2011-12-30T20:00:00Z"} {
		if _, until, ok := apia.Frozen(moment(t, at)); ok { // there was no Friday 30 December 2011 there
			t.Errorf("at %s it holds until %s", at, until)
		}
	}
	howe := Reconcile{Freezes: []Freeze{{Name: "night", From: "02:15", To: "03:00", Zone: "Australia/Lord_Howe"}}}
	if _, until, ok := howe.Frozen(moment(t, "2026-10-03T15:30:00Z")); !ok || !until.Equal(moment(t, "2026-10-03T16:00:00Z")) {
		t.Errorf("%v until %s", ok, until) // 02:00 becomes 02:30
	}
}

var someZones = []string{"UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "Pacific/Apia", "Africa/Casablanca"}

// A freeze that holds ends later than now, holds all the time until then, and not any more then.
func TestUntilIsTheFirstMomentThatIsNotFrozen(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, at := drawFreezes(t), drawMoment(t)
		f, until, ok := r.Frozen(at)
		if !ok {
			if f.Name != "" || !until.IsZero() {
				t.Fatalf("nothing holds, and %q until %s is given", f.Name, until)
			}
			return
		}
		if !until.After(at) {
			t.Fatalf("it holds at %s until %s", at, until)
		}
		between := at.Add(time.Duration(rapid.Int64Range(0, int64(until.Sub(at))-1).Draw(t, "between")))
		if _, again, still := r.Frozen(between); !still || !again.Equal(until) && until.Sub(at) < farthest {
			t.Fatalf("it holds at %s until %s; at %s it is %v until %s", at, until, between, still, again)
		}
		if _, _, still := r.Frozen(until); still && until.Sub(at) < farthest {
			t.Fatalf("it holds at %s until %s, and then too", at, until)
		}
	})
}

// Far from any change of the clocks, whether it is frozen stands on the wall: the day and the time of day.
func TestFarFromAChangeOfTheClocksAFreezeIsWhatTheClockShows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, at := drawFreezes(t), drawMoment(t)
		want := false
		for _, f := range r.Freezes {
			zone, err := time.LoadLocation(f.Zone)
			if err != nil {
				t.Fatal(err)
			}
			local := at.In(zone)
			if start, end := local.ZoneBounds(); !start.IsZero() && at.Sub(start) < 72*time.Hour || !end.IsZero() && end.Sub(at) < 72*time.Hour {
				return
			}
			clock, today, yesterday := local.Format("15:04"), weekdays[local.Weekday()], weekdays[(local.Weekday()+6)%7]
			begins := func(day string) bool { return len(f.Days) == 0 || slices.Contains(f.Days, day) }
			if f.From < f.To {
				want = want || begins(today) && f.From <= clock && clock < f.To
			} else {
				want = want || begins(today) && f.From <= clock || begins(yesterday) && clock < f.To
			}
		}
		if _, _, got := r.Frozen(at); got != want {
			t.Fatalf("%+v at %s: %v, want %v", r.Freezes, at, got, want)
		}
	})
}

func drawFreezes(t *rapid.T) Reconcile {
	var r Reconcile
	for i := range rapid.IntRange(1, 3).Draw(t, "freezes") {
		clock := func(name string) string {
			return fmt.Sprintf("%02d:%02d", rapid.IntRange(0, 23).Draw(t, name), rapid.SampledFrom([]int{0, 15, 30, 59}).Draw(t, name))
		}
		f := Freeze{Name: fmt.Sprint(i), From: clock("from"), To: clock("to"), Zone: rapid.SampledFrom(someZones).Draw(t, "zone"),
			Days: rapid.SliceOfNDistinct(rapid.SampledFrom(weekdays), 0, 4, rapid.ID[string]).Draw(t, "days")}
		if f.From == f.To {
			t.Skip("no file has such a freeze")
		}
		r.Freezes = append(r.Freezes, f)
	}
	return r
}

func drawMoment(t *rapid.T) time.Time {
	year := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	near := rapid.SampledFrom([]time.Time{year, time.Date(2026, 3, 29, 1, 0, 0, 0, time.UTC), time.Date(2026, 10, 25, 1, 0, 0, 0, time.UTC),
		time.Date(2026, 10, 3, 15, 30, 0, 0, time.UTC)}).Draw(t, "near")
	minutes := 24 * 60
	if near.Equal(year) {
		minutes = 365 * 24 * 60
	}
	return near.Add(time.Duration(rapid.IntRange(-minutes/2, minutes).Draw(t, "minute")) * time.Minute)
}

func moment(t *testing.T, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}
