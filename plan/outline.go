package plan

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// outline is what the text and the Markdown of a plan say, in their order.
type outline struct {
	title    string
	hosts    []outlineHost // in the file's order
	deferred []Item
	skipped  []Skipped // unreachable hosts that no problem names
	scope    string    // what it is limited to; "" when to nothing
	pinned   string    // which image is meant; "" when none comes anywhere
	rollout  string    // how it goes over the hosts; "" when there is nothing to say
	summary  string

	hooks []string // what runs around it

	unrecorded string // what no record knows yet; "" when there is nothing to say
}

type outlineHost struct {
	name  string
	items []Item // changes first, then drift, then what is left over
}

func (p Plan) outline() outline {
	o := outline{title: p.title(), summary: p.summary(), rollout: p.rollout(), pinned: p.pinned(), scope: p.scope(), unrecorded: p.unrecordedNote(), hooks: p.hookLines()}
	for _, item := range p.Items { // they come in the order of the file's hosts
		if item.Deferred != "" {
			o.deferred = append(o.deferred, item)
			continue
		}
		if len(o.hosts) == 0 || o.hosts[len(o.hosts)-1].name != item.Host {
			o.hosts = append(o.hosts, outlineHost{name: item.Host})
		}
		last := &o.hosts[len(o.hosts)-1]
		last.items = append(last.items, item)
	}
	for _, host := range p.Unreachable {
		if !slices.ContainsFunc(p.Problems, func(q Problem) bool { return q.Host == host.Host && strings.Contains(q.Summary, host.Reason) }) {
			o.skipped = append(o.skipped, host)
		}
	}
	for _, host := range o.hosts {
		slices.SortStableFunc(host.items, func(a, b Item) int { return causeOrder(a.Cause) - causeOrder(b.Cause) })
	}
	return o
}

func causeOrder(c Cause) int {
	return slices.Index([]Cause{Change, Drift, Leftover, Orphan, Retention}, c)
}

// title says what carrying the plan out would do.
func (p Plan) title() string {
	what := p.App.String()
	now := p.Before
	if now == "" {
		now = "nothing"
	}
	will := "will"
	if len(p.Problems) > 0 {
		will = "would"
	}
	switch p.Kind {
	case KindRelease:
		return fmt.Sprintf("kamald %s release %s %s (now %s)", will, what, p.Version, now)
	case KindRollback:
		return fmt.Sprintf("kamald %s roll %s back to %s (now %s)", will, what, p.Version, now)
	case KindConfig:
		return fmt.Sprintf("kamald %s change the configuration of %s %s", will, what, p.Version)
	case KindPrune:
		if len(p.Steps) == 0 && len(p.Problems) == 0 {
			return "Nothing to prune: all that " + what + " has on the servers is kept for something."
		}
		return fmt.Sprintf("kamald %s prune %s: %s", will, what, p.frees())
	case KindAccessory:
		return fmt.Sprintf("kamald %s bring accessories of %s to what the file says", will, what)
	case KindHeal:
		return fmt.Sprintf("kamald %s heal drift of %s %s", will, what, p.Version)
	}
	if p.Waits != "" {
		return fmt.Sprintf("Nothing is done to %s now: %s", what, p.Waits)
	}
	if len(p.Unreachable) > 0 {
		return fmt.Sprintf("Nothing to do on the hosts that were reached: %s %s runs there as written.", what, p.Version)
	}
	return fmt.Sprintf("Nothing to do: %s %s runs as written.", what, p.Version)
}

// scope says what the plan is limited to, and what that means.
func (p Plan) scope() string {
	switch {
	case p.Filter.Whole():
		return ""
	case p.Partial:
		return fmt.Sprintf("Only %s: a partial release. latest stays where it is, and nothing is pruned; `kamald apply` releases the rest.", p.Filter)
	}
	return fmt.Sprintf("Only %s.", p.Filter)
}

// frees says how much removing the plan's images gives back at most.
func (p Plan) frees() string {
	var bytes int64
	for _, item := range p.Items {
		bytes += item.Bytes
	}
	if bytes == 0 {
		return "no image goes"
	}
	return "up to " + Size(bytes) + " of images, layers that they share counted twice"
}

