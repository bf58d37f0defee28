package build

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/kamald/kamald/release"
)

// Job is one build of an image.
type Job struct {
	Release release.Release
	Tree    *Tree
	Auth    release.Auth              // what the registry wants to see, for images that the build begins from, too
	Secrets map[string]release.Secret // all that the build block names
	Push    bool                      // to the registry, where the builder itself can; see Result.Pushed
	NoCache bool
	Log     *Log
}

// Result is what a build has made.
type Result struct {
	Image     string        // with the version
	Digest    string        // in the registry; "" when the builder has not pushed it
	Platforms []string      // that were asked for; empty: the engine's own
	Builder   string        // the buildx builder, or the program
	Took      time.Duration // the build alone
	Pushed    bool          // the builder has pushed it, as the version and as latest
	// Held tells whether Engine holds the image; else it lies in the builder's cache alone, or in the registry.
	Held   bool
	Engine Engine
}

// FailedError is a build that came to its end and failed.
type FailedError struct {
	Program string
	Err     error
	Last    []string // the last lines that it said
	Log     string   // the file with all of them
	Next    string   // what may mend it; "" when that is not known
}

// Error implements error.
func (e *FailedError) Error() string {
	text := fmt.Sprintf("`%s`: %v; all that it said is in %s", e.Program, e.Err, e.Log)
	if len(e.Last) > 0 {
		text += "\n  it said last:\n    " + strings.Join(e.Last, "\n    ")
	}
	if e.Next != "" {
		text += "\n  next: " + e.Next
	}
	return text
}

// Unwrap gives the cause.
func (e *FailedError) Unwrap() error { return e.Err }

// Details say how a release's image would be built here.
type Details struct {
	Program  string   `json:"program"`
	Builder  string   `json:"builder,omitempty"` // of buildx; "" when the engine builds by itself
	Nodes    []string `json:"nodes,omitempty"`   // where it builds, with the platforms that each is for
	Engine   string   `json:"engine,omitempty"`  // the version of the engine; "" when none answers
	Docker   string   `json:"docker"`            // the version of the docker command
	Buildx   bool     `json:"buildx"`
	Inspects string   `json:"inspect,omitempty"` // what buildx says of the builder; "" when it is not made yet
}

// Describe says how a release's image would be built here. It builds and makes nothing.
func Describe(ctx context.Context, r release.Release) (Details, error) {
	t, m, err := settle(ctx, r)
	if err != nil {
		return Details{}, err
	}
	d := Details{Program: m.tool.String(), Builder: m.node.name, Engine: t.server, Docker: t.client, Buildx: t.buildx}
	for _, n := range m.node.nodes {
		d.Nodes = append(d.Nodes, n.String())
	}
	if m.engine != "" {
		d.Nodes = []string{m.engine}
	}
	if m.node.name != "" {
		d.Inspects = question(ctx, "", "docker", "buildx", "inspect", m.node.name).out
	}
	return d, nil
}

// Remove removes the builder that builds of the release made for themselves, and tells its name: "" when they need none, or there is
// none. Its cache goes with it.
func Remove(ctx context.Context, r release.Release) (string, error) {
	_, m, err := settle(ctx, r)
	if err != nil || m.node.name == "" {
		return "", err
	}
	if err := m.node.remove(ctx); err != nil {
		if absent(err) {
			return "", nil
		}
		return "", err
	}
	return m.node.name, nil
}

// Where gives the engine that holds the release's image when it is built, and whether an engine does: what only the builder's cache
// could hold is pushed by the build itself.
func Where(ctx context.Context, r release.Release) (Engine, bool, error) {
	_, m, err := settle(ctx, r)
	return Engine{Address: m.engine}, m.held() || loads(r.Build), err
}

// settle looks at what there is, and decides.
func settle(ctx context.Context, r release.Release) (toolchain, method, error) {
	t, err := look(ctx)
	if err != nil {
		return t, method{}, err
	}
	m, err := choose(r, t)
	if err != nil {
		return t, m, err
	}
	if m.tool == toolPack {
		if _, err := exec.LookPath("pack"); err != nil {
			return t, m, fmt.Errorf("%w: build { pack } needs the program pack, of buildpacks.io, and there is none on this machine", ErrMissing)
		}
	}
	if m.engine == "" {
		return t, m, nil
	}
	remote, err := ask(ctx, m.engine)
	if err == nil && remote.failed != nil {
		err = fmt.Errorf("build { remote = %q } does not answer: %w", m.engine, remote.failed)
	}
	t.engineInfo, t.context = remote, "default"
	return t, m, err
}

// Run builds. What the builder says goes to the log and on from there. When ctx ends the builder is ended with all its processes, and
// the error is ErrEnded. Other errors are ErrMissing, ErrMisnamed and *FailedError, and fs.ErrNotExist for a Dockerfile that is not
// there.
func (j Job) Run(ctx context.Context) (Result, error) {
	j.hide()
	if err := j.Tree.Is(ctx, j.Release.Version); err != nil {
		return Result{}, err
	}
	t, m, err := settle(ctx, j.Release)
	if err != nil {
		return Result{}, err
	}
	s := shape{job: j, method: m, builder: t.context}
	if err := s.find(); err != nil {
		return Result{}, err
	}
	if m.node.name != "" {
		s.builder = m.node.name
		if err := m.node.ensure(ctx, j.Log); err != nil {
			return Result{}, err
		}
	}
	scratch, err := os.MkdirTemp("", "kamald-build-")
	if err != nil {
		return Result{}, err
	}
	defer os.RemoveAll(scratch)
	s.metadata = filepath.Join(scratch, "metadata.json")
	return s.run(ctx)
}

