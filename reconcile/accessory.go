package reconcile

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// accessoryPatience is how long an accessory may take to be healthy at least: a database makes its files at its first start.
const accessoryPatience = 2 * time.Minute

// onHost is a path of the release's as Files take it: what begins with ./ lies below the SSH user's home.
func onHost(p string) string { return strings.TrimPrefix(p, "./") }

// accessory is what a step is about; false for a role's.
func (r *run) accessory(s plan.Step) (release.Accessory, bool) {
	name, is := state.AccessoryOf(s.Role)
	if !is {
		return release.Accessory{}, false
	}
	return r.desired.Accessory(name)
}

// fetch gets an accessory's image, by its reference: the registry is asked also where the host has one of that name.
func (r *run) fetch(ctx context.Context, conn *Connection, s plan.Step) error {
	a, _ := r.accessory(s)
	if err := r.c.accessoryCredentials(r.desired, a).pull(ctx, conn, s.Name, platformOf(a)); err != nil {
		return advised(imageBeside(r.desired, a, s.Name), s.Host, err)
	}
	_, err := conn.Engine.Image(ctx, s.Name)
	return err
}

// platformOf is the one that its options ask for; "" is the host's own.
func platformOf(a release.Accessory) string {
	if given := a.Options["platform"]; len(given) > 0 {
		return given[0]
	}
	return ""
}

// accessoryCredentials are those of its own registry, else the release's where its image is of that one, else none.
func (c *Controller) accessoryCredentials(desired release.Release, a release.Accessory) *credentials {
	if a.Registry != nil {
		desired.Registry = a.Registry
		return c.credentials(desired)
	}
	return c.credentials(desired).of(a.Image)
}

// place makes an accessory's directories on the host and puts its files there. A directory that is there keeps all that is in it. They come
// first, each before what is in it: what is made on the way to something else is for the SSH user alone.
func (r *run) place(ctx context.Context, conn *Connection, s plan.Step) error {
	a, _ := r.accessory(s)
	directories := slices.SortedFunc(slices.Values(a.Directories), func(x, y release.Placed) int { return strings.Compare(x.Path, y.Path) })
	for _, directory := range directories {
		if slices.Contains(s.Paths, directory.To) {
			if err := makeDirectory(ctx, conn.Files, directory); err != nil {
				return fmt.Errorf("%s: %w", onHost(directory.Path), err)
			}
		}
	}
	for _, file := range a.Files {
		if slices.Contains(s.Paths, file.To) {
			if err := r.placeFile(ctx, conn, s, file); err != nil {
				return fmt.Errorf("%s: %w", onHost(file.Path), err)
			}
		}
	}
	return nil
}

// placeFile writes one file, and keeps what was there before for whoever undoes the step. One whose secrets are not at hand stays as
// it lies there. What the SSH user may not read is replaced, and cannot be kept.
func (r *run) placeFile(ctx context.Context, conn *Connection, s plan.Step, file release.Placed) error {
	name := onHost(file.Path)
	before, err := conn.Files.Read(ctx, name)
	there, hidden := err == nil, errors.Is(err, fs.ErrPermission)
	if errors.Is(err, state.ErrDirectory) {
		err = clearWay(ctx, conn.Files, name)
	}
	if unless(err, fs.ErrNotExist, fs.ErrPermission) != nil {
		return err
	}
	content, missing, err := r.c.contentAtHand(file)
	switch {
	case err != nil:
		return err
	case missing != "" && !there && !hidden:
		return fmt.Errorf("secret %s is not in %s, and the file is not on the host", missing, sources(r.c.Secrets))
	case missing == "":
		r.keepFile(s, name, file, before, there)
		if err := conn.Files.Write(ctx, name, []byte(content.Reveal()), modeOf(file.Mode)); err != nil {
			return err
		}
	}
	return permit(ctx, conn.Files, name, file)
}

// contentAtHand is what a file is to hold, from the secrets that are at hand here; missing names one that is not.
func (c *Controller) contentAtHand(file release.Placed) (content release.Secret, missing string, err error) {
	values := map[string]release.Secret{}
	for _, name := range file.Secrets() {
		value, ok, err := c.Secrets.Secret(name)
		if err != nil {
			return content, "", fmt.Errorf("secret %s: %w", name, err)
		}
		if ok {
			values[name] = value
		}
	}
	content, missing = file.Fill(values)
	return content, missing, nil
}

// makeDirectory makes a directory with all above it, unless it is there.
func makeDirectory(ctx context.Context, files Files, directory release.Placed) error {
	name := onHost(directory.Path)
	err := files.Mkdir(ctx, name)
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w: only root makes directories there; make it by hand, or give a path below the SSH user's home", err)
	}
	if unless(err, fs.ErrExist) != nil {
		return err
	}
	there := errors.Is(err, fs.ErrExist)
	if there && plan.Unmoded(directory) {
		return give(ctx, files, name, directory) // it has the mode that whoever uses it wants
	}
	err = permit(ctx, files, name, directory)
	if there && directory.Owner == "" && errors.Is(err, fs.ErrPermission) {
		return nil // its user has taken it for itself, as a database does: a plan says what it has made of it
	}
	return err
}

