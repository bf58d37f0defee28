package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/state"
)

// errInUse: a container that the plan did not see has an image. Its step does nothing, and nothing fails for that.
var errInUse = errors.New("a container of something else has it")

// imageUnused: another destination's run may have made a container of an image since the plan was made; their locks are others.
func (r *run) imageUnused(ctx context.Context, conn *Connection, s plan.Step) error {
	var image state.Image
	var there []state.Container
	group, grouped := crewWithin(ctx)
	group.Go(func() (err error) {
		image, err = conn.Engine.Image(grouped, s.Name)
		return unless(err, state.ErrNotFound)
	})
	group.Go(func() (err error) {
		there, err = conn.Engine.Containers(grouped, state.Filter{})
		return err
	})
	if err := group.Wait(); err != nil {
		return err
	}
	if image.ID != "" && slices.ContainsFunc(there, func(c state.Container) bool { return c.ImageID == image.ID }) {
		return errInUse
	}
	return nil
}

// stays notes an image that was to go and is in use.
func (r *run) stays(s plan.Step) {
	r.c.report(Progress{Kind: "skipped", Host: s.Host, Step: s.ID, Message: staying(s)})
	r.mu.Lock()
	defer r.mu.Unlock()
	r.inUse[s.ID] = true
}

func staying(s plan.Step) string { return fmt.Sprintf("image %s stays: %v", s.Name, errInUse) }

// sayWhatStays puts images that were to go and stay among what is left, and takes them from what was done. After a failure what is
// left is said of what was to be taken back, and not of these.
func (r *run) sayWhatStays(report *Report, failure error) {
	for _, s := range r.plan.Steps {
		if !r.inUse[s.ID] {
			continue
		}
		report.Plan.Items = slices.DeleteFunc(slices.Clone(report.Plan.Items), func(item plan.Item) bool {
			return item.Resource == plan.ResourceImage && item.Host == s.Host && item.Name == s.Name
		})
		if failure == nil {
			report.Left = append(report.Left, s.Host+": "+staying(s))
		}
	}
	slices.Sort(r.remarks)
	report.Left = append(report.Left, r.remarks...)
}