// Size writes bytes for a person.
func Size(bytes int64) string {
	switch {
	case bytes >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(bytes)/(1<<30))
	case bytes >= 1<<20:
		return fmt.Sprintf("%.0f MiB", float64(bytes)/(1<<20))
	}
	return fmt.Sprintf("%d KiB", (bytes+1023)/1024)
}

// summary counts items and steps; "" when there is nothing to do, or nothing that could be done.
func (p Plan) summary() string {
	if len(p.Steps) == 0 {
		return ""
	}
	counts := map[Action]int{}
	for _, item := range p.Items {
		if item.Deferred == "" {
			counts[item.Action]++
		}
	}
	steps := 0
	for _, s := range p.Steps {
		if s.Kind != StepGate && s.Kind != StepBarrier {
			steps++
		}
	}
	return fmt.Sprintf("Plan: %d to create, %d to change, %d to replace, %d to remove. %s.",
		counts[Create], counts[Update], counts[Replace], counts[Remove], number(steps, "step"))
}

// pinned says which image is meant, whatever becomes of its tag.
func (p Plan) pinned() string {
	comes := func(s Step) bool { return s.Kind == StepImage || s.Kind == StepCreate }
	if p.Pin.Value() == "" || !slices.ContainsFunc(p.Steps, comes) {
		return ""
	}
	text := fmt.Sprintf("Image: %s is %s", p.Image, p.Pin.Value())
	if p.Pin.From != "" {
		text += fmt.Sprintf(" (%s)", p.Pin.From)
	}
	return text
}

// rollout says which hosts go first, and which roles wait for whom.
func (p Plan) rollout() string {
	var parts []string
	if len(p.Groups) > 1 {
		var groups []string
		for _, group := range p.Groups {
			groups = append(groups, strings.Join(group, ", "))
		}
		parts = append(parts, strings.Join(groups, " → "))
	}
	if i := slices.IndexFunc(p.Steps, func(s Step) bool { return s.Kind == StepBarrier }); i >= 0 {
		var waiting []string
		for _, s := range p.Steps {
			if s.Phase == PhaseOthers && s.Role != "" && !slices.Contains(waiting, s.Role) {
				waiting = append(waiting, s.Role)
			}
		}
		if len(waiting) > 0 {
			parts = append(parts, fmt.Sprintf("%s only after the first %s is healthy", strings.Join(waiting, ", "), orPrimary(p.Steps[i].Role)))
		}
	}
	if text := p.canaryText(); text != "" {
		parts = append(parts, text)
	}
	if len(parts) == 0 {
		return ""
	}
	return "Rollout: " + strings.Join(parts, "; ")
}

func orPrimary(role string) string {
	if role == "" {
		return "container of the primary role"
	}
	return role
}

// what names the thing an item is about.
func (i Item) what() string {
	text := string(i.Resource) + " " + i.Name
	if i.Role != "" && i.Resource == ResourceContainer {
		text += " (" + i.Role + ")"
	}
	return text
}

// why is the reason, with the cause where it is not what the person asked for, and the risk where there is one.
func (i Item) why() string {
	text := i.Reason
	if i.Cause != Change {
		text = string(i.Cause) + ": " + text
	}
	if i.Risk == Downtime || i.Risk == Destructive {
		text += " [" + string(i.Risk) + "]"
	}
	return text
}

// Says is what an item is about and why, for whoever knows its thing already.
func (i Item) Says() string {
	text := Printable(i.why())
	for _, f := range i.Fields {
		before, after := f.values()
		text += fmt.Sprintf("\n%s: %s → %s", Printable(f.Path), before, after)
	}
	if i.Deferred != "" {
		text += "\nwaits: " + Printable(i.Deferred)
	}
	return text
}

// values are before and after as they are shown: what is not there is "(none)", and what could not be seen is quoted.
func (f Field) values() (before, after string) { return shown(f.Before), shown(f.After) }

func shown(value string) string {
	if value == "" {
		return "(none)"
	}
	return Printable(value)
}

// Printable quotes what would disturb a line or a terminal, or show it in another order. Texts come from servers, too.
func Printable(s string) string {
	if !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool {
		return r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || unicode.Is(unicode.Bidi_Control, r)
	}) {
		return fmt.Sprintf("%q", s)
	}
	return s
}

// where names the place of a problem.
func (p Problem) where() string {
	switch {
	case p.Host == "":
		return p.Role
	case p.Role == "":
		return p.Host
	}
	return p.Host + " (" + p.Role + ")"
}

func number(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
