package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/kamald/kamald/release"
)

// shownLines is how many of its last lines a hook that failed shows.
const shownLines = 20

// HookError: a hook failed.
type HookError struct {
	Hook  string
	Cause string
	Next  string   // what to do about it; "" for what is plain
	Lines []string // its last lines, in its own words
	// OwnFault: it ran in a container of the new version and ended with an error by itself.
	OwnFault bool
	why      error
}

func (e *HookError) Error() string {
	text := e.Cause
	if e.Next != "" {
		text += "\n  next: " + e.Next
	}
	if len(e.Lines) > 0 {
		text += fmt.Sprintf("\n  %s:\n  | %s", itsLast(len(e.Lines), "line"), strings.Join(e.Lines, "\n  | "))
	}
	return text
}

// Unwrap gives why it failed.
func (e *HookError) Unwrap() error { return e.why }

// HookAbout is what the hooks of a moment are told of it.
type HookAbout struct {
	Kind   string   // of the release; "" where the moment is none of a release
	Hosts  []string // that it is about
	Roles  []string // that a person has limited it to
	Locked bool     // the deploy lock is held
	// Runtime is how long it took; 0: it is not over.
	Runtime time.Duration
	Reason  string // why a release failed, or what has drifted

	step string // of the plan
}

// RunHooks runs the hooks of a moment on this machine, one after another, and none after one that fails. The error names it. Those that
// run in a container are steps of a plan, and not among them.
func (c *Controller) RunHooks(ctx context.Context, desired release.Release, moment string, about HookAbout) error {
	for _, h := range desired.Hooks.At(moment, about.Kind) {
		if h.Role != "" {
			continue
		}
		about.step = "hook/" + h.At + "/" + h.Name
		c.report(Progress{Kind: "begin", Step: about.step, Message: hookTitle(h)})
		began := time.Now()
		if err := c.hook(ctx, desired, h, about); err != nil {
			err = named("", hookTitle(h), err)
			c.report(Progress{Kind: "failed", Step: about.step, Message: err.Error(), Took: time.Since(began), Err: err})
			return err
		}
		c.report(Progress{Kind: "done", Step: about.step, Message: hookTitle(h), Took: time.Since(began)})
	}
	return nil
}

// hookTitle names a hook to a person.
func hookTitle(h release.Hook) string {
	if h.File != "" {
		return "hook " + h.Name
	}
	return fmt.Sprintf("hook %s (%s)", h.Name, h.At)
}

// hook runs one on this machine.
func (c *Controller) hook(ctx context.Context, desired release.Release, h release.Hook, about HookAbout) error {
	if c.Hooks == nil {
		return errors.New("no hook can be run from here")
	}
	secrets, err := c.hookSecrets(h)
	if err != nil {
		return err
	}
	late := fmt.Errorf("it did not end within %s, and was ended with all that it had begun", h.Timeout)
	bounded, cancel := context.WithTimeoutCause(ctx, h.Timeout, late)
	defer cancel()
	out := c.listenTo(h, about.step, "", secrets)
	err = c.Hooks.Run(bounded, desired.Hooks.Dir, h.Command(), c.hookEnv(desired, about), secrets, out.say)
	if err == nil {
		return nil
	}
	failed := &HookError{Hook: h.Name, Cause: err.Error(), Lines: out.last(), why: err}
	if errors.Is(err, late) {
		failed.Next = "see why it hangs, or give it longer: timeout in its block"
		if h.File != "" {
			failed.Next = "see why it hangs"
		}
	}
	return failed
}

