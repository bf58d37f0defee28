package reconcile

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// auditFileLimit bounds one append: nobody waits for an audit file longer.
const auditFileLimit = 10 * time.Second

// auditFiles appends to the hosts' own audit files what a run does there, a phase at a time and beside the steps. It is best
// effort: a full disk must not forbid what frees it, and the store has it all.
type auditFiles struct {
	r   *run
	ctx context.Context

	mu    sync.Mutex
	hosts map[string]*auditFile
	all   branches
}

// auditFile is one host's.
type auditFile struct {
	left    map[plan.Phase]int // steps that have not ended
	pending strings.Builder
	busy    bool // somebody appends, and takes what comes meanwhile
	failed  bool
}

func newAuditFiles(ctx context.Context, r *run) *auditFiles {
	a := &auditFiles{r: r, ctx: context.WithoutCancel(ctx), hosts: map[string]*auditFile{}}
	for _, s := range r.plan.Steps {
		if kamalMessage(r, s) != "" {
			a.host(s.Host).left[s.Phase]++
		}
	}
	return a
}

func (a *auditFiles) host(name string) *auditFile {
	f, ok := a.hosts[name]
	if !ok {
		f = &auditFile{left: map[plan.Phase]int{}}
		a.hosts[name] = f
	}
	return f
}

// step notes how a step ended; the last one of a phase on its host has the phase written.
func (a *auditFiles) step(s plan.Step, err error) {
	message := kamalMessage(a.r, s)
	if message == "" {
		return
	}
	if err != nil {
		message = fmt.Sprintf("Failed to %s: %s", describe(s), Brief(err))
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	f := a.host(s.Host)
	f.pending.WriteString(a.r.c.auditLine(a.r.c.now(), a.r.record.App, s.Role, message))
	if f.left[s.Phase]--; f.left[s.Phase] == 0 {
		a.flush(s.Host, f)
	}
}

// say notes a line on a host where the run did something.
func (a *auditFiles) say(host, role, message string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.host(host).pending.WriteString(a.r.c.auditLine(a.r.c.now(), a.r.record.App, role, message))
}

// close writes what is left, and waits until all is written or given up.
func (a *auditFiles) close(failure error) {
	a.mu.Lock()
	for _, name := range sortedKeys(a.hosts) {
		f := a.hosts[name]
		if failure != nil && f.pending.Len() > 0 {
			f.pending.WriteString(a.r.c.auditLine(a.r.c.now(), a.r.record.App, "", fmt.Sprintf("Failed: %s of version %s (release %d): %s",
				a.r.plan.Kind, a.r.record.Version, a.r.record.Number, Brief(failure))))
		}
		a.flush(name, f)
	}
	a.mu.Unlock()
	a.all.Wait()
}

// flush appends what is pending, with a.mu held; one append a host at a time keeps the lines' order.
func (a *auditFiles) flush(name string, f *auditFile) {
	if f.busy || f.failed || f.pending.Len() == 0 {
		return
	}
	f.busy = true
	a.all.Go(func() {
		for {
			a.mu.Lock()
			text := f.pending.String()
			f.pending.Reset()
			f.busy = text != "" && !f.failed
			more := f.busy
			a.mu.Unlock()
			if !more {
				return
			}
			if err := a.r.c.safely(func() error { return a.append(name, text) }); err != nil {
				a.mu.Lock()
				f.failed = true
				a.mu.Unlock()
				a.r.c.report(Progress{Kind: "warn", Host: name, Message: fmt.Sprintf("its audit file could not be written, `kamald audit` has it all: %v", err)})
			}
		}
	})
}

func (a *auditFiles) append(host, text string) error {
	ctx, cancel := context.WithTimeout(a.ctx, auditFileLimit)
	defer cancel()
	conn, err := a.r.connection(ctx, host)
	if err != nil {
		return err
	}
	return conn.Files.Append(ctx, a.r.paths.audit(), []byte(text))
}

// auditOn appends a line to the audit file of a host, best effort, for a command that carries no plan out.
func (c *Controller) auditOn(ctx context.Context, conn *Connection, desired release.Release, role, message string) {
	ctx, cancel := context.WithTimeout(ctx, auditFileLimit)
	defer cancel()
	_ = conn.Files.Append(ctx, layoutOf(desired).audit(), []byte(c.auditLine(c.now(), desired.App(), role, message)))
}

// kamalMessage says what a step did, in Kamal's words where Kamal has some; "" for what no audit file has.
func kamalMessage(r *run, s plan.Step) string {
	switch s.Kind {
	case plan.StepGate, plan.StepBarrier, plan.StepWait, plan.StepProve, plan.StepHold:
		return ""
	case plan.StepPull:
		return "Pulled image " + s.Name
	case plan.StepHook:
		if s.Host == "" {
			return ""
		}
		return "Ran hook " + s.Name
	case plan.StepImage:
		return "Pulled image with version " + r.record.Version
	case plan.StepEnv:
		return "Pushed the secrets of " + s.Role
	case plan.StepCertificate:
		return "Pushed the certificate of " + s.Role
	case plan.StepProxy:
		if s.NewName != "" {
			return "Upgraded proxy to " + s.NewName
		}
		return "Started proxy"
	case plan.StepRename:
		return fmt.Sprintf("Renamed container %s to %s", s.Name, s.NewName)
	case plan.StepCreate:
		return "Created " + s.Name
	case plan.StepStart:
		if accessory, is := state.AccessoryOf(s.Role); is {
			return "Booted " + accessory + " accessory"
		}
		if version := strings.TrimPrefix(s.Name, r.record.App.ContainerName(s.Role, "")); version != s.Name {
			return "Booted app version " + version
		}
		return "Started " + s.Name
	case plan.StepSwitch:
		return "Switched traffic of " + s.Name
	case plan.StepStop:
		return "Stopped " + s.Name
	case plan.StepTag:
		return fmt.Sprintf("Tagged %s as the latest image", r.record.Image)
	case plan.StepRecord:
		return fmt.Sprintf("Released version %s (release %d)", r.record.Version, r.record.Number)
	case plan.StepRemove:
		return "Pruned container " + s.Name
	case plan.StepUntag:
		return "Pruned image " + s.Name
	}
	text := describe(s)
	return strings.ToUpper(text[:1]) + text[1:]
}

// undone says that a step was taken back.
func (a *auditFiles) undone(s plan.Step, what string, err error) {
	message := "Undone: " + what
	if err != nil {
		message = fmt.Sprintf("Could not undo: %s: %s", what, Brief(err))
	}
	a.say(s.Host, s.Role, message)
}
