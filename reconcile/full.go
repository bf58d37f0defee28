package reconcile

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/kamald/kamald/plan"
)

// FullError: a file system of a host has no room for what was to be written.
type FullError struct {
	Host string
	What string // what lies there
	Path string
	Free int64  // bytes; -1 when not known
	Next string // what to do about it
	why  error
}

func (e *FullError) Error() string {
	text := fmt.Sprintf("%s; %s has no room on the file system of %s", e.why, e.Host, e.What)
	if e.Path != "" {
		text += " (" + e.Path + ")"
	}
	if e.Free >= 0 {
		text += fmt.Sprintf(", %s are free there", plan.Size(e.Free))
	}
	return text + "\n  next: " + e.Next
}

// Unwrap gives what the host said.
func (e *FullError) Unwrap() error { return e.why }

// isFull tells whether an error is about a full disk of a host. An engine says so only in words.
func isFull(err error) bool { return !isHere(err) && noRoom(err) }

// noRoom tells whether an error is about a full disk, wherever that is.
func noRoom(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || err != nil && strings.Contains(strings.ToLower(err.Error()), "no space left on device")
}

const (
	engineData  = "the engine's data"
	runFiles    = "kamald's files"
	placedFiles = "an accessory's files"
)

// full says of an error about a full disk where that is, how much is free there, and what to do; any other error stays as it is.
func full(ctx context.Context, conn *Connection, host, what, dir string, err error) error {
	if !isFull(err) {
		return err
	}
	e := &FullError{Host: host, What: what, Path: dir, Free: -1, why: err,
		Next: fmt.Sprintf("make room on %s and do the same again: `kamald prune` removes what no rollback needs, `docker system df -v` says what else the engine keeps", host)}
	if what != engineData {
		e.Next = fmt.Sprintf("make room on %s and do the same again: `df -h %s` and `df -i %s` say what is taken", host, dir, dir)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if free, _, asked := conn.Files.Free(ctx, dir); dir != "" && asked == nil {
		e.Free = free
	}
	return e
}

// full says where a step had no room.
func (r *run) full(ctx context.Context, conn *Connection, s plan.Step, err error) error {
	seen, _ := r.seen.Host(s.Host)
	switch s.Kind {
	case plan.StepEnv, plan.StepCertificate, plan.StepAssets, plan.StepPages, plan.StepRecord, plan.StepKeep, plan.StepLift, plan.StepClean:
		return full(ctx, conn, s.Host, runFiles, seen.RunDir, err)
	case plan.StepPlace:
		return full(ctx, conn, s.Host, placedFiles, r.placedIn(s, seen.Home), err)
	}
	return full(ctx, conn, s.Host, engineData, seen.Engine.Root, err)
}

// placedIn is where a step puts files of an accessory: below the SSH user's home, unless the file says where.
func (r *run) placedIn(s plan.Step, home string) string {
	a, _ := r.accessory(s)
	for _, placed := range slices.Concat(a.Files, a.Directories) {
		if slices.Contains(s.Paths, placed.To) && path.IsAbs(onHost(placed.Path)) {
			return path.Dir(onHost(placed.Path))
		}
	}
	return home
}

// byHand adds to the error of a prune that could not even lock on a full disk what to remove there without kamald: what it would
// have removed. Nothing is removed without the lock, and the lock needs a few bytes.
func byHand(p plan.Plan, err error) error {
	full, ok := errors.AsType[*FullError](err)
	if p.Kind != plan.KindPrune || !ok {
		return err
	}
	var commands []string
	for _, s := range p.Steps {
		switch {
		case s.Host != full.Host || len(commands) == 4:
		case s.Kind == plan.StepRemove:
			commands = append(commands, "`docker rm "+s.Name+"`")
		case s.Kind == plan.StepUntag:
			commands = append(commands, "`docker image rm "+s.Name+"`")
		case s.Kind == plan.StepClean:
			commands = append(commands, "`rm -r "+s.Name+"`")
		}
	}
	if len(commands) == 0 {
		return err
	}
	return fmt.Errorf("%w\n  nothing was removed: pruning begins with the deploy lock, which needs a few bytes; free the first by hand on %s, as this prune would: %s; then prune again",
		err, full.Host, strings.Join(commands, ", "))
}
