package reconcile

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// ErrNoRegistry: the release has no registry, so nobody has to log in anywhere.
var ErrNoRegistry = errors.New("the release has no registry: images come over the SSH connections, and nobody has to log in\n  next: nothing; `registry { … }` in the file names one")

// Here is this machine, where a result names hosts.
const Here = "this machine"

// Login asks the release's registry whether it lets in who shows its credentials: by each host's engine, and from this machine by here.
// Nothing is kept of it anywhere. A registry that this machine cannot reach is a note, for only builds and version policies ask from here.
func (c *Controller) Login(ctx context.Context, desired release.Release, here func(context.Context, release.Auth) error, hosts []string) (Commanded, error) {
	result := Commanded{App: desired.App(), Command: "registry login"}
	if desired.Registry == nil {
		return result, ErrNoRegistry
	}
	k := c.credentials(desired)
	if _, err := k.get(); err != nil {
		return result, err
	}
	result, errs, err := c.onHosts(ctx, desired, hosts, result, func(ctx context.Context, on release.Host, conn *Connection, one *CommandedOn) error {
		one.Did, one.Unchanged = "the engine is let in at "+orHub(desired.Registry.Server), true
		return advised(imageOf(desired), on.Name, k.show(ctx, slowFault, func(auth release.Auth) error { return conn.Engine.Login(ctx, auth) }))
	})
	if err != nil {
		return result, err
	}
	mine := CommandedOn{Host: Here, Did: "is let in at " + orHub(desired.Registry.Server), Unchanged: true}
	switch err := k.show(ctx, slowFault, func(auth release.Auth) error { return here(ctx, auth) }); {
	case errors.Is(err, state.ErrDenied):
		mine.Error = err.Error()
		errs = append(errs, err)
	case err != nil:
		mine.Did = "the registry could not be asked from here, which only builds and version policies do"
		mine.Notes = []string{err.Error()}
	}
	result.Done = append([]CommandedOn{mine}, result.Done...)
	return result, errors.Join(errs...)
}

// dockerLogins is where docker's own command keeps logins, below the SSH user's home.
const dockerLogins = ".docker/config.json"

// hubLogin is the name that docker's own command keeps a login at Docker Hub under.
const hubLogin = "https://index.docker.io/v1/"

// Logout takes away what `kamal registry login`, or `docker login`, has left of the release's registry in the SSH user's file on each host.
// Entries of other registries, and whatever else is in the file, stay.
func (c *Controller) Logout(ctx context.Context, desired release.Release, hosts []string) (Commanded, error) {
	result := Commanded{App: desired.App(), Command: "registry logout"}
	if desired.Registry == nil {
		return result, ErrNoRegistry
	}
	notes := c.journal(desired.App())
	deeds := map[string]deed{}
	var all []deed
	scope, err := plan.FilterOf(desired, hosts, nil)
	if err != nil {
		return result, err
	}
	for _, on := range desired.Hosts {
		if len(scope.Hosts) > 0 && !slices.Contains(scope.Hosts, on.Name) {
			continue
		}
		d := deed{kind: "logout", host: on.Name, step: "logout/" + on.Name, message: "take the login at " + orHub(desired.Registry.Server) + " away"}
		deeds[on.Name], all = d, append(all, d)
	}
	if err := notes.intend(all...); err != nil {
		return result, err
	}
	result, errs, err := c.onHosts(ctx, desired, hosts, result, func(ctx context.Context, on release.Host, conn *Connection, one *CommandedOn) (err error) {
		defer func() { notes.end(deeds[on.Name], err) }()
		return c.logoutOn(ctx, desired, conn, one)
	})
	for _, host := range append(slices.Clone(result.Skipped), result.Cordoned...) {
		notes.end(deeds[host.Host], errSkipped)
	}
	return result, errors.Join(append(errs, err, notes.write())...)
}

