package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/kamald/kamald/drivers/build"
	"github.com/kamald/kamald/drivers/docker"
	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// restoreLimit bounds putting a name back on an engine, which is done also when the push was interrupted.
const restoreLimit = 30 * time.Second

// built is what was built or pushed; it is `kamald build --json` besides the schema.
type built struct {
	Image       string        `json:"image"`
	Version     string        `json:"version"`
	Commit      string        `json:"commit,omitempty"`
	Uncommitted []string      `json:"uncommitted,omitempty"` // changes that are in no commit
	Included    bool          `json:"included,omitempty"`    // they are in the image
	Platforms   []string      `json:"platforms,omitempty"`   // that were asked for
	Builder     string        `json:"builder,omitempty"`
	ID          string        `json:"id,omitempty"`     // where an engine holds the image
	Size        int64         `json:"size,omitempty"`   // in bytes, there
	Digest      string        `json:"digest,omitempty"` // in the registry
	Pushed      []string      `json:"pushed,omitempty"`
	Took        time.Duration `json:"took,omitempty"` // to build
	PushTook    time.Duration `json:"push_took,omitempty"`
	Log         string        `json:"log,omitempty"`
}

// image builds, and pushes if that is wanted.
func (p *program) image(ctx context.Context, s *session, push, noCache bool) (made built, err error) {
	if err := refuseChosen(s.desired); err != nil {
		return made, err
	}
	if push && s.desired.Registry == nil {
		return made, errors.New("there is no registry to push to: images travel over the SSH connections; `kamald build` builds, and `kamald apply` brings the image to the servers")
	}
	job := build.Job{Release: s.desired, Push: push, NoCache: noCache}
	if job.Auth, err = s.RegistryAuth(s.desired); err != nil {
		return made, err
	}
	if job.Secrets, err = s.BuildSecrets(s.desired); err != nil {
		return made, err
	}
	if job.Log, err = p.buildLog(s.desired); err != nil {
		return made, err
	}
	defer func() {
		if failed := job.Log.Close(); failed != nil {
			p.warn("the build's log: %v", failed)
		}
	}()
	if err := s.buildHooks(ctx); err != nil {
		return made, err
	}
	p.interrupt.before(build.Abandon)
	if job.Tree, err = build.Open(ctx, filepath.Dir(p.flags.file), s.desired.Build, job.Log); err != nil {
		return made, ended(err, "the build")
	}
	defer func() { err = errors.Join(err, job.Tree.Close()) }()
	job.Log.Printf("building %s", s.desired.Image())
	result, err := job.Run(ctx)
	if err != nil {
		return made, ended(err, "the build")
	}
	made = builtOf(s.desired, job.Tree, result)
	made.Log = job.Log.Name()
	return made, p.keep(ctx, s, job, result, &made)
}

// buildHooks runs those before a build, and those before the first connection: what is built may come from where only they lead.
func (s *session) buildHooks(ctx context.Context) error {
	if err := s.BeforeConnecting(ctx); err != nil {
		return err
	}
	var hosts []string
	for _, on := range s.desired.Hosts {
		hosts = append(hosts, on.Name)
	}
	return s.RunHooks(ctx, s.desired, release.HookPreBuild, reconcile.HookAbout{Hosts: hosts})
}

// buildLog is beside the runs' logs where the file says so, else kamald's own.
func (p *program) buildLog(desired release.Release) (*build.Log, error) {
	dir, own := logDirectory(p.flags.file, desired.Output.Dir), desired.Output.Dir == ""
	if own {
		store, err := p.storeFile()
		if err != nil {
			return nil, err
		}
		dir = filepath.Join(filepath.Dir(store), "builds", desired.Service)
	}
	live := p.err.Writer
	if p.flags.quiet {
		live = nowhere{}
	}
	log, err := build.NewLog(dir, desired.Destination, own, live, time.Now())
	if err == nil {
		log.Note("# kamald %s: build of %s %s", version, desired.App(), desired.Version)
	}
	return log, err
}

