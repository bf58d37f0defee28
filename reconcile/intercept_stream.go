package reconcile

import (
	"context"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// What lasts as long as somebody listens, or as a command runs.

func (e engine) ReadLog(ctx context.Context, container string, q state.LogQuery, told func(state.LogLine)) error {
	return e.read(ctx, "Engine.ReadLog", func(ctx context.Context) error { return e.next.ReadLog(ctx, container, q, told) })
}

func (e engine) Converse(ctx context.Context, container string, argv []string, env map[string]release.Secret, s state.Streams) (code int, err error) {
	err = e.write(ctx, "Engine.Converse", func(ctx context.Context) (err error) {
		code, err = e.next.Converse(ctx, container, argv, env, s)
		return
	})
	return
}

func (e engine) RunThrough(ctx context.Context, container string, s state.Streams) (code int, err error) {
	err = e.write(ctx, "Engine.RunThrough", func(ctx context.Context) (err error) { code, err = e.next.RunThrough(ctx, container, s); return })
	return
}

type shell struct {
	caller
	next Shell
}

func (s shell) Run(ctx context.Context, line string, streams state.Streams) (code int, err error) {
	err = s.write(ctx, "Shell.Run", func(ctx context.Context) (err error) { code, err = s.next.Run(ctx, line, streams); return })
	return
}
