package plan_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// law holds for every plan of every world: it gives what breaks it.
type law func(w *world, p plan.Plan) []string

// laws by name. Each is held to any world (TestEveryPlanKeepsEveryLaw), and each is broken on purpose (TestEveryLawCanBeBroken).
var laws = map[string]law{
	"every wait ends":                endless,
	"steps wait for what makes safe": unsafe,
	"groups follow each other":       unordered,
	"never more than the limit":      crowded,
	"only what is ours and seen":     trespass,
	"only this destination's":        strayed,
	"only what is in scope":          outOfScope,
	"a rollback loses nothing":       unretained,
	"one class for each container":   unclassed,
	"no secret shows":                leaked,
	"a plan comes back":              unreadable,
	"a plan that waits does nothing": restless,
	"nothing is another app's":       poached,
	"what was stopped stays so":      woken,
}

// endless: a step that never begins though every other does its work: it needs what is not there, or itself.
func endless(_ *world, p plan.Plan) (broken []string) {
	g, done := graphOf(p), map[string]bool{}
	if len(g.steps) != len(p.Steps) {
		broken = append(broken, "two steps have one ID")
	}
	for again := true; again; {
		again = false
		for _, s := range p.Steps {
			if !done[s.ID] && begins(s, done) {
				done[s.ID], again = true, true
			}
		}
	}
	for _, s := range p.Steps {
		missing := slices.ContainsFunc(s.Needs, func(need string) bool { _, there := g.steps[need]; return !there })
		switch {
		case !done[s.ID] || missing || g.after(s.ID)[s.ID]:
			broken = append(broken, s.ID+" waits for ever")
		case (s.Kind == plan.StepGate || s.Kind == plan.StepBarrier) && len(s.Needs) == 0:
			broken = append(broken, "nothing opens "+s.ID)
		case s.Kind == plan.StepBarrier && !slices.ContainsFunc(s.Needs, func(need string) bool {
			return g.steps[need].Kind == plan.StepProve && g.steps[need].Group <= s.Group && !g.after(need)[s.ID]
		}):
			broken = append(broken, "no healthy container opens "+s.ID)
		}
	}
	return broken
}

func unsafe(w *world, p plan.Plan) (broken []string) {
	g := graphOf(p)
	for _, s := range p.Steps {
		for _, other := range p.Steps {
			if why := mustFollow(w, p.Kind, s, other); why != "" && !g.after(s.ID)[other.ID] {
				broken = append(broken, fmt.Sprintf("%s does not wait for %s: %s", s.ID, other.ID, why))
			}
		}
	}
	return broken
}

// unordered: a step of a group that begins before all of the group before it is done, whatever the steps are.
func unordered(_ *world, p plan.Plan) (broken []string) {
	g := graphOf(p)
	for _, s := range p.Steps {
		for _, other := range p.Steps {
			if s.Group > 1 && other.Group == s.Group-1 && !g.after(s.ID)[other.ID] && s.Kind != plan.StepGate && other.Kind != plan.StepGate {
				broken = append(broken, fmt.Sprintf("%s does not wait for %s of the group before", s.ID, other.ID))
			}
		}
	}
	return broken
}

func crowded(w *world, p plan.Plan) (broken []string) {
	total, group := map[string]bool{}, map[string]int{}
	for _, role := range w.desired.Roles {
		for _, host := range role.Hosts {
			total[host] = true
		}
	}
	for i, hosts := range p.Groups {
		if over(w.desired.Rollout.Limit, len(hosts), len(total)) {
			broken = append(broken, fmt.Sprintf("%v is more than %+v", hosts, w.desired.Rollout.Limit))
		}
		for _, host := range hosts {
			if group[host] > 0 {
				broken = append(broken, host+" is in two groups")
			}
			group[host] = i + 1
		}
	}
	for _, s := range p.Steps {
		boots := s.Kind == plan.StepStart || s.Kind == plan.StepSwitch || s.Kind == plan.StepCreate
		if s.Host != "" && s.Group != group[s.Host] && (s.Group > 0 || boots) {
			broken = append(broken, s.ID+" is not with its host's group")
		}
	}
	return broken
}

