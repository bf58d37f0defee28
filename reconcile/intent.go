package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

func (l layout) intents() string { return path.Join(l.ours(), "intents") }

func (l layout) intent(kind, host string) string {
	return path.Join(l.intents(), kind+"-"+strings.ReplaceAll(host, "/", "_")+".json")
}

// intents reads what people want of hosts on purpose.
func (l *look) intents(ctx context.Context) error {
	names, err := l.conn.Files.List(ctx, l.paths.intents())
	if err != nil {
		return err
	}
	names = slices.DeleteFunc(names, func(name string) bool { return !strings.HasSuffix(name, ".json") })
	found := make([]state.Intent, len(names))
	group, ctx := crewWithin(ctx)
	for i, name := range names {
		group.Go(func() error {
			file := path.Join(l.paths.intents(), name)
			data, err := l.conn.Files.Read(ctx, file)
			if err != nil {
				return err
			}
			if err := json.Unmarshal(data, &found[i]); err != nil {
				return fmt.Errorf("%s cannot be read: %w; nobody but kamald writes it: remove it if it is damaged", file, err)
			}
			return nil
		})
	}
	err = unless(group.Wait(), fs.ErrNotExist)
	if len(found) > 0 {
		l.host.Intents = found
	}
	return err
}

// Marked is where an intent was written.
type Marked struct {
	Intent  state.Intent   `json:"intent"`
	Hosts   []string       `json:"hosts"`
	Skipped []plan.Skipped `json:"skipped,omitempty"` // could not be reached; the others know
	Held    []string       `json:"held,omitempty"`    // containers that a forgotten host had when it was last seen
}

// Cordon leaves a host out of plans, locks and pre-flight checks until it is uncordoned, or until a time (zero: no end). What runs
// there is left alone.
func (c *Controller) Cordon(ctx context.Context, desired release.Release, host, reason string, until time.Time) (Marked, error) {
	return c.mark(ctx, desired, state.Intent{Kind: state.IntentCordon, Host: host, Reason: reason, Until: until})
}

// Uncordon takes a host in again; the next apply brings it to where the others are.
func (c *Controller) Uncordon(ctx context.Context, desired release.Release, host string) (Marked, error) {
	return c.mark(ctx, desired, state.Intent{Kind: state.IntentCordon, Host: host, Lifted: true})
}

// Forget drops a host that left the file and is gone for good. It is not looked for again, unless a later release has it.
func (c *Controller) Forget(ctx context.Context, desired release.Release, host string) (Marked, error) {
	return c.mark(ctx, desired, state.Intent{Kind: state.IntentForget, Host: host})
}

// mark writes an intent to every host that can be reached: its own may be gone.
func (c *Controller) mark(ctx context.Context, desired release.Release, intent state.Intent) (Marked, error) {
	before, _, err := c.Store.Snapshot(desired.App())
	if err != nil {
		return Marked{}, err
	}
	snapshot, _, err := c.look(ctx, desired, false)
	if err != nil {
		return Marked{}, err
	}
	hosts := wide(desired, snapshot).Hosts
	if err := canMark(desired, hosts, snapshot, intent); err != nil {
		return Marked{}, err
	}
	known, _ := snapshot.Intent(intent.Kind, intent.Host)
	intent.Schema, intent.Serial = state.IntentSchema, known.Serial+1
	intent.Who, intent.Where, intent.Since = c.Owner.Who, c.Owner.Where(), c.now().UTC().Round(time.Second)
	if record := newestRecord(snapshot); record != nil && intent.Kind == state.IntentForget {
		intent.Release = record.Number
	}
	marked := Marked{Intent: intent, Hosts: []string{}}
	if intent.Kind == state.IntentForget {
		marked.Held = heldOn(desired, before, intent.Host)
	}
	return marked, c.writeIntent(ctx, desired, hosts, &snapshot, &marked)
}

