package loop

import (
	"fmt"
	"runtime/debug"

	"github.com/kamald/kamald/reconcile"
)

// surviving does something of one app in a way that a mistake of kamald's own there ends that alone, and not the daemon with all other
// apps: it is an error, and its traces are among the lines of progress.
func (k *keeper) surviving(do func() error) (err error) {
	defer func() {
		if broke := recover(); broke != nil {
			err = fmt.Errorf("kamald itself broke: %v", broke)
			k.progress(reconcile.Progress{At: k.l.o.Now(), Kind: "warn", Message: fmt.Sprintf("%v\n%s", err, debug.Stack()), Err: err})
		}
	}()
	return do()
}