// over tells whether so many hosts at once are more than a limit of all; one at a time always is within it.
func over(l release.Limit, hosts, all int) bool {
	return hosts > 1 && (l.Count > 0 && hosts > l.Count || l.Count == 0 && l.Percent > 0 && hosts*100 > l.Percent*all)
}

// trespass: a step on a host that was not seen, or is left out; or on what is another's or nobody's.
func trespass(w *world, p plan.Plan) (broken []string) {
	app := w.desired.App()
	cordoned := plan.CordonedIn(w.input().Observed, epoch)
	for _, s := range p.Steps {
		if s.Host == "" {
			continue
		}
		i := slices.IndexFunc(w.hosts, func(h state.Host) bool { return h.Name == s.Host })
		if i < 0 || w.hosts[i].Unreachable != "" || cordoned[s.Host] != "" {
			broken = append(broken, s.ID+" is on a host that was not observed, or is cordoned")
			continue
		}
		c := w.container(s.Host, s.Container)
		if c != nil && s.Kind != plan.StepCreate && s.Kind != plan.StepProxy && (c.Service != app.Service || c.Destination != app.Destination || c.Role == "" && c.Hook == "") {
			broken = append(broken, s.ID+" touches "+c.Name+", which is not ours")
		}
	}
	return broken
}

// strayed: a name in a step that is another destination's or service's: of a container, route, tag, image, network, file.
func strayed(w *world, p plan.Plan) (broken []string) {
	app, image := w.desired.App(), w.desired.ImageName()
	for _, s := range p.Steps {
		ok := true
		switch s.Kind {
		case plan.StepCreate:
			labels := s.Spec.Labels
			ok = s.Name == app.ContainerName(s.Role, w.desired.Version) && s.Spec.Image == w.desired.Image() &&
				labels[state.LabelService] == app.Service && labels[state.LabelDestination] == app.Destination && labels[state.LabelRole] == s.Role
		case plan.StepSwitch, plan.StepUnroute:
			ok = s.Name == app.RouteName(s.Role) && (s.Route == nil || s.Route.Name == s.Name) && (s.OldRoute == nil || s.OldRoute.Name == s.Name)
		case plan.StepTag:
			ok = s.Name == image+":"+app.LatestTag()
		case plan.StepImage:
			ok = s.Name == w.desired.Image()
		case plan.StepUntag:
			ok = untags(w, s, p)
		case plan.StepNetwork:
			ok = s.Name == w.desired.Network
		case plan.StepProxy:
			ok = s.Name == w.desired.ProxyServer.Name
		case plan.StepClean:
			ok = slices.Contains(w.litter[s.Host], s.Name)
		case plan.StepEnv:
			_, ok = w.desired.Role(s.Role)
		}
		if !ok {
			broken = append(broken, fmt.Sprintf("%s names %q, which is not %s's", s.ID, s.Name, app))
		}
	}
	return broken
}

// untags tells whether an image reference may go: it is the repository's, no latest, and of an image that no container has that
// stays.
func untags(w *world, s plan.Step, p plan.Plan) bool {
	h := w.host(s.Host)
	m, there := h.Image(s.Name)
	for _, c := range h.Containers {
		goes := slices.ContainsFunc(p.Steps, func(o plan.Step) bool { return o.Kind == plan.StepRemove && o.Container == c.ID })
		if there && c.ImageID == m.ID && !goes {
			return false
		}
	}
	return strings.HasPrefix(s.Name, w.desired.ImageName()) && !strings.Contains(s.Name, ":latest")
}

