package reconcile

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/kamald/kamald/plan"
)

// outcome is how a step ended.
type outcome struct {
	step    plan.Step
	err     error // nil: it succeeded
	skipped bool  // it never began
	took    time.Duration
}

// begun tells whether the step may have done something, successful or not.
func (o outcome) begun() bool { return !o.skipped }

// errSkipped: a step did not begin, since another failed or the run was cancelled.
var errSkipped = errors.New("not begun")

// walk carries out a graph of steps, each as soon as what it needs is done. After a failure up to the switch, or a cancelled
// context, no further step begins; those under way run to their own end, except proofs, which only watch. Failures in the
// last phase skip what depends on them and nothing else; so do all in a plan that heals, where each slot is on its own. turns are
// steps that a step begins after, however those end.
func walk(ctx context.Context, kind plan.Kind, steps []plan.Step, turns map[string][]string, do func(context.Context, plan.Step) error) map[string]outcome {
	w := &walker{do: do, heals: kind == plan.KindHeal, turns: turns, outcomes: map[string]outcome{}, done: map[string]chan struct{}{}}
	w.watch, w.fail = context.WithCancelCause(ctx)
	defer w.fail(nil)
	for _, s := range steps {
		w.done[s.ID] = make(chan struct{})
	}
	var all branches
	for _, s := range steps {
		all.Go(func() {
			defer close(w.done[s.ID])
			if err := Guard(func() error { w.step(ctx, s); return nil }); err != nil {
				w.end(outcome{step: s, err: err})
				w.fail(err)
			}
		})
	}
	all.Wait()
	return w.outcomes
}

type walker struct {
	do    func(context.Context, plan.Step) error
	heals bool
	turns map[string][]string
	done  map[string]chan struct{}
	watch context.Context // ends when the run fails or is cancelled
	fail  context.CancelCauseFunc

	mu       sync.Mutex
	outcomes map[string]outcome
}

func (w *walker) step(ctx context.Context, s plan.Step) {
	if err := w.wait(s); err != nil {
		w.end(outcome{step: s, err: err, skipped: true})
		return
	}
	// What has begun is finished even when the run is cancelled: a half-made call helps nobody. Waiting is not worth that.
	under := context.WithoutCancel(ctx)
	if s.Kind == plan.StepHook && s.Host == "" {
		under = w.watch // a command here is ended when nobody waits for the release any more; one on a server has its effect there
	}
	if s.Kind == plan.StepProve || s.Kind == plan.StepWait || s.Kind == plan.StepHold || pulls(s) {
		under = w.watch // a pull that is cut off leaves nothing behind, and may take minutes
	}
	began := time.Now()
	err := Guard(func() error { return w.do(withStep(under, s.ID), s) })
	if err != nil && w.watch.Err() != nil && endsInside(s) && !errors.Is(err, errAbandoned) {
		err = fmt.Errorf("%w %s: %w", errAbandoned, s.ID, context.Cause(w.watch))
	}
	w.end(outcome{step: s, err: err, took: time.Since(began)})
	if err != nil && s.Phase < plan.PhaseFinish && !w.heals {
		w.fail(fmt.Errorf("%s failed: %w", s.ID, err))
	}
}

// endsInside tells whether a step is ended in its middle when nobody waits for it any more.
func endsInside(s plan.Step) bool { return pulls(s) || s.Kind == plan.StepHook && s.Host == "" }

// pulls tells whether a step gets an image.
func pulls(s plan.Step) bool { return s.Kind == plan.StepImage || s.Kind == plan.StepPull }

// wait returns when the step may begin, or why it must not.
func (w *walker) wait(s plan.Step) error {
	if s.Kind == plan.StepBarrier {
		return w.firstOf(s)
	}
	for _, need := range s.Needs {
		<-w.done[need]
		if o := w.outcome(need); o.err != nil {
			return fmt.Errorf("%w: %s did not succeed", errSkipped, need)
		}
	}
	for _, before := range w.turns[s.ID] {
		<-w.done[before]
	}
	if w.watch.Err() != nil {
		return fmt.Errorf("%w: %w", errSkipped, context.Cause(w.watch))
	}
	return nil
}

// firstOf waits for the first of the step's needs that ends: its success opens the barrier once, its failure closes it.
func (w *walker) firstOf(s plan.Step) error {
	first := make(chan outcome, len(s.Needs))
	for _, need := range s.Needs {
		go func() { // it cannot break
			<-w.done[need]
			first <- w.outcome(need)
		}()
	}
	if o := <-first; o.err != nil {
		return fmt.Errorf("%w: the barrier stays closed, since %s did not succeed", errSkipped, o.step.ID)
	}
	return nil
}

func (w *walker) outcome(id string) outcome {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.outcomes[id]
}

func (w *walker) end(o outcome) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.outcomes[o.step.ID] = o
}
