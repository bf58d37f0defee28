package reconcile

import (
	"context"

	"github.com/kamald/kamald/release"
)

func (e engine) Login(ctx context.Context, auth release.Auth) error {
	return e.read(ctx, "Engine.Login", func(ctx context.Context) error { return e.next.Login(ctx, auth) })
}
