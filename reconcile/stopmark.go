package reconcile

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"time"

	"github.com/kamald/kamald/state"
)

// stopMark says that a host's proxy was stopped on purpose. It lies beside the proxy's own files, for every app there, and is about
// one run of one container: when somebody has started that by any means, it means nothing.
type stopMark struct {
	state.Intent

	Container string    `json:"container"`
	Started   time.Time `json:"started"` // by the host's clock
}

func (l layout) stopMark() string { return path.Join(l.proxyDir(), "kamald-stopped.json") }

func (l layout) proxyDir() string { return path.Join(l.run, "proxy") }

// readStopMark reads who has stopped a proxy that does not run on purpose; nil when nobody has.
func readStopMark(ctx context.Context, f Files, paths layout, proxy state.Container) (*state.Intent, error) {
	data, err := f.Read(ctx, paths.stopMark())
	if err != nil {
		return nil, unless(err, fs.ErrNotExist)
	}
	var mark stopMark
	if err := json.Unmarshal(data, &mark); err != nil {
		return nil, fmt.Errorf("%s cannot be read: %w; nobody but kamald writes it: remove it if it is damaged", paths.stopMark(), err)
	}
	if mark.Container != proxy.ID || !mark.Started.Equal(proxy.Started) {
		return nil, nil
	}
	return &mark.Intent, nil
}

// writeStopMark says that a host's proxy is being stopped on purpose.
func (c *Controller) writeStopMark(ctx context.Context, conn *Connection, paths layout, host, reason string, proxy state.Container) error {
	mark := stopMark{Intent: c.intentFor(host, state.IntentProxyStop), Container: proxy.ID, Started: proxy.Started}
	mark.Reason, mark.Serial = reason, 1
	data, err := json.MarshalIndent(mark, "", " ")
	if err != nil {
		return err
	}
	return conn.Files.Write(ctx, paths.stopMark(), append(data, '\n'), 0o600)
}
