package loop

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kamald/kamald/reconcile"
)

// surviving does something of one app in a way that a mistake of kamald's own there ends that alone, and not the daemon with all other
// apps: it is an error, and its traces are among the lines of progress.
func (k *keeper) surviving(do func() error) error {
	err := reconcile.Guard(do)
	if defect, is := errors.AsType[*reconcile.DefectError](err); is && defect.First() {
		k.progress(reconcile.Progress{At: k.l.o.Now(), Kind: "warn", Message: fmt.Sprintf("%v\n%s", err, defect.Stack), Err: err})
	}
	return err
}

// anew is how long what broke is left alone before it is begun anew.
const anew = time.Minute

// lastingly does something that goes on until the context ends, and begins it anew where it breaks.
func (k *keeper) lastingly(ctx context.Context, do func()) {
	for k.surviving(func() error { do(); return nil }) != nil {
		select {
		case <-ctx.Done():
			return
		case <-time.After(anew):
		}
	}
}
