package reconcile

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// bringProxyImage loads the image that kamald makes itself, or pulls another, where the host does not have it.
func (c *Controller) bringProxyImage(ctx context.Context, conn *Connection, k *credentials, seen state.Host, ref string) error {
	if _, err := conn.Engine.Image(ctx, ref); !errors.Is(err, state.ErrNotFound) {
		return err
	}
	archive, err := conn.Proxy.Image(ctx, ref, seen.Engine.Arch)
	if errors.Is(err, fs.ErrNotExist) {
		err := k.of(ref).pull(ctx, conn, ref, plan.ProxyPlatform(k.desired))
		return advised(proxyImageOf(k), seen.Name, err)
	}
	if err != nil {
		return err
	}
	bulk, end, err := bulkOf(ctx, conn)
	if err != nil {
		return errors.Join(err, archive.Close())
	}
	defer end()
	sent := &sending{c: c, host: seen.Name, step: StepOf(ctx), what: "get image " + ref, said: c.now()}
	return errors.Join(load(ctx, bulk, &flow{from: archive, throttle: c.Throttle, moved: sent.moved}), archive.Close())
}

// sending says now and then how much of a proxy's image has been sent.
type sending struct {
	c                *Controller
	host, step, what string

	mu   sync.Mutex
	sent int64
	said time.Time
}

// moved counts bytes.
func (s *sending) moved(bytes int) {
	s.mu.Lock()
	s.sent += int64(bytes)
	sent, now := s.sent, s.c.now()
	due := now.Sub(s.said) >= bytesEvery
	if due {
		s.said = now
	}
	s.mu.Unlock()
	if due {
		s.c.report(Progress{Kind: "bytes", Host: s.host, Step: s.step, Bytes: sent, Message: s.what + ": " + plan.Size(sent)})
	}
}

// canGetProxy tells what is in the way of the image that a proxy is made from and that kamald does not make itself; the zero Problem
// when nothing is.
func (c *Controller) canGetProxy(ctx context.Context, k *credentials, on release.Host, seen state.Host) plan.Problem {
	ref := k.desired.ProxyServer.Image
	var found state.Manifest
	conn, err := c.fleet.Connection(ctx, on)
	if err == nil {
		_, err = conn.Engine.Image(ctx, ref)
		if errors.Is(err, state.ErrNotFound) {
			found, err = k.of(ref).ask(ctx, on, ref)
		}
	}
	if err == nil {
		return plan.WrongProxyPlatform(k.desired, seen, found.Platforms)
	}
	next := "see that the host reaches the registry that has it"
	if fault, ok := errors.AsType[*state.RegistryError](err); ok {
		next = proxyImageOf(k).advice(on.Name, fault)
	}
	return plan.Problem{Host: on.Name, Summary: fmt.Sprintf("the proxy's image %s is not on the host and cannot be got there: %s", ref, why(err, on.Name)),
		Next: next + ", or bring it by hand: `docker save` where it is, `docker load` there"}
}
