package reconcile

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/kamald/kamald/state"
)

// ErrPanicked: a run met a defect of kamald itself. What met it counts as failed, so that what was begun is compensated and the locks are
// given back. It is a DefectError, which has the place.
var ErrPanicked = errors.New("a defect of kamald: please report it")

// DefectError is a panic of kamald, or of a driver, made an error of what met it: one app's defect must not end what a daemon does for the
// others.
type DefectError struct {
	What  string // what the panic said
	Stack string // where it came about
	call  *Call  // nil: in none
	told  atomic.Bool
}

func (e *DefectError) Error() string {
	if e.call != nil {
		return fmt.Sprintf("%v: %s: %s", ErrPanicked, e.call.Method, e.What)
	}
	return fmt.Sprintf("%v: %s", ErrPanicked, e.What)
}

// Unwrap makes a defect in a remote call the same as a lost reply: whether it was carried out is read back.
func (e *DefectError) Unwrap() []error {
	if e.call != nil {
		return []error{ErrPanicked, state.ErrUnreachable}
	}
	return []error{ErrPanicked}
}

// First tells whether nobody has told of the defect yet, and takes it for told.
func (e *DefectError) First() bool { return !e.told.Swap(true) }

// Guard does something, and makes a panic in it a DefectError.
func Guard(do func() error) (err error) {
	defer func() {
		if broke := recover(); broke != nil {
			err = defectOf(broke)
		}
	}()
	return do()
}

// defectOf is what was recovered, with the place where it came about: that of another goroutine where it was handed on from there.
func defectOf(broke any) *DefectError {
	if from, is := broke.(*handedOn); is {
		return from.DefectError
	}
	return &DefectError{What: fmt.Sprint(broke), Stack: string(debug.Stack())}
}

// handedOn is a defect on its way from one goroutine to the one that waits for it. Should nobody recover it, the program ends with the
// place where it came about.
type handedOn struct{ *DefectError }

func (h *handedOn) Error() string { return h.DefectError.Error() + "\n" + h.Stack }

// guardCall makes a panic in a remote call an error of that call. The connection stands: others' calls are on it.
func (f *Fleet) guardCall(ctx context.Context, call Call, next func(context.Context) error) error {
	return f.guard(call, func() error { return next(ctx) })
}

// guard makes a panic an error of a call, and tells of it.
func (f *Fleet) guard(call Call, do func() error) error {
	err := Guard(do)
	if defect, is := errors.AsType[*DefectError](err); is {
		if defect.call == nil {
			defect.call = &call
		}
		f.tellDefect(err)
	}
	return err
}

// tellDefect has whoever watches know where kamald broke, once for each time.
func (f *Fleet) tellDefect(err error) {
	defect, is := errors.AsType[*DefectError](err)
	if told := f.defects.Load(); is && told != nil && defect.First() {
		(*told)(defect)
	}
}

// tellDefect has whoever watches know where kamald broke, once for each time.
func (c *Controller) tellDefect(err error) {
	if defect, is := errors.AsType[*DefectError](err); is && c.Report != nil && defect.First() {
		c.sayDefect(defect)
	}
}

func (c *Controller) sayDefect(defect *DefectError) {
	p := Progress{Kind: "warn", Message: defect.Error() + "\n" + defect.Stack, Err: defect}
	if defect.call != nil {
		p.Host = defect.call.Host
	}
	c.report(p)
}

// survive is deferred: it makes a panic the error of what a caller has asked for, and tells of it.
func (c *Controller) survive(err *error) {
	if broke := recover(); broke != nil {
		*err = defectOf(broke)
	}
	c.tellDefect(*err)
}

// safely does something beside what a caller has asked for, and tells of a defect that it met.
func (c *Controller) safely(do func() error) error {
	err := Guard(do)
	c.tellDefect(err)
	return err
}

// crew is an errgroup.Group in which a panic is an error of whoever waits.
type crew struct{ *errgroup.Group }

func newCrew() crew { return crew{&errgroup.Group{}} }

// crewWithin is a crew whose context ends with the first error.
func crewWithin(ctx context.Context) (crew, context.Context) {
	of, ctx := errgroup.WithContext(ctx)
	return crew{of}, ctx
}

// Go does something beside; a panic in it is its error.
func (c crew) Go(do func() error) { c.Group.Go(func() error { return Guard(do) }) }

// branches are a sync.WaitGroup that hands a panic on to whoever waits.
type branches struct {
	all   sync.WaitGroup
	broke atomic.Pointer[DefectError] // the first
}

// Go does something beside.
func (b *branches) Go(do func()) {
	b.all.Go(func() {
		defer func() {
			if broke := recover(); broke != nil {
				b.broke.CompareAndSwap(nil, defectOf(broke))
			}
		}()
		do()
	})
}

// Wait returns when all have ended. Where one of them broke, so does whoever waits.
func (b *branches) Wait() {
	b.all.Wait()
	if broke := b.broke.Load(); broke != nil {
		panic(&handedOn{broke})
	}
}
