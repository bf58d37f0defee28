package reconcile

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// AcquireLock takes the deploy lock for a person, on every host of the release, the primary one first: all of them or none. It
// has Kamal's form, which Kamal respects, and no lease: it stays until somebody gives it back.
func (c *Controller) AcquireLock(ctx context.Context, desired release.Release, message string) error {
	if err := checkMessage(message); err != nil {
		return err
	}
	desired, err := c.uncordoned(desired)
	if err != nil {
		return err
	}
	m := &manualLock{c: c, desired: desired, paths: layoutOf(desired), began: c.now(), message: message}
	details := state.Lock{Owner: c.Owner.Who + "@" + c.Owner.Where(), Message: message, Version: desired.Version, Taken: m.began}
	m.data = encodeManual(details, c.Owner.Who, rand.Text()[:8])
	m.notes = c.journal(desired.App())
	deeds := make([]deed, 0, len(desired.Hosts))
	for _, host := range desired.Hosts {
		deeds = append(deeds, m.deed(host))
	}
	if err := m.notes.intend(deeds...); err != nil {
		return err
	}
	err = c.takeInTurn(ctx, m.began, func() (err, back error) {
		err = takeAll(ctx, lockOrder(desired, desired.Hosts), desired.PrimaryHost(), m.take)
		if err == nil && ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		if err != nil {
			back = m.takeBack(context.WithoutCancel(ctx))
		}
		return err, back
	})
	for _, d := range deeds {
		m.notes.end(d, err)
	}
	return errors.Join(err, m.notes.write())
}

// checkMessage refuses what the lock's text cannot hold, or would mean otherwise.
func checkMessage(message string) error {
	switch {
	case strings.TrimSpace(message) == "":
		return errors.New("a lock needs a message that says why: -m \"database migration\"")
	case strings.ContainsFunc(message, unicode.IsControl):
		return errors.New("the message of a lock is one line without control characters")
	case message == state.AutomaticLock:
		return fmt.Errorf("the message %q is the one of a deploy's own lock, which Kamal waits for: say why instead", message)
	}
	return nil
}

// manualLock is a lock that a person takes, under way.
type manualLock struct {
	c       *Controller
	desired release.Release
	paths   layout
	data    []byte
	began   time.Time
	message string
	notes   *journal

	mu    sync.Mutex
	begun []claimed
}

// claimed is a host on which the lock's directory was made, or may have been: a reply was lost.
type claimed struct {
	host release.Host
	sure bool
}

func (m *manualLock) deed(host release.Host) deed {
	return deed{kind: "lock", host: host.Name, step: "lock", message: "take the deploy lock by hand: " + m.message}
}

func (m *manualLock) take(ctx context.Context, host release.Host, patient bool) error {
	conn, err := m.c.fleet.Connection(ctx, host)
	if err != nil {
		return err
	}
	err = m.c.claim(ctx, m.desired, m.paths, host, conn, m.began, patient)
	if err != nil && !errors.Is(err, state.ErrUnreachable) {
		return err
	}
	m.mu.Lock()
	m.begun = append(m.begun, claimed{host, err == nil})
	m.mu.Unlock()
	if err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx) // as a run does
	if err := conn.Files.Write(ctx, m.paths.lockDetails(), m.data, 0o600); err != nil {
		return full(ctx, conn, host.Name, runFiles, m.paths.run, named(host.Name, "write the deploy lock's details", err))
	}
	m.c.auditOn(ctx, conn, m.desired, "", "Acquired the deploy lock: "+m.message)
	return nil
}

// takeBack removes what was taken. What stays is in the error.
func (m *manualLock) takeBack(ctx context.Context) error {
	var all branches
	begun := m.begun
	m.begun = nil
	errs := make([]error, len(begun))
	for i, at := range begun {
		all.Go(func() {
			if err := m.remove(ctx, at); err != nil {
				errs[i] = fmt.Errorf("%s: the deploy lock %s may stay: %w; `kamald lock release` takes it away", at.host.Name, m.paths.lock(), err)
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// remove takes this lock away on one host. A directory without details that may be another's is left: it expires by itself.
func (m *manualLock) remove(ctx context.Context, at claimed) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	var err error
	for range 3 {
		var (
			conn *Connection
			data []byte
		)
		if conn, err = m.c.fleet.Connection(ctx, at.host); err == nil {
			data, err = conn.Files.Read(ctx, m.paths.lockDetails())
		}
		empty := errors.Is(err, fs.ErrNotExist)
		if empty && !at.sure || err == nil && !bytes.Equal(data, m.data) {
			return nil
		}
		if empty {
			err = nil
		}
		if err == nil {
			if err = conn.Files.Remove(ctx, m.paths.lock()); err == nil {
				return nil
			}
		}
		_ = sleep(ctx, probeEvery)
	}
	return err
}
