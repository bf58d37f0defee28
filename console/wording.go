package console

import (
	"fmt"
	"html/template"
	"regexp"
	"strings"
	"time"

	"github.com/kamald/kamald/reconcile/loop"
	"github.com/kamald/kamald/state"
)

// pageWords are what templates can say.
var pageWords = template.FuncMap{
	"at":      func(now, t time.Time) moment { return moment{Now: now, At: t} },
	"coded":   coded,
	"label":   labelOf,
	"level":   levelOf,
	"name":    NameOf,
	"path":    pathOf,
	"short":   func(d time.Duration) string { return roughly(d) },
	"took":    func(from, to time.Time) string { return roughly(to.Sub(from)) },
	"outcome": outcomeLevel,
	"plural": func(n int, one string) string {
		if n == 1 {
			return "1 " + one
		}
		return fmt.Sprintf("%d %ss", n, one)
	},
	"clean": clean,
	"pair":  func(a, b any) [2]any { return [2]any{a, b} },
}

func pathOf(app state.App) string { return "/apps/" + NameOf(app) }

// moment is a time as it is shown: how long ago, and exactly.
type moment struct{ Now, At time.Time }

// Exact is for machines.
func (m moment) Exact() string { return m.At.UTC().Format(time.RFC3339) }

// Full is for a person who wants to know.
func (m moment) Full() string { return m.At.UTC().Format("2006-01-02 15:04:05 UTC") }

// Day is for tables.
func (m moment) Day() string { return m.At.UTC().Format("2006-01-02 15:04") }

// Ago is for a glance.
func (m moment) Ago() string {
	d := m.Now.Sub(m.At)
	switch {
	case m.At.IsZero():
		return "never"
	case d <= -time.Second:
		return "in " + roughly(-d)
	case d < 2*time.Second:
		return "just now"
	}
	return roughly(d) + " ago"
}

// roughly is a time in one unit, or two where one says too little.
func roughly(d time.Duration) string {
	switch {
	case d < 0:
		return "0 s"
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 10*time.Second && d%time.Second >= 100*time.Millisecond:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}

// The levels of what is shown, from good to bad. Each has a form of its own, not only a colour.
const (
	levelOK   = "ok"
	levelNote = "note" // on purpose, or nothing to do
	levelBusy = "busy"
	levelWarn = "warn"
	levelBad  = "bad"
)

var labels = map[string][2]string{
	loop.ConditionDrifted: {"Drifted", levelWarn}, loop.ConditionHealing: {"Healing", levelBusy}, loop.ConditionReleasing: {"Releasing", levelBusy},
	loop.ConditionFailed: {"Failed", levelBad}, loop.ConditionQuarantined: {"Quarantined", levelBad}, loop.ConditionNotConverging: {"Not converging", levelBad},
	loop.ConditionFlapping: {"Flapping", levelBad}, loop.ConditionOverBudget: {"Over budget", levelBad}, loop.ConditionWaiting: {"Waiting", levelNote},
	loop.ConditionApproval: {"Needs approval", levelWarn}, loop.ConditionHeld: {"Held", levelNote}, loop.ConditionMovedByHand: {"Moved by hand", levelWarn},
	loop.ConditionPaused: {"Paused", levelNote}, loop.ConditionFrozen: {"Frozen", levelNote}, loop.ConditionUnreachable: {"Unreachable", levelWarn},
	loop.ConditionLowDisk: {"Low disk", levelWarn}, loop.ConditionSourceBroken: {"Source broken", levelWarn}, loop.ConditionStoreBroken: {"Store broken", levelBad},
	loop.ConditionReportOnly: {"Report only", levelNote}, loop.ConditionDependency: {"Most are unhealthy", levelBad},
	loop.ConditionLeaderless: {"Nobody leads", levelWarn},
}

func labelOf(kind string) string {
	if known, ok := labels[kind]; ok {
		return known[0]
	}
	return kind
}

func levelOf(kind string) string {
	if known, ok := labels[kind]; ok {
		return known[1]
	}
	return levelNote
}

// outcomeLevel is how an outcome of a release or an event looks.
func outcomeLevel(outcome any) string {
	switch fmt.Sprint(outcome) {
	case string(state.OutcomeSucceeded), state.EventDone, loop.DriftGone:
		return levelOK
	case string(state.OutcomePartial), loop.DriftFound:
		return levelWarn
	case string(state.OutcomeFailed):
		return levelBad
	case string(state.OutcomeRunning):
		return levelBusy
	}
	return levelNote
}

// coded marks what a text has between backticks as something to type.
func coded(text string) template.HTML {
	var b strings.Builder
	for i, part := range strings.Split(text, "`") {
		escaped := template.HTMLEscapeString(part)
		if i%2 == 1 {
			escaped = "<code>" + escaped + "</code>"
		}
		b.WriteString(escaped)
	}
	return template.HTML(b.String()) //nolint:gosec // every part is escaped
}

var control = regexp.MustCompile("\x1b(?:\\[[0-9;?]*[ -/]*[@-~]|\\][^\x07\x1b]*(?:\x07|\x1b\\\\)|[@-_])|[\x00-\x08\x0b-\x1f\x7f\u0080-\u009f\u202a-\u202e\u2066-\u2069]")

// clean takes colours and whatever else is for a terminal out of a line of a log.
func clean(line string) string { return control.ReplaceAllString(strings.ToValidUTF8(line, "�"), "") }
