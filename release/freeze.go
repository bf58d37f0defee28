package release

import (
	"slices"
	"strings"
	"time"
)

// farthest is how far ahead Frozen looks for the end of freezes that follow on one another: those that cover the whole week have none.
const farthest = 31 * 24 * time.Hour

// weekdays are the words for the days, as time.Weekday counts them.
var weekdays = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// Frozen tells whether nothing but healing is to be done at a time: the freeze that holds then, the one that ends last where there
// are several, and when there is none any more, also none that follows on at once. Freezes without an end give a time a month ahead.
// What the clocks do is heeded: a freeze begins at the first moment that shows its time of day, or a later one where that is left
// out, and ends at the last one that does.
func (r Reconcile) Frozen(at time.Time) (f Freeze, until time.Time, ok bool) {
	for _, one := range r.Freezes {
		if end, holds := one.holds(at); holds && end.After(until) {
			f, until, ok = one, end, true
		}
	}
	for longer := ok; longer && until.Sub(at) < farthest; {
		longer = false
		for _, one := range r.Freezes {
			if end, holds := one.holds(until); holds {
				until, longer = end, true
			}
		}
	}
	return f, until, ok
}

// holds tells whether the freeze holds at a time, and until when. Of its beginnings only those of that day and of the days beside
// it matter, for none lasts longer than a day and what the clocks add.
func (f Freeze) holds(at time.Time) (end time.Time, ok bool) {
	zone, err := time.LoadLocation(f.Zone)
	if err != nil {
		zone = time.UTC // a file with such a zone does not load
	}
	from, fromOK := minuteOfDay(f.From)
	to, toOK := minuteOfDay(f.To)
	if !fromOK || !toOK {
		return end, false
	}
	if to <= from {
		to += 24 * 60
	}
	year, month, day := at.In(zone).Date()
	for back := 2; back >= 0; back-- {
		date := time.Date(year, month, day-back, 0, 0, 0, 0, time.UTC)
		if len(f.Days) > 0 && !slices.Contains(f.Days, weekdays[date.Weekday()]) {
			continue
		}
		begins, _ := moments(date.Add(time.Duration(from)*time.Minute), zone)
		_, ends := moments(date.Add(time.Duration(to)*time.Minute), zone)
		if !at.Before(begins) && at.Before(ends) && ends.After(end) {
			end, ok = ends, true
		}
	}
	return end, ok
}

// minuteOfDay reads "17:00".
func minuteOfDay(text string) (int, bool) {
	t, err := time.Parse("15:04", text)
	if err != nil || strings.Index(text, ":") != 2 {
		return 0, false
	}
	return t.Hour()*60 + t.Minute(), true
}

// moments are the first and the last moment at which clocks in the zone show what wall shows in UTC. Where they leave it out, both
// are the moment at which they are put forward.
func moments(wall time.Time, zone *time.Location) (first, last time.Time) {
	const aDay = 24 * time.Hour // more than any zone is away from UTC
	before, after := shownAs(wall, wall.Add(-aDay), zone), shownAs(wall, wall.Add(aDay), zone)
	switch isBefore, isAfter := shows(before, wall), shows(after, wall); {
	case isBefore && isAfter && after.Before(before):
		return after, before
	case isBefore && isAfter:
		return before, after
	case isBefore:
		return before, before
	case isAfter:
		return after, after
	}
	forward, _ := before.ZoneBounds()
	return forward, forward
}

// shownAs is the moment at which clocks that are as far from UTC as those of the zone are at another time show wall.
func shownAs(wall, as time.Time, zone *time.Location) time.Time {
	_, seconds := as.In(zone).Zone()
	return wall.Add(-time.Duration(seconds) * time.Second).In(zone)
}

// shows tells whether clocks show at a moment what wall shows in UTC.
func shows(moment, wall time.Time) bool {
	_, seconds := moment.Zone()
	return moment.Add(time.Duration(seconds) * time.Second).Equal(wall)
}