// hookEnv has the variables that Kamal gives to hooks. One without a value is not set.
func (c *Controller) hookEnv(desired release.Release, about HookAbout) map[string]string {
	command, subcommand, _ := strings.Cut(c.Command, " ")
	performer := c.Performer
	if performer == "" {
		performer = c.Owner.Who
	}
	env := map[string]string{
		"KAMAL_RECORDED_AT": c.now().UTC().Format(time.RFC3339), "KAMAL_PERFORMER": performer,
		"KAMAL_SERVICE": desired.Service, "KAMAL_DESTINATION": desired.Destination,
		"KAMAL_VERSION": desired.Version, "KAMAL_SERVICE_VERSION": "",
		"KAMAL_HOSTS": strings.Join(about.Hosts, ","), "KAMAL_ROLES": strings.Join(about.Roles, ","),
		"KAMAL_LOCK":    strconv.FormatBool(about.Locked),
		"KAMAL_COMMAND": command, "KAMAL_SUBCOMMAND": subcommand,
		"KAMAL_RUNTIME": "", "KAMALD_REASON": about.Reason,
	}
	if desired.Version != "" {
		env["KAMAL_SERVICE_VERSION"] = desired.Service + "@" + abbreviated(desired.Version)
	}
	if about.Runtime > 0 {
		env["KAMAL_RUNTIME"] = strconv.Itoa(int(about.Runtime.Seconds()))
	}
	return env
}

// abbreviated is a version as Kamal shortens it for hooks: a commit's first seven digits, and one that names uncommitted changes whole.
func abbreviated(version string) string {
	if strings.Contains(version, "_") || len(version) <= 7 {
		return version
	}
	return version[:7]
}

// hookSecrets are those in a hook's environment: the ones that its block names, or for some of Kamal's executables all that are at hand.
func (c *Controller) hookSecrets(h release.Hook) (map[string]release.Secret, error) {
	if h.AllSecrets {
		if c.AllSecrets == nil {
			return nil, nil
		}
		all, lacking := c.AllSecrets()
		for _, err := range lacking {
			c.report(Progress{Kind: "warn", Message: fmt.Sprintf("%s runs without a secret: %v", hookTitle(h), err), Err: err})
		}
		return all, nil
	}
	values := map[string]release.Secret{}
	for _, name := range h.Secrets {
		value, there, err := c.Secrets.Secret(name)
		if err != nil {
			return nil, fmt.Errorf("secret %s: %w", name, err)
		}
		if !there {
			return nil, fmt.Errorf("secret %s is not at hand here: none of %s has it", name, strings.Join(c.Secrets.Sources(), ", "))
		}
		values[name] = value
	}
	return values, nil
}

// listenTo gathers what a hook writes.
func (c *Controller) listenTo(h release.Hook, step, host string, secrets map[string]release.Secret) *hookOutput {
	return &hookOutput{c: c, hook: h, step: step, host: host, conceal: concealing(secrets)}
}

// hookOutput is what a hook writes, with no secret in it: shown as it comes, or kept until it fails.
type hookOutput struct {
	c          *Controller
	hook       release.Hook
	step, host string
	conceal    func(string) string

	mu    sync.Mutex
	lines []string // the last ones
}

func (o *hookOutput) say(line string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	line = o.conceal(line)
	if o.lines = append(o.lines, line); len(o.lines) > shownLines {
		o.lines = o.lines[1:]
	}
	if o.hook.Output == release.OutputShow {
		o.c.report(Progress{Kind: "output", Host: o.host, Step: o.step, Message: o.hook.Name + " | " + line})
	}
}

// last are the lines that a failure shows.
func (o *hookOutput) last() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.hook.Output == release.OutputQuiet {
		return nil
	}
	return o.lines
}

// leastConcealed is from how many bytes on a secret's value is taken out of texts: shorter ones are parts of any word.
const leastConcealed = 4

// concealing takes values out of texts; one of several lines also line by line.
func concealing(secrets map[string]release.Secret) func(string) string {
	var values []string
	for _, secret := range secrets {
		for _, part := range strings.Split(secret.Reveal(), "\n") {
			if part = strings.TrimSpace(part); len(part) >= leastConcealed {
				values = append(values, part)
			}
		}
	}
	slices.SortFunc(values, func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) }) // one may be part of another
	return func(text string) string {
		for _, value := range values {
			text = strings.ReplaceAll(text, value, release.Secret{}.String())
		}
		return text
	}
}