// permit sets the permissions and owners of files and directories of an accessory that were changed where they lie.
func (r *run) permit(ctx context.Context, conn *Connection, s plan.Step) error {
	a, _ := r.accessory(s)
	for _, placed := range slices.Concat(a.Files, a.Directories) {
		if !slices.Contains(s.Paths, placed.To) {
			continue
		}
		set := permit
		if plan.Unmoded(placed) {
			set = give
		}
		err := set(ctx, conn.Files, onHost(placed.Path), placed)
		if errors.Is(err, fs.ErrPermission) && placed.Owner == "" { // no release waits for that
			r.c.report(Progress{Kind: "warn", Host: s.Host, Role: s.Role, Step: s.ID, Message: fmt.Sprintf(
				"%s belongs to another user there and keeps its mode; `sudo chmod %s %s` there sets it", onHost(placed.Path), placed.Mode, onHost(placed.Path))})
			continue
		}
		if err != nil {
			return fmt.Errorf("%s: %w", onHost(placed.Path), err)
		}
	}
	return nil
}

// permit sets the permissions and the owner that were asked for.
func permit(ctx context.Context, files Files, name string, placed release.Placed) error {
	if err := files.Chmod(ctx, name, modeOf(placed.Mode)); err != nil && (!errors.Is(err, fs.ErrPermission) || placed.Owner == "") {
		return err // what was given away before belongs to another: then the owner is what is left to see to
	}
	return give(ctx, files, name, placed)
}

// give sets the owner that was asked for.
func give(ctx context.Context, files Files, name string, placed release.Placed) error {
	if placed.Owner == "" {
		return nil
	}
	user, group := ownerOf(placed.Owner)
	err := files.Chown(ctx, name, user, group)
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w: only root gives files away (owner = %q): deploy as root, or leave owner out and let the container's user read it (mode)", err, placed.Owner)
	}
	return err
}

func modeOf(mode string) fs.FileMode {
	n, _ := strconv.ParseUint(mode, 8, 32) // the release has checked it
	return fs.FileMode(n)
}

func ownerOf(owner string) (user, group int) {
	first, second, both := strings.Cut(owner, ":")
	user, _ = strconv.Atoi(first)
	if group = -1; both {
		group, _ = strconv.Atoi(second)
	}
	return user, group
}

// keptFile is a file as it was before a run wrote it.
type keptFile struct {
	name   string
	placed release.Placed
	data   []byte
	there  bool
}

func (r *run) keepFile(s plan.Step, name string, placed release.Placed, data []byte, there bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.files == nil {
		r.files = map[string][]keptFile{}
	}
	r.files[s.ID] = append(r.files[s.ID], keptFile{name, placed, data, there})
}

// putBack writes files as they were before a step; the container that runs again finds there what it knows. What was not there stays:
// nothing reads it.
func (u *undoing) putBack(ctx context.Context, conn *Connection, s plan.Step) (string, error) {
	u.mu.Lock()
	files := u.files[s.ID]
	u.mu.Unlock()
	what, changed := "put back the files of "+s.Name, false
	for _, file := range files {
		if !file.there {
			continue
		}
		changed = true
		if err := conn.Files.Write(ctx, file.name, file.data, modeOf(file.placed.Mode)); err != nil {
			return what, err
		}
		if err := permit(ctx, conn.Files, file.name, file.placed); err != nil {
			return what, err
		}
	}
	if !changed {
		return "", nil
	}
	return what, nil
}

// contentsFor puts the digests of what lies on the host into the spec of a container that is about to be made.
func (r *run) contentsFor(ctx context.Context, conn *Connection, s plan.Step, spec *state.Spec) error {
	a, is := r.accessory(s)
	if !is {
		return nil
	}
	files := map[string]state.File{}
	for to, file := range spec.Files {
		files[to] = file
	}
	for _, placed := range a.Files {
		if _, clear := placed.Clear(); clear {
			continue // the plan knows it
		}
		data, err := conn.Files.Read(ctx, onHost(placed.Path))
		if err != nil {
			return err
		}
		key, err := r.key(ctx, conn, s.Host)
		if err != nil {
			return err
		}
		file := files[placed.To]
		file.Digest = state.SecretDigest(key, string(data))
		files[placed.To] = file
	}
	if len(files) > 0 {
		spec.Files = files
	}
	return nil
}

// contentDigests gives the digests of files with secrets in them, as far as these are at hand: what would be put there.
func (c *Controller) contentDigests(desired release.Release, on release.Host, keys keys, all map[string]map[string]map[string]string) error {
	for _, a := range desired.AccessoriesOn(on.Name) {
		for _, file := range a.Files {
			if len(file.Secrets()) == 0 {
				continue
			}
			content, missing, err := c.contentAtHand(file)
			if err != nil {
				return err
			}
			if missing != "" {
				continue
			}
			if all[on.Name] == nil {
				all[on.Name] = map[string]map[string]string{}
			}
			name := state.FilesName(state.AccessoryRole(a.Name))
			if all[on.Name][name] == nil {
				all[on.Name][name] = map[string]string{}
			}
			all[on.Name][name][file.To] = keys[on.Name].contentDigest([]byte(content.Reveal()))
		}
	}
	return nil
}

// proofOf is how an accessory proves that it serves: by its own check, else Docker's, else when the port that it publishes answers.
func proofOf(p *proof, a release.Accessory) {
	p.desired.Network = a.Network
	p.desired.DeployTimeout = max(p.desired.DeployTimeout, accessoryPatience)
	p.port = containerPort(a)
}

// containerPort is the first TCP port that an accessory publishes, as its container has it; 0 for none.
func containerPort(a release.Accessory) int {
	for _, published := range a.Options["publish"] {
		inside, protocol, said := strings.Cut(published[strings.LastIndex(published, ":")+1:], "/")
		if port, err := strconv.Atoi(inside); err == nil && (!said || protocol == "tcp") {
			return port
		}
	}
	return 0
}