// nowhere takes everything.
type nowhere struct{}

func (nowhere) Write(data []byte) (int, error) { return len(data), nil }

func builtOf(desired release.Release, tree *build.Tree, result build.Result) built {
	made := built{Image: desired.Image(), Version: desired.Version, Commit: tree.Commit, Uncommitted: tree.Changes, Included: tree.Included && len(tree.Changes) > 0,
		Platforms: result.Platforms, Builder: result.Builder, Digest: result.Digest, Took: result.Took}
	if result.Pushed {
		made.Pushed = []string{desired.Image(), build.Latest(desired)}
	}
	return made
}

// keep finds out what the engine holds, and pushes it, or brings it to this machine where there is no registry.
func (p *program) keep(ctx context.Context, s *session, job build.Job, result build.Result, made *built) error {
	if !result.Held {
		if !result.Pushed {
			p.warn("the image lies in the builder's cache alone: no engine keeps what is of several architectures or has attestations; `kamald build --push` pushes it")
		}
		return nil
	}
	engine := docker.New(result.Engine.Dial, docker.Options{})
	defer engine.Close()
	image, err := engine.Image(ctx, made.Image)
	if err != nil {
		return err
	}
	if err := checkLabel(s.desired, image); err != nil {
		return err
	}
	made.ID, made.Size = image.ID, image.Size
	switch {
	case job.Push:
		return p.pushFrom(ctx, s.desired, result.Engine, engine, job.Auth, job.Log.Printf, made)
	case s.desired.Registry == nil && result.Engine.Address != "":
		job.Log.Printf("bringing the image from %s to this machine's engine", result.Engine.Address)
		return ended(carry(ctx, engine, made.Image), "bringing the image here")
	}
	return nil
}

// checkLabel holds an image to the label by which its containers are found, as Kamal does.
func checkLabel(desired release.Release, image state.Image) error {
	if image.Labels["service"] == desired.Service {
		return nil
	}
	return fmt.Errorf("the image %s lacks the label service=%s: with buildpacks, add one that labels images (paketo-buildpacks/image-labels), and see that nothing takes the label away", desired.Image(), desired.Service)
}

// carry brings an image to the engine that the docker command of this machine talks to.
func carry(ctx context.Context, from *docker.Engine, ref string) error {
	archive, err := from.Save(ctx, ref)
	if err != nil {
		return err
	}
	defer archive.Close()
	here := docker.New(build.Engine{}.Dial, docker.Options{})
	defer here.Close()
	return here.Load(ctx, archive)
}

// pushed pushes an image that was built before.
func (p *program) pushed(ctx context.Context, s *session) (built, error) {
	made := built{Image: s.desired.Image(), Version: s.desired.Version}
	if err := refuseChosen(s.desired); err != nil {
		return made, err
	}
	if s.desired.Registry == nil {
		return made, errors.New("there is no registry to push to: images travel over the SSH connections, and `kamald apply` brings them to the servers")
	}
	where, held, err := build.Where(ctx, s.desired)
	if err != nil {
		return made, err
	}
	if !held {
		return made, errors.New("no engine keeps an image of several architectures or with attestations: `kamald build --push` builds it and pushes it in one")
	}
	auth, err := s.RegistryAuth(s.desired)
	if err != nil {
		return made, err
	}
	engine := docker.New(where.Dial, docker.Options{})
	defer engine.Close()
	image, err := engine.Image(ctx, made.Image)
	if errors.Is(err, state.ErrNotFound) {
		return made, fmt.Errorf("there is no %s to push: `kamald build` builds it, and --version names another: %w", made.Image, err)
	}
	if err == nil {
		err = checkLabel(s.desired, image)
	}
	if err != nil {
		return made, err
	}
	made.ID, made.Size = image.ID, image.Size
	return made, p.pushFrom(ctx, s.desired, where, engine, auth, p.note, &made)
}

