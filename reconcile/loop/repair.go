package loop

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// heal decides what is repaired, and what is left.
func (d *decision) heal(f facts) {
	if f.settings.Mode == release.ModeReport || f.held == nil {
		return
	}
	cleared := d.clear(f)
	places := f.repairs.Places()
	if len(places) == 0 && !cleared {
		return
	}
	if f.tries.again > 1 && f.tries.fixed == repairOf(f.repairs, nil) && !f.foreign {
		d.because(ConditionNotConverging, "", "", "look at what it says, and `kamald apply` tries it again", "a repair that succeeded changed nothing: %s", strings.Join(places, ", "))
		return
	}
	if f.tries.heal.failed > 0 {
		d.conditions = append(d.conditions, f.tries.heal.because)
	}
	if !f.tries.heal.due(f.now) {
		d.soon(f.tries.heal.after)
		return
	}
	boots, sick := f.repairs.Boots(), d.sick(f)
	var spent map[string]map[string]bool
	for _, at := range places {
		host, role, _ := strings.Cut(at, "/")
		if slices.Contains(sick, role) && unwell(f, host, role) || d.leaves(f, host, role, slices.Contains(boots, at), &spent) {
			d.except = append(d.except, at)
		} else if !slices.Contains(d.hosts, host) {
			d.hosts = append(d.hosts, host)
		}
	}
	d.wholly(f)
	d.orphans = cleared
	if len(d.hosts) > 0 || cleared {
		d.do = doHeal
	}
}

// wholly leaves what is of no role on a host where every role is left: a repair is of roles.
func (d *decision) wholly(f facts) {
	for _, name := range slices.Clone(d.hosts) {
		left := func(role release.Role) bool {
			return !slices.Contains(role.Places(), name) || slices.Contains(d.except, name+"/"+role.Name)
		}
		if len(d.except) > 0 && !slices.ContainsFunc(f.wanted.Tenants(), func(role release.Role) bool { return !left(role) }) {
			d.hosts = slices.DeleteFunc(d.hosts, func(host string) bool { return host == name })
			d.except = append(d.except, name+"/")
		}
	}
}

// clear decides about what no release asks for any more: healing takes it away when a person has said so, and none has paused a part of it.
func (d *decision) clear(f facts) bool {
	names := orphans(f)
	if len(names) == 0 {
		return false
	}
	key := word("orphans", strings.Join(names, " "))
	if slices.Contains(f.memory.Approved, key) {
		return !slices.ContainsFunc(f.repairs.Items, func(item plan.Item) bool { return item.Cause == plan.Orphan && d.paused(f, item.Host, item.Role) })
	}
	d.approve = cmp.Or(d.approve, key)
	d.because(ConditionApproval, "", "", "`kamald approve "+key+"`", "no release asks for %s any more", strings.Join(names, ", "))
	return false
}

// orphans names what no release asks for any more.
func orphans(f facts) (names []string) {
	for _, item := range f.repairs.Items {
		if item.Cause == plan.Orphan {
			names = append(names, item.Host+"/"+item.Name)
		}
	}
	return names
}

// sick are the roles of which more than half are unhealthy at once: then it is something that all of them need, and others in their place
// would be as unhealthy. Of a role's only container nobody can tell.
func (d *decision) sick(f facts) (roles []string) {
	for _, role := range f.wanted.Roles {
		n, all := 0, len(role.Places())
		for _, host := range role.Places() {
			if unwell(f, host, role.Name) {
				n++
			}
		}
		if all > 1 && n*2 > all {
			d.because(ConditionDependency, "", role.Name, "look at what they need: a database, a name, the network", "%d of the %d containers of %s are unhealthy at once, which looks like something that all of them depend on: none is replaced", n, all, role.Name)
			roles = append(roles, role.Name)
		}
	}
	return roles
}

// unwell tells whether a place is to be repaired because its container says that it is not healthy.
func unwell(f facts, host, role string) bool {
	return slices.ContainsFunc(f.repairs.Items, func(item plan.Item) bool {
		return item.Class == plan.DriftUnhealthy && item.Host == host && item.Role == role
	})
}

// leaves tells why a place is not repaired now.
func (d *decision) leaves(f facts, host, role string, boots bool, spent *map[string]map[string]bool) bool {
	at := host + "/" + role
	if i := slices.IndexFunc(f.repairs.Problems, func(p plan.Problem) bool { return p.Host == host && (p.Role == role || p.Role == "") }); i >= 0 {
		p := f.repairs.Problems[i]
		d.because(ConditionWaiting, host, role, p.Next, "%s", p.Summary)
		return true
	}
	if d.paused(f, host, role) {
		return true
	}
	if !boots {
		return false
	}
	window := f.now.Add(-f.settings.Window)
	if n := max(after(f.deaths[at], window), heals(f.memory, at, window)); n >= f.settings.Flap {
		d.because(ConditionFlapping, host, role, "mend the app; `kamald apply` starts it again", "it ended %d times within %s: it is left alone", n, f.settings.Window)
		d.soon(f.now.Add(f.settings.Window / 4))
		return true
	}
	if ready := settled(f, host, role); f.now.Before(ready) {
		d.soon(ready)
		return true
	}
	if *spent == nil {
		*spent = spentBudget(f, window)
	}
	allowed := allowance(f, role)
	if !(*spent)[role][host] && len((*spent)[role]) >= allowed {
		d.because(ConditionOverBudget, host, role, "`kamald apply` heals it now", "%d of the %d containers of %s that the budget of %d%% lets be healed within %s were", len((*spent)[role]), allowed, role, f.settings.Budget, f.settings.Window)
		d.soon(f.now.Add(f.settings.Window / 10))
		return true
	}
	if (*spent)[role] == nil {
		(*spent)[role] = map[string]bool{}
	}
	(*spent)[role][host] = true
	return false
}

// settled is when the engine has had its time to bring a container back by itself.
func settled(f facts, host, role string) time.Time {
	ready := time.Time{}
	if back, ok := f.back[host]; ok {
		ready = back.Add(settling / 2)
	}
	for _, finding := range f.findings {
		if finding.Host == host && finding.Role == role && finding.Class == string(plan.DriftRestarting) && finding.Since.Add(settling).After(ready) {
			ready = finding.Since.Add(settling)
		}
	}
	return ready
}

// allowance is how many containers of a role may be healed within a window.
func allowance(f facts, role string) int {
	held, ok := f.wanted.Role(role)
	if !ok {
		return 1
	}
	n := len(held.Places())
	return max((n*f.settings.Budget+99)/100, 1)
}

// spentBudget gives for each role the hosts on which it was healed after a time: what is healed again and again is no further container.
func spentBudget(f facts, after time.Time) map[string]map[string]bool {
	spent := map[string]map[string]bool{}
	for _, heal := range f.memory.Heals {
		if !heal.At.After(after) {
			continue
		}
		if spent[heal.Role] == nil {
			spent[heal.Role] = map[string]bool{}
		}
		spent[heal.Role][heal.Host] = true
	}
	return spent
}

// after counts the times after one.
func after(times []time.Time, begin time.Time) (n int) {
	for _, t := range times {
		if t.After(begin) {
			n++
		}
	}
	return n
}

func heals(memory state.Watch, at string, after time.Time) (n int) {
	for _, heal := range memory.Heals {
		if heal.At.After(after) && heal.Host+"/"+heal.Role == at {
			n++
		}
	}
	return n
}
