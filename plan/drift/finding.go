// Package drift says what a plan that was measured against the held release has found, as findings that stay the same from one look
// to the next, and shows them: for a terminal, a program, a merge request, a CI's test report, a code scanner and a browser. It is
// pure, as plan is.
package drift

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/state"
)

// The severities of a finding.
const (
	Critical = "critical" // something serves less, or nothing
	Warning  = "warning"  // it serves, and not as it was released
	Info     = "info"     // nobody who is served notices
)

// Of gives the findings of a plan that was measured against what is held, sorted by host, role, class and name: what drifted, what is
// there and no release asks for, and what was moved by hand. Their ID is the same as long as the difference is there; Since is now,
// for whoever has not seen them before.
func Of(p plan.Plan, now time.Time) []state.Finding {
	var found []state.Finding
	for _, item := range p.Items {
		if item.Cause == plan.Drift || item.Cause == plan.Orphan {
			found = append(found, finding(p, item, now))
		}
	}
	for _, m := range p.Moved {
		found = append(found, moved(m, now))
	}
	slices.SortStableFunc(found, func(x, y state.Finding) int {
		return cmp.Or(cmp.Compare(x.Host, y.Host), cmp.Compare(x.Role, y.Role), cmp.Compare(x.Class, y.Class), cmp.Compare(x.Name, y.Name))
	})
	return merge(found)
}

// Worse orders severities: it is positive where x is worse than y. One that is not known is the least.
func Worse(x, y string) int { return rank(x) - rank(y) }

func rank(severity string) int { return slices.Index([]string{Info, Warning, Critical}, severity) }

func finding(p plan.Plan, item plan.Item, now time.Time) state.Finding {
	class := item.Class
	if class == "" { // of a plan from before classes
		class = plan.DriftSpec
	}
	name := item.Name
	if item.Resource == plan.ResourceErrorPages { // theirs is a digest
		name = string(item.Resource)
	}
	return state.Finding{
		ID: id(string(class), item.Host, item.Role, name), Class: string(class), Severity: severity(item, class),
		Host: item.Host, Role: item.Role, Name: name, Reason: reason(item), Since: now, Heals: heals(p, item, class),
	}
}

func moved(m plan.HandMove, now time.Time) state.Finding {
	return state.Finding{
		ID: id(string(plan.DriftMoved), m.Host, m.Role, m.What), Class: string(plan.DriftMoved), Severity: Warning,
		Host: m.Host, Role: m.Role, Name: m.What, Reason: fmt.Sprintf("it is at %s, and no record says so: the newest is of %s", m.To, m.From), Since: now,
		Heals: "nothing: `kamald adopt` takes what runs now, `kamald release VERSION` goes to that version",
	}
}

// id names a difference by what is there and not by when it was seen. The parts are escaped, so that no two differences share one.
func id(class, host, role, name string) string {
	return url.PathEscape(class) + "/" + url.PathEscape(host) + "/" + url.PathEscape(role) + "/" + url.PathEscape(name)
}

// reason has the fields that differ with it, which an item shows apart. Secrets' values are in no field.
func reason(item plan.Item) string {
	text := item.Reason
	if len(item.Fields) > 0 {
		text += ": " + plan.FieldsText(item.Fields)
	}
	return text
}

func severity(item plan.Item, class plan.DriftClass) string {
	switch class {
	case plan.DriftRoute:
		if item.Resource == plan.ResourceErrorPages { // whom the app answers notices nothing
			return Warning
		}
		return Critical
	case plan.DriftMissing, plan.DriftExited, plan.DriftRestarting, plan.DriftUnhealthy, plan.DriftPaused, plan.DriftNetwork:
		return Critical
	case plan.DriftProxy:
		if item.Action == plan.Replace { // it serves, with other settings
			return Warning
		}
		return Critical
	case plan.DriftOrphan, plan.DriftRecord:
		return Info
	}
	return Warning
}

// heals says in one phrase what healing would do, or why it does nothing.
func heals(p plan.Plan, item plan.Item, class plan.DriftClass) string {
	switch {
	case item.Deferred != "":
		return item.Deferred
	case len(p.Moved) > 0: // nothing is done to an app of which somebody moved a part
		return "nothing until what was moved by hand is settled"
	case item.Cause == plan.Orphan:
		return "nothing: approve it with `kamald approve`"
	}
	switch class {
	case plan.DriftRoute:
		return healsRoute(item)
	case plan.DriftNetwork:
		if item.Resource == plan.ResourceNetwork {
			return "make the network again"
		}
		return "attach it to its network again"
	case plan.DriftTag:
		return "move the tag back to " + p.Version
	case plan.DriftImage:
		if item.Action == plan.Create {
			return "fetch the image again"
		}
		return "put the tag back at the image that was released"
	case plan.DriftSecretsFile:
		return "write the file again"
	case plan.DriftProxy:
		return healsProxy(item)
	case plan.DriftRecord:
		return "write the record there"
	case plan.DriftDisk, plan.DriftOrphan:
		return "remove it"
	}
	return healsContainer(p, item, class)
}

func healsRoute(item plan.Item) string {
	if item.Resource == plan.ResourceErrorPages {
		return "bring the error pages again"
	}
	if slices.ContainsFunc(item.Fields, func(f plan.Field) bool { return f.Path == "state" }) {
		return "let the route serve again"
	}
	return "put the route back"
}

func healsProxy(item plan.Item) string {
	switch item.Action {
	case plan.Create:
		return "make the proxy again"
	case plan.Replace:
		return "make the proxy anew"
	}
	return "start the proxy, on its network"
}

func healsContainer(p plan.Plan, item plan.Item, class plan.DriftClass) string {
	then := ""
	if slices.ContainsFunc(p.Steps, func(s plan.Step) bool { return s.Kind == plan.StepSwitch && s.Host == item.Host && s.Role == item.Role }) {
		then = " and switch to it"
	}
	switch {
	case item.Action == plan.Remove:
		return "stop it"
	case class == plan.DriftExited:
		return "start it again" + then
	case item.Action == plan.Update:
		return "set it right in place"
	case class == plan.DriftMissing:
		return "make it again" + then
	case class == plan.DriftSuperseded:
		return "bring " + p.Version + then
	}
	return "make another" + then
}

// merge joins what several items say of one thing: a route that was to serve again may go elsewhere, too. Those of one ID are
// neighbours, since it is made of what they are sorted by.
func merge(found []state.Finding) []state.Finding {
	merged := make([]state.Finding, 0, len(found))
	for _, f := range found {
		if len(merged) == 0 || merged[len(merged)-1].ID != f.ID {
			merged = append(merged, f)
			continue
		}
		last := &merged[len(merged)-1]
		last.Reason, last.Heals = join(last.Reason, f.Reason), join(last.Heals, f.Heals)
		if Worse(f.Severity, last.Severity) > 0 {
			last.Severity = f.Severity
		}
	}
	return merged
}

func join(x, y string) string {
	if x == y || strings.HasSuffix(x, "; "+y) {
		return x
	}
	return x + "; " + y
}
