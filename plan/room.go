package plan

// leastFree is what must be free in any case where an image comes, in bytes: with less, an engine fails at the next thing it writes.
const leastFree = 32 << 20

// checkRoom looks whether the plan's image has room on the hosts as they are now: a saved plan was made when they were otherwise, and of
// an image whose size nobody knows it can be said that a full disk does not take it. Unpacked, an image is no smaller than at its
// registry. Where something goes before the image comes, that may make room.
func (f *Preflight) checkRoom() {
	size := max(f.plan.Pin.Bytes, f.size)
	for _, host := range f.observed.Hosts {
		for _, image := range host.Images {
			if bears(image, f.plan.Pin.Value()) {
				size = max(size, image.Size)
			}
		}
	}
	settled := map[string]bool{}
	for _, s := range f.plan.Steps {
		settled[s.Host] = settled[s.Host] || s.Phase == PhasePrepare && (s.Kind == StepUntag || s.Kind == StepRemove)
	}
	for _, problem := range f.plan.Problems {
		settled[problem.Host] = settled[problem.Host] || problem.Check == CheckDisk
	}
	for _, host := range f.observed.Hosts {
		if !f.Brings(host) || settled[host.Name] {
			continue
		}
		if problem, lacks := noRoom(*f.plan, host, max(leastOf(host, size), leastFree), 0); lacks {
			f.Object(problem)
		}
	}
}