// canMark refuses an intent about a host that is not there, or that changes nothing.
func canMark(desired release.Release, hosts []release.Host, snapshot state.Snapshot, intent state.Intent) error {
	var names []string
	for _, on := range hosts {
		names = append(names, on.Name)
	}
	_, inFile := desired.Host(intent.Host)
	known, ok := snapshot.Intent(intent.Kind, intent.Host)
	switch {
	case intent.Lifted && (!ok || known.Lifted):
		return fmt.Errorf("%s is not cordoned", intent.Host)
	case intent.Lifted:
		return nil
	case intent.Kind == state.IntentForget && inFile:
		return fmt.Errorf("%s is in the file: take it out of the file first, or leave it out for a while with `kamald server cordon %s`", intent.Host, intent.Host)
	case !slices.Contains(names, intent.Host):
		return fmt.Errorf("no host is named %q; the hosts are %s.%s", intent.Host, strings.Join(names, ", "), release.DidYouMean(intent.Host, names))
	}
	return nil
}

func (c *Controller) writeIntent(ctx context.Context, desired release.Release, hosts []release.Host, snapshot *state.Snapshot, marked *Marked) error {
	intent := marked.Intent
	data, err := json.MarshalIndent(intent, "", " ")
	if err != nil {
		return err
	}
	verb := intent.Kind
	if intent.Lifted {
		verb = "un" + verb
	}
	notes := c.journal(desired.App())
	var deeds []deed
	for _, on := range hosts {
		deeds = append(deeds, deed{kind: "intent", host: on.Name, step: "intent/" + on.Name + "/" + verb + "/" + intent.Host, message: verb + " " + intent.Host})
	}
	if err := notes.intend(deeds...); err != nil {
		return err
	}
	paths := layoutOf(desired)
	errs := make([]error, len(hosts))
	var telling branches
	for i, on := range hosts {
		telling.Go(func() {
			seen, _ := snapshot.Host(on.Name)
			if seen.Unreachable != "" && !(intent.Lifted && on.Name == intent.Host) {
				errs[i] = errors.New(seen.Unreachable)
				return
			}
			conn, err := c.fleet.Connection(ctx, on)
			if err == nil {
				err = conn.Files.Write(ctx, paths.intent(intent.Kind, intent.Host), append(slices.Clone(data), '\n'), 0o600)
			}
			if err == nil {
				c.auditOn(ctx, conn, desired, "", marks(verb)+" "+intent.Host)
			}
			errs[i] = err
		})
	}
	telling.Wait()
	for i, on := range hosts {
		notes.end(deeds[i], errs[i])
		if errs[i] != nil {
			marked.Skipped = append(marked.Skipped, plan.Skipped{Host: on.Name, Reason: why(errs[i], on.Name)})
			continue
		}
		marked.Hosts = append(marked.Hosts, on.Name)
	}
	if len(marked.Hosts) == 0 {
		return errors.Join(fmt.Errorf("no host could be told to %s %s", verb, intent.Host), errors.Join(errs...), notes.write())
	}
	for i := range snapshot.Hosts { // the next look need not wait for a host that is left out
		snapshot.Hosts[i].Intents = append(snapshot.Hosts[i].Intents, intent)
	}
	if intent.Kind == state.IntentForget {
		snapshot.Hosts = slices.DeleteFunc(snapshot.Hosts, func(h state.Host) bool { return h.Name == intent.Host })
	}
	return errors.Join(notes.write(), c.Store.SaveSnapshot(*snapshot))
}

// marks says in an audit file what was done, as Kamal says it.
func marks(verb string) string {
	if verb == state.IntentForget {
		return "Forgot"
	}
	return strings.ToUpper(verb[:1]) + verb[1:] + "ed"
}

// heldOn names the app's containers that a host had when it was last seen.
func heldOn(desired release.Release, seen state.Snapshot, name string) []string {
	app, held := desired.App(), []string(nil)
	host, _ := seen.Host(name)
	for _, c := range host.Containers {
		if c.Service == app.Service && c.Destination == app.Destination && c.Role != "" {
			held = append(held, c.Name)
		}
	}
	return held
}