// pushFrom lets an engine push: the version first, by which the image is known, then latest.
func (p *program) pushFrom(ctx context.Context, desired release.Release, where build.Engine, engine *docker.Engine, auth release.Auth, told func(string, ...any), made *built) (err error) {
	began := time.Now()
	say := func(line string) { told("%s", line) }
	if auth.Password.Reveal() != "" {
		if err := engine.Login(ctx, auth); err != nil {
			return ended(err, "the push")
		}
	}
	told("pushing %s", made.Image)
	if made.Digest, err = engine.Push(ctx, made.Image, auth, say); err != nil {
		return ended(err, "the push")
	}
	made.Pushed = append(made.Pushed, made.Image)
	latest := build.Latest(desired)
	on, err := servedBy(ctx, desired, where)
	if err == nil && on == "" {
		err = pushLatest(ctx, engine, made.Image, latest, auth, say)
	}
	switch {
	case err != nil:
		return ended(fmt.Errorf("%s is pushed, %s is not: %w", made.Image, latest, err), "the push")
	case on != "":
		told("%s is not pushed: the engine is that of %s, where this name moves with the end of a release", latest, on)
	default:
		made.Pushed = append(made.Pushed, latest)
	}
	made.PushTook = time.Since(began)
	return nil
}

// pushLatest lends the image the name for the push, which an engine can do by no other way, and puts back what had it before.
func pushLatest(ctx context.Context, engine *docker.Engine, image, latest string, auth release.Auth, told func(string)) (err error) {
	before, err := engine.Image(ctx, latest)
	if err != nil && !errors.Is(err, state.ErrNotFound) {
		return err
	}
	if err := engine.Tag(ctx, image, latest); err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), restoreLimit)
		defer cancel()
		if before.ID == "" {
			err = errors.Join(err, engine.RemoveImage(ctx, latest))
		} else {
			err = errors.Join(err, engine.Tag(ctx, before.ID, latest))
		}
	}()
	_, err = engine.Push(ctx, latest, auth, told)
	return err
}

// servedBy names the host of the release whose engine it is, "" when it is none's.
func servedBy(ctx context.Context, desired release.Release, where build.Engine) (string, error) {
	address := where.Address
	if address == "" {
		var err error
		if address, _, err = docker.LocalAddress(ctx); err != nil {
			return "", err
		}
	}
	name := release.LocalHost
	if u, err := url.Parse(address); err == nil && u.Hostname() != "" && u.Scheme != "unix" {
		name = u.Hostname()
	}
	i := slices.IndexFunc(desired.Hosts, func(h release.Host) bool { return h.Name == name || h.Address == name })
	if i < 0 {
		return "", nil
	}
	return desired.Hosts[i].Name, nil
}

// showBuilt says what there is now.
func (p *program) showBuilt(made built) error {
	if p.flags.json {
		return p.writeJSON(struct {
			Schema int `json:"schema"`
			built
		}{schema, made})
	}
	switch {
	case made.Took > 0:
		p.printf("%s\n", p.out.in(green, fmt.Sprintf("Built %s in %s by %s.", made.Image, short(made.Took), made.Builder)))
	case len(made.Pushed) > 0:
		p.printf("%s\n", p.out.in(green, fmt.Sprintf("Pushed %s in %s.", made.Image, short(made.PushTook))))
	}
	if p.flags.quiet {
		return nil
	}
	for _, line := range [][2]string{{"platforms", platformsOf(made.Platforms)}, {"id", made.ID}, {"size", sizeOf(made.Size)},
		{"pushed", strings.Join(made.Pushed, ", ")}, {"digest", made.Digest}, {"log", made.Log}} {
		if line[1] != "" {
			p.printf("  %s: %s\n", line[0], line[1])
		}
	}
	return nil
}

func sizeOf(bytes int64) string {
	if bytes == 0 {
		return ""
	}
	return plan.Size(bytes)
}
