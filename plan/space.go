package plan

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/kamald/kamald/state"
)

// makeRoom looks whether the image has room on the hosts that it comes to. Where it may not have, what is kept for nothing goes
// before it comes; where it cannot have even then, the plan has a problem. How large an image is that neither a host nor this
// machine has is not known: it is taken to be like the one that runs, which makes room and gives no alarm here.
func (b *builder) makeRoom() {
	if len(b.imaged) == 0 {
		return
	}
	size := b.imageSize()
	var tight []state.Host
	for _, on := range b.in.Desired.Hosts {
		host, ok := b.hosts[on.Name]
		if ok && b.imaged[on.Name] && host.FreeBytes >= 0 && host.FreeBytes < cmp.Or(size, latestSize(host)) && !b.hasImage(host) {
			tight = append(tight, host)
		}
	}
	if len(tight) == 0 {
		return
	}
	freed := b.pruneEarly(tight)
	if size == 0 {
		return
	}
	for _, host := range tight {
		if problem, lacks := noRoom(b.plan, host, leastOf(host, size), freed[host.Name]); lacks {
			if b.keep() > 1 {
				problem.Next = "keep less to go back to, with `kamald prune --retain 1`, or " + problem.Next
			}
			b.object(problem)
		}
	}
}

// leastOf is what an image of a size needs on a host at least: it shares at most all layers of the largest that is there.
func leastOf(host state.Host, size int64) int64 {
	least := size
	for _, image := range host.Images {
		least = min(least, size-image.Size)
	}
	return least
}

// noRoom tells whether an image cannot have room on a host. freed is what goes before it comes.
func noRoom(p Plan, host state.Host, least, freed int64) (Problem, bool) {
	if host.FreeBytes < 0 || host.FreeBytes+freed >= least {
		return Problem{}, false
	}
	summary := fmt.Sprintf("the image %s has no room: it needs at least %s where the engine keeps images%s, and %s are free", p.Image, Size(least), in(cmp.Or(host.FreeIn, host.Engine.Root)), Size(host.FreeBytes))
	if freed > 0 {
		summary += fmt.Sprintf(", at most %s more when what is kept for nothing is gone", Size(freed))
	}
	return Problem{Host: host.Name, Summary: summary, Check: CheckDisk,
		Next: "make room there: `docker system df -v` says what takes it; where it shares layers with another service's images, " + CheckDisk.ignored()}, true
}

func in(dir string) string {
	if dir == "" {
		return ""
	}
	return " (" + dir + ")"
}

// imageSize is how large the pinned image is on a host that has it, or on this machine, in bytes; 0 when none has.
func (b *builder) imageSize() int64 {
	size := b.in.Pin.Bytes
	for _, name := range b.observed {
		for _, image := range b.hosts[name].Images {
			if bears(image, b.in.Pin.Value()) {
				size = max(size, image.Size)
			}
		}
	}
	return size
}

// latestSize is how large the image is that latest is at; 0 when there is none.
func latestSize(host state.Host) int64 {
	image, _ := host.Image(host.Latest)
	return image.Size
}

func (b *builder) hasImage(host state.Host) bool {
	return slices.ContainsFunc(host.Images, func(m state.Image) bool { return bears(m, b.in.Pin.Value()) })
}

// pruneEarly puts before the image of some hosts what a prune would remove there now, measured against the release that is held:
// if this one fails, all that could be gone back to still can. It gives how many bytes that frees at most.
func (b *builder) pruneEarly(hosts []state.Host) map[string]int64 {
	freed := map[string]int64{}
	if b.in.HeldRelease == nil || b.in.Held == nil || !b.in.Options.Filter.Whole() {
		return freed
	}
	in := b.in
	in.Desired, in.Pin, in.Litter = *b.in.HeldRelease, Pin{Digest: b.in.Held.Digest, ID: b.in.Held.ImageID}, nil
	in.Observed.Hosts = hosts
	in.Options = Options{Prune: true, Retain: b.keep(), SkipUnreachable: true}
	prune := New(in)
	spared := b.inUse()
	var steps []Step
	for _, s := range prune.Steps {
		if (s.Kind == StepRemove || s.Kind == StepUntag) && !spared[s.Host+"/"+s.Container] && s.Name != b.in.Desired.Image() {
			b.early[s.ID] = true
			steps = append(steps, s)
		}
	}
	needs := map[string][]string{}
	for _, s := range steps {
		s.Phase = PhasePrepare
		s.Needs = slices.DeleteFunc(slices.Clone(s.Needs), func(need string) bool { return !b.early[need] })
		s.Reason += ", and the image that comes may lack room"
		b.add(s)
		needs[s.Host] = append(needs[s.Host], s.ID)
	}
	for _, item := range prune.Items {
		if item.Resource == ResourceContainer && b.earlyContainer(item) || item.Resource == ResourceImage && b.early["untag/"+item.Host+"/"+item.Name] {
			freed[item.Host] += item.Bytes
			item.Reason += ", and the image that comes may lack room"
			b.plan.Items = append(b.plan.Items, item)
		}
	}
	for i, s := range b.steps {
		if s.Kind == StepImage {
			b.steps[i].Needs = append(slices.Clone(s.Needs), needs[s.Host]...)
		}
	}
	return freed
}

func (b *builder) earlyContainer(item Item) bool {
	return slices.ContainsFunc(b.steps, func(s Step) bool { return b.early[s.ID] && s.Host == item.Host && s.Name == item.Name })
}

// inUse are the containers that the release does something with, or that are not of a role it has there: those go their own way.
func (b *builder) inUse() map[string]bool {
	used := map[string]bool{}
	for _, name := range b.observed {
		for _, c := range ofApp(b.app, b.hosts[name]) {
			used[name+"/"+c.ID] = !slices.ContainsFunc(b.on[name], func(s *slot) bool { return s.role.Name == c.Role })
		}
	}
	for _, s := range b.slots {
		for _, c := range []*state.Container{s.wanted, s.current, s.rename} {
			if c != nil {
				used[s.host.Name+"/"+c.ID] = true
			}
		}
		for _, c := range s.stop {
			used[s.host.Name+"/"+c.ID] = true
		}
	}
	return used
}