func (c *Controller) logoutOn(ctx context.Context, desired release.Release, conn *Connection, one *CommandedOn) error {
	server := orHub(desired.Registry.Server)
	one.Did, one.Unchanged = "has no login at "+server, true
	data, err := conn.Files.Read(ctx, dockerLogins)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	rest, found, helper, err := withoutLogin(data, loginNames(desired.Registry.Server))
	switch {
	case err != nil:
		return fmt.Errorf("%s is not as docker writes it: %w; it was left as it is", dockerLogins, err)
	case helper != "":
		one.Notes = []string{fmt.Sprintf("a credential helper there (%s) keeps logins: `docker logout %s` there asks it to forget this one", helper, desired.Registry.Server)}
	}
	if !found {
		return nil
	}
	one.Did, one.Unchanged = "the login at "+server+" is gone from "+dockerLogins, false
	if err := conn.Files.Write(ctx, dockerLogins, rest, 0o600); err != nil {
		return err
	}
	c.auditOn(ctx, conn, desired, "", "Logged out of "+server)
	return nil
}

// loginNames are those under which docker's own command may keep a login.
func loginNames(server string) []string {
	if server == "" || server == "docker.io" || server == "index.docker.io" {
		return []string{hubLogin, "docker.io", "index.docker.io"}
	}
	return []string{server, "https://" + server}
}

// withoutLogin takes entries out of docker's file, and leaves the rest of it as it was written. helper is a program that keeps the
// passwords in place of the file.
func withoutLogin(data []byte, names []string) (rest []byte, found bool, helper string, err error) {
	var file map[string]json.RawMessage
	if err := json.Unmarshal(data, &file); err != nil {
		return nil, false, "", errors.New("it is not JSON") // the error would quote what is in it
	}
	var auths map[string]json.RawMessage
	var helpers map[string]string
	store := ""
	for key, into := range map[string]any{"auths": &auths, "credHelpers": &helpers, "credsStore": &store} {
		if raw, ok := file[key]; ok && json.Unmarshal(raw, into) != nil {
			return nil, false, "", fmt.Errorf("%s has another form", key)
		}
	}
	for _, name := range names {
		if _, ok := auths[name]; ok {
			delete(auths, name)
			found = true
		}
		if helpers[name] != "" {
			helper = helpers[name]
		}
	}
	if helper == "" && found {
		helper = store
	}
	if file["auths"], err = json.Marshal(auths); err != nil {
		return nil, false, "", err
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "\t")
	err = encoder.Encode(file)
	return text.Bytes(), found, helper, err
}

// onHosts does something on every host in scope at once, with no lock: it changes nothing of the app.
func (c *Controller) onHosts(ctx context.Context, desired release.Release, hosts []string, result Commanded, do func(context.Context, release.Host, *Connection, *CommandedOn) error) (Commanded, []error, error) {
	scope, err := plan.FilterOf(desired, hosts, nil)
	if err != nil {
		return result, nil, err
	}
	known, _, err := c.Store.Snapshot(desired.App())
	if err != nil {
		return result, nil, err
	}
	cordoned := plan.CordonedIn(known, c.now())
	desired.Hosts = slices.DeleteFunc(slices.Clone(desired.Hosts), func(on release.Host) bool {
		return len(scope.Hosts) > 0 && !slices.Contains(scope.Hosts, on.Name)
	})
	done, unreached, errs := make([]CommandedOn, len(desired.Hosts)), make([]error, len(desired.Hosts)), make([]error, len(desired.Hosts))
	c.everyHost(desired, func(i int, on release.Host) {
		done[i] = CommandedOn{Host: on.Name}
		if cordoned[on.Name] != "" {
			return
		}
		conn, err := c.fleet.Connection(ctx, on)
		if err != nil {
			unreached[i] = err
			return
		}
		if err := do(ctx, on, conn, &done[i]); err != nil {
			done[i].Error, errs[i] = why(err, on.Name), named(on.Name, result.Command, err)
		}
	})
	result.Done = []CommandedOn{}
	for i, on := range desired.Hosts {
		switch {
		case cordoned[on.Name] != "":
			result.Cordoned = append(result.Cordoned, plan.Skipped{Host: on.Name, Reason: cordoned[on.Name]})
		case unreached[i] != nil:
			result.Skipped = append(result.Skipped, plan.Skipped{Host: on.Name, Reason: why(unreached[i], on.Name)})
		default:
			result.Done = append(result.Done, done[i])
		}
	}
	if len(result.Done) == 0 {
		return result, nil, noHost(result.Command, result.Skipped, result.Cordoned)
	}
	return result, slices.DeleteFunc(errs, func(err error) bool { return err == nil }), ctx.Err()
}
