package proxy

import (
	"context"
	"fmt"
)

// Prepare does nothing: the proxy finds its routes in a volume of its own.
func (d *Driver) Prepare(context.Context) error { return nil }

// Answers asks once by the proxy's own command.
func (d *Driver) Answers(ctx context.Context, container string) error {
	result, err := d.engine.Exec(ctx, container, []string{command, "list"})
	if err != nil {
		return err
	}
	if result.Code != 0 {
		return fmt.Errorf("%s", clean(result))
	}
	return nil
}