// hide keeps all that is secret out of the log.
func (j Job) hide() {
	j.Log.Hide(j.Auth.Password)
	for _, secret := range j.Secrets {
		j.Log.Hide(secret)
	}
}

// find looks for what the command line names.
func (s *shape) find() error {
	b := s.job.Release.Build
	for _, name := range b.Secrets {
		if _, ok := s.job.Secrets[name]; !ok {
			return fmt.Errorf("build { secrets } names %s, and its value was not looked up", name)
		}
	}
	if b.Cache != nil && b.Cache.Type == release.CacheLocal {
		cache, err := os.UserCacheDir()
		if err != nil {
			return fmt.Errorf("build { cache { type = \"local\" } }: %w", err)
		}
		s.cache = filepath.Join(cache, "kamald", "layers", s.job.Release.Service)
	}
	if s.method.tool == toolPack {
		return nil
	}
	var err error
	if s.dockerfile, err = s.job.Tree.dockerfile(b.Dockerfile); err != nil {
		return err
	}
	if _, err := os.Stat(s.dockerfile); err != nil {
		return s.noDockerfile(err)
	}
	return nil
}

// noDockerfile says where a Dockerfile is that was probably meant.
func (s *shape) noDockerfile(err error) error {
	b := s.job.Release.Build
	next := "write one, or set dockerfile in build to where it is, relative to deploy.hcl"
	within := filepath.Join(s.job.Tree.Dir, b.Dockerfile)
	if _, there := os.Stat(within); there == nil && within != s.dockerfile {
		next = fmt.Sprintf("there is one in the context: set dockerfile = %q in build", filepath.Join(b.Context, b.Dockerfile))
	} else if !s.job.Tree.Included && s.job.Tree.Commit != "" {
		next = "a clone and an archive have what is committed: commit it, or set dockerfile in build to where it is"
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the Dockerfile: %w", err)
	}
	return fmt.Errorf("there is no %s to build by; %s: %w", b.Dockerfile, next, fs.ErrNotExist)
}

// run lets the builder build.
func (s shape) run(ctx context.Context) (result Result, err error) {
	config, err := newCredentials(s.job.Auth)
	if err != nil {
		return Result{}, err
	}
	defer func() { err = errors.Join(err, config.remove()) }()
	env, err := s.variables(ctx, config)
	if err != nil {
		return Result{}, err
	}
	began := time.Now()
	if s.pushes() && s.job.Tree.mayChange(s.job.Release.Version) {
		// The builder pushes as it ends, when nobody can ask any more. So it builds first, and pushes what it then has in its cache.
		first := s
		first.keeps = true
		if err := first.invoke(ctx, env); err != nil {
			return Result{}, err
		}
		s.job.NoCache = false
	}
	if err := s.invoke(ctx, env); err != nil {
		return Result{}, err
	}
	result = Result{Image: s.job.Release.Image(), Platforms: platforms(s.job.Release.Build.Arch), Builder: s.program(), Took: time.Since(began),
		Pushed: s.pushes(), Held: s.held(), Engine: Engine{Address: s.method.engine}}
	if s.pushes() {
		result.Digest, err = digestIn(s.metadata) // of what stays here buildx names the image's ID, or nothing
	}
	return result, err
}

// held tells whether an engine has the image afterwards.
func (s shape) held() bool { return s.method.held() || s.output() == "type=docker" }

// invoke runs the builder once. What it has made of files that were changed meanwhile keeps no name by which it could be released.
func (s shape) invoke(ctx context.Context, env []string) error {
	argv := s.argv()
	s.job.Log.Note("%s", spoken(argv))
	err := start(ctx, invocation{argv: argv, env: env, dir: s.job.Tree.Dir, out: s.job.Log, err: s.job.Log})
	switch {
	case errors.Is(err, ErrEnded):
		return err
	case err != nil:
		last := s.job.Log.Last()
		return &FailedError{Program: s.method.tool.String(), Err: err, Last: last, Log: s.job.Log.Name(), Next: s.method.tool.lacks(last)}
	}
	err = s.job.Tree.Is(ctx, s.job.Release.Version)
	switch {
	case err == nil:
		return nil
	case s.held():
		return errors.Join(err, question(ctx, s.method.engine, "docker", "image", "rm", s.job.Release.Image()).err)
	case s.pushes() && !s.keeps:
		return fmt.Errorf("%w; %s is pushed, and is of these files", err, strings.Join(s.tags(), ", "))
	}
	return err
}

// digestIn reads what buildx has written of the image.
func digestIn(name string) (string, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return "", fmt.Errorf("what buildx says of the image: %w", err)
	}
	var metadata struct {
		Digest string `json:"containerimage.digest"`
	}
	if err := json.Unmarshal(data, &metadata); err != nil {
		return "", fmt.Errorf("what buildx says of the image: %w", err)
	}
	return metadata.Digest, nil
}
