package state

import "context"

// Pulled is told how far a pull is: the bytes that have come, and those of the whole as far as the registry has said; 0: not yet.
type Pulled func(come, total int64)

type pulledKey struct{}

// WithPulled has pulls under the context tell how far they are. It may be called often, and from another goroutine.
func WithPulled(ctx context.Context, told Pulled) context.Context {
	return context.WithValue(ctx, pulledKey{}, told)
}

// TellPulled is whom a pull under the context tells how far it is; never nil.
func TellPulled(ctx context.Context) Pulled {
	if told, ok := ctx.Value(pulledKey{}).(Pulled); ok {
		return told
	}
	return func(int64, int64) {}
}
