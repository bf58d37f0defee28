package reconcile

import "context"

// first is what is done once, before anything else; whoever comes meanwhile waits for it.
type first struct {
	do func(ctx context.Context) error

	one  chan struct{} // holds a token while it is done; a waiter can be cancelled
	over bool
	err  error
}

func newFirst(do func(ctx context.Context) error) *first {
	return &first{do: do, one: make(chan struct{}, 1)}
}

// done does it, unless it is done; its error is everybody's. One that was interrupted is done by the next who comes.
func (f *first) done(ctx context.Context) error {
	if f == nil {
		return nil
	}
	select {
	case f.one <- struct{}{}:
		defer func() { <-f.one }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if f.over {
		return f.err
	}
	err := f.do(ctx)
	if ctx.Err() == nil {
		f.over, f.err = true, err
	}
	return err
}
