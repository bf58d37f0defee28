package plan

import (
	"cmp"
	"fmt"
	"slices"
)

// Unpinned is why there is no pin, where a registry or this machine's engine was asked for one.
type Unpinned struct {
	Hosts   map[string]Problem // by host: why the registry gave it none
	Here    Problem            // why this machine's engine could not be asked; the zero Problem when it was, or there is a registry
	Nowhere string             // what the registry says that does not have so much as the image's repository; "" for another reason
	Next    string             // what to do about that
}

// awaitTag is the plan of a release whose policy finds no version yet, with nothing held that could stay: nothing is done.
func (b *builder) awaitTag() Plan {
	b.finish()
	repository := b.in.Desired.ImageName()
	next := fmt.Sprintf("push one to %s, or give a version with --version", repository)
	if b.in.Choice.Fitting > 0 {
		next = "push a newer one, or try one again with `kamald apply --version V`"
	}
	waiting := b.plan.Wait(fmt.Sprintf("it waits for a tag: %s; %s", b.in.Choice.none(), next))
	waiting.Awaited = repository
	return waiting
}

// awaitImage makes a plan that only lacks its image one that waits: a version may be wanted before it is built. What is held
// already must be somewhere, and so must what a rollback goes back to: there it is a problem, as it is beside other problems.
func (b *builder) awaitImage() {
	lacking := slices.DeleteFunc(slices.Clone(b.slots), func(s *slot) bool { return !s.create })
	if b.in.Pin.Value() != "" || len(lacking) == 0 {
		return
	}
	if here := b.in.Unpinned.Here; here.Summary != "" { // it may be there all the same, as below
		b.problem(here.Host, here.Role, here.Summary, here.Next)
		return
	}
	if len(b.in.Unpinned.Hosts) > 0 {
		for _, s := range lacking {
			unpinned := b.in.Unpinned.Hosts[s.host.Name]
			b.problem(s.host.Name, "", unpinned.Summary, unpinned.Next)
		}
		return
	}
	if b.kind == KindRelease && !b.in.Options.Back && len(b.plan.Problems) == 0 {
		b.plan.Awaited = b.in.Desired.Image()
		return
	}
	for _, s := range lacking {
		b.problem(s.host.Name, s.role.Name, fmt.Sprintf("the image %s is found neither on the hosts, nor at the registry, nor on this machine%s", s.spec.Image, b.in.Unpinned.said()),
			cmp.Or(b.in.Unpinned.Next, "build and push it")+", or give another version with --version")
	}
}

// awaiting says what a plan waits for whose image is not there yet.
func (b *builder) awaiting() string {
	where, next := "at the registry", "build and push it"
	if b.in.Desired.Registry == nil {
		where, next = "on this machine", "build it here"
	}
	return fmt.Sprintf("it waits for the image %s, which is neither on the hosts nor %s%s; %s, or give another version with --version",
		b.plan.Awaited, where, b.in.Unpinned.said(), cmp.Or(b.in.Unpinned.Next, next))
}

// said is what a registry said that has no such image, as a part of a sentence.
func (u Unpinned) said() string {
	if u.Nowhere == "" {
		return ""
	}
	return " (" + u.Nowhere + ")"
}
