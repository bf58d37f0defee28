package loop

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"sync"

	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
)

// session is how an app's servers are reached, as long as they are reached in that way.
type session struct {
	*reconcile.Controller
	way   string // the digest of the way
	stop  context.CancelFunc
	watch sync.WaitGroup
}

// reach opens a session for a release, unless the one that is open reaches the same hosts in the same way.
func (k *keeper) reach(ctx context.Context, desired release.Release) error {
	hosts := slices.Clone(desired.Hosts)
	way := wayOf(desired)
	if k.session != nil && k.session.way == way {
		return nil
	}
	controller, err := k.l.o.Open(desired)
	if err != nil {
		return err
	}
	controller.Report = k.progress
	if k.session != nil {
		k.session.close()
	}
	watching, stop := context.WithCancel(ctx)
	k.session = &session{Controller: controller, way: way, stop: stop}
	k.session.watch.Go(func() { k.lastingly(watching, func() { controller.Watch(watching, hosts, k.happened) }) })
	return nil
}

func (s *session) close() {
	s.stop()
	_ = s.Close() // what is lost by it was to be closed
	s.watch.Wait()
}

// wayOf is the digest of what decides how hosts are reached, and what is spoken with them.
func wayOf(desired release.Release) string {
	data, err := json.Marshal([]any{desired.Hosts, desired.SSH, desired.RunDirectory, desired.ProxyServer, desired.Registry, desired.SecretFiles, desired.SecretFetches})
	if err != nil {
		panic(fmt.Sprintf("loop: a release always encodes: %v", err))
	}
	return fmt.Sprintf("%x", sha256.Sum256(data))
}