// outOfScope: a step outside the filter; a partial release that takes something away; a prune that does anything else.
func outOfScope(w *world, p plan.Plan) (broken []string) {
	scope := w.options.Filter
	takes := []plan.StepKind{plan.StepRemove, plan.StepUntag, plan.StepClean}
	for _, s := range p.Steps {
		switch {
		case w.options.Prune && !slices.Contains(takes, s.Kind):
			broken = append(broken, s.ID+" is in a prune")
		case s.Host != "" && s.Role != "" && !scope.Has(s.Host, s.Role):
			broken = append(broken, s.ID+" is out of scope "+scope.String())
		case !scope.Whole() && !w.options.Prune && (slices.Contains(takes, s.Kind) || s.Kind == plan.StepTag || s.Kind == plan.StepUnroute):
			broken = append(broken, s.ID+" is in a filtered plan")
		}
	}
	return broken
}

// unretained: what a rollback would need, and the plan removes: what serves, too many of the versions to go back to, or an image.
func unretained(w *world, p plan.Plan) (broken []string) {
	after := w.clone()
	for _, s := range p.Steps {
		if h := after.find(s.Host); h != nil && s.Kind == plan.StepRemove {
			h.Containers = slices.DeleteFunc(h.Containers, func(c state.Container) bool { return c.ID == s.Container })
		}
	}
	return append(lost(w, after), unpictured(w, p)...)
}

// unpictured: an image that goes, of a version that a rollback goes back to, whether a container has it or not: one that is gone
// is made again from it, though the registry may not have it any more.
func unpictured(w *world, p plan.Plan) (broken []string) {
	for _, s := range p.Steps {
		version, ours := strings.CutPrefix(s.Name, w.desired.ImageName()+":")
		if s.Kind == plan.StepUntag && ours && slices.Contains(w.goesBackTo(w.keep()), version) {
			broken = append(broken, s.ID+": a rollback to "+version+" has no image any more")
		}
	}
	return broken
}

func unclassed(w *world, _ plan.Plan) (broken []string) {
	classes := []plan.Class{plan.Current, plan.Candidate, plan.Superseded, plan.Draining, plan.Failed, plan.Orphaned, plan.Foreign, plan.Unknown}
	app := w.desired.App()
	for _, h := range w.hosts {
		current := map[string]bool{}
		for _, c := range h.Containers {
			class := plan.Classify(w.desired, h, c)
			if w.reclass != nil {
				class = w.reclass(c, class)
			}
			ours := c.Service == app.Service && c.Destination == app.Destination && c.Role != ""
			switch {
			case !slices.Contains(classes, class), ours == (class == plan.Foreign), class == plan.Current && current[c.Role]:
				broken = append(broken, fmt.Sprintf("%s is %q", c.Name, class))
			}
			current[c.Role] = current[c.Role] || class == plan.Current
		}
	}
	return broken
}

// leaked: neither values of secrets nor digests of them are shown.
func leaked(_ *world, p plan.Plan) (broken []string) {
	whole, _ := json.Marshal(p)
	shown, _ := json.Marshal([]any{p.Items, p.Problems})
	if strings.Contains(string(shown), "s3cret") || strings.Contains(strings.ReplaceAll(string(whole), "digest-of-s3cret", ""), "s3cret") {
		broken = append(broken, "a secret shows in "+string(shown))
	}
	return broken
}

func unreadable(_ *world, p plan.Plan) []string {
	var back plan.Plan
	data, err := json.Marshal(p)
	if err == nil {
		err = json.Unmarshal(data, &back)
	}
	if err != nil || !reflect.DeepEqual(p, back) {
		return []string{fmt.Sprintf("%+v became %+v: %v", p, back, err)}
	}
	return nil
}

// restless: a plan that waits for something has steps, or says of an item that it would happen.
func restless(_ *world, p plan.Plan) []string {
	if p.Waits == "" {
		p = p.Wait("a hold")
	}
	if !p.Empty() || slices.ContainsFunc(p.Items, func(i plan.Item) bool { return i.Deferred == "" }) {
		return []string{"something is done though it waits: " + show(p)}
	}
	return nil
}
