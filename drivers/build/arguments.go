package build

import (
	"cmp"
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/kamald/kamald/release"
)

// secretVariable comes before the name of a build secret in the builder's environment: a secret that is called HTTP_PROXY must not
// steer the builder itself.
const secretVariable = "KAMALD_BUILD_SECRET_"

// labelPack is the buildpack that labels an image, which a Dockerfile's build does by an option.
const labelPack = "paketo-buildpacks/image-labels"

// cacheFromOptions are the options of a cache that reading it takes too.
var cacheFromOptions = []string{"url", "url_v2", "token", "scope", "timeout"}

// shape is what an invocation of the builder is made of.
type shape struct {
	job        Job
	method     method
	builder    string // of buildx: the instance, or the engine's own by the name of Docker's context
	dockerfile string // absolute
	metadata   string // the file that buildx writes what it made into
	cache      string // the directory of a local cache
	keeps      bool   // buildx leaves the image in its cache alone, whatever is wanted
}

// argv is the builder's command line. No secret is in it.
func (s shape) argv() []string {
	if s.method.tool == toolPack {
		return s.pack()
	}
	b := s.job.Release.Build
	argv := []string{"docker", "build"}
	if s.method.tool == toolBuildx {
		argv = []string{"docker", "buildx", "build", "--builder", s.builder, "--output", s.output(), "--metadata-file", s.metadata}
	}
	if s.method.tool != toolClassic {
		argv = append(argv, "--progress", "plain")
	}
	if len(b.Arch) > 0 {
		argv = append(argv, "--platform", strings.Join(platforms(b.Arch), ","))
	}
	for _, tag := range s.tags() {
		argv = append(argv, "--tag", tag)
	}
	argv = append(argv, s.caching()...)
	argv = append(argv, "--label", "service="+s.job.Release.Service)
	for _, name := range slices.Sorted(maps.Keys(b.Args)) {
		argv = append(argv, "--build-arg", name+"="+b.Args[name])
	}
	for _, name := range b.Secrets {
		argv = append(argv, "--secret", "id="+name+",env="+secretVariable+name)
	}
	argv = append(argv, "--file", s.dockerfile)
	if b.Target != "" {
		argv = append(argv, "--target", b.Target)
	}
	if b.SSH != "" {
		argv = append(argv, "--ssh", s.sshKeys(b.SSH))
	}
	argv = append(argv, s.attestations()...)
	if s.job.NoCache {
		argv = append(argv, "--no-cache")
	}
	return append(argv, s.job.Tree.Dir)
}

// tags are what the image is called. Only what goes to the registry at once is called latest: on an engine that may be a server's,
// that name moves with the end of a release.
func (s shape) tags() []string {
	if s.pushes() {
		return []string{s.job.Release.Image(), Latest(s.job.Release)}
	}
	return []string{s.job.Release.Image()}
}

// pushes tells whether the builder itself pushes.
func (s shape) pushes() bool { return s.job.Push && !s.method.held() }

// output is where buildx puts the image.
func (s shape) output() string {
	switch {
	case s.keeps:
		return "type=cacheonly"
	case s.pushes():
		return "type=registry"
	case s.method.held() || loads(s.job.Release.Build):
		return "type=docker"
	}
	return "type=cacheonly"
}

// loads tells whether an engine can take the image as it is asked for: of one architecture, and without attestations.
func loads(b release.Build) bool {
	return len(b.Arch) <= 1 && !attests(b.Provenance) && (b.SBOM == nil || !*b.SBOM)
}

func (s shape) attestations() []string {
	b := s.job.Release.Build
	if s.method.tool != toolBuildx {
		return nil // what attests nothing need not be told not to
	}
	var argv []string
	if b.Provenance != "" {
		argv = append(argv, "--provenance", b.Provenance)
	}
	if b.SBOM != nil {
		argv = append(argv, "--sbom", strconv.FormatBool(*b.SBOM))
	}
	return argv
}

// caching says where layers are kept, and read again.
func (s shape) caching() []string {
	cache := s.job.Release.Build.Cache
	if cache == nil {
		return nil
	}
	options := strings.Split(cache.Options, ",")
	if cache.Options == "" {
		options = nil
	}
	to, from := "type="+cache.Type, "type="+cache.Type
	switch cache.Type {
	case release.CacheRegistry:
		ref := s.job.Release.Named(cache.Image)
		to, from = to+",ref="+ref, from+",ref="+ref
	case release.CacheLocal:
		given := map[string]string{}
		options = slices.DeleteFunc(options, func(option string) bool {
			name, dir, _ := strings.Cut(option, "=")
			if name != "dest" && name != "src" {
				return false
			}
			given[name] = s.besideTheFile(dir)
			return true
		})
		dest := cmp.Or(given["dest"], s.cache)
		to, from = to+",dest="+dest, from+",src="+cmp.Or(given["src"], dest)
	}
	for _, option := range options {
		name, _, _ := strings.Cut(option, "=")
		to += "," + option
		if cache.Type == release.CacheGHA && slices.Contains(cacheFromOptions, name) {
			from += "," + option
		}
	}
	return []string{"--cache-to", to, "--cache-from", from}
}

// pack is the command line of a build by buildpacks. A secret is a variable of the build there, by its name alone: pack takes the
// value from its environment.
func (s shape) pack() []string {
	b := s.job.Release.Build
	argv := []string{"pack", "build", s.job.Release.Image(), "--builder", b.Pack.Builder, "--creation-time", "now", "--no-color"}
	argv = append(argv, s.packCaches()...)
	if len(b.Arch) > 0 {
		argv = append(argv, "--platform", "linux/"+b.Arch[0])
	}
	for _, name := range b.Pack.Buildpacks {
		argv = append(argv, "--buildpack", name)
	}
	if len(b.Pack.Buildpacks) > 0 {
		argv = append(argv, "--buildpack", labelPack)
	} else {
		argv = append(argv, "--post-buildpack", labelPack) // the builder's own choice stays
	}
	argv = append(argv, "--env", "BP_IMAGE_LABELS=service="+s.job.Release.Service)
	for _, name := range slices.Sorted(maps.Keys(b.Args)) {
		argv = append(argv, "--env", name+"="+b.Args[name])
	}
	for _, name := range b.Secrets {
		argv = append(argv, "--env", name)
	}
	if s.job.NoCache {
		argv = append(argv, "--clear-cache")
	}
	return append(argv, "--path", s.job.Tree.Dir)
}

// packCaches names the volumes of the buildpacks' caches. By itself pack names them after the image with its version, so that each
// commit would begin with empty ones, and leave two.
func (s shape) packCaches() []string {
	var argv []string
	for _, kind := range []string{"build", "launch"} {
		argv = append(argv, "--cache", "type="+kind+";format=volume;name=kamald-pack-"+s.job.Release.Service+"."+kind)
	}
	return argv
}

// spoken is the command line for people: arguments of a build may be what nobody else should read.
func spoken(argv []string) string {
	words := slices.Clone(argv)
	for i := range words {
		if i > 0 && slices.Contains([]string{"--build-arg", "--env"}, words[i-1]) {
			if name, _, valued := strings.Cut(words[i], "="); valued {
				words[i] = name + "=…"
			}
		}
		if strings.ContainsAny(words[i], " \t\n;") || words[i] == "" {
			words[i] = strconv.Quote(words[i])
		}
	}
	return strings.Join(words, " ")
}

// Latest is the name of the newest build in the registry: latest, or latest-DESTINATION.
func Latest(r release.Release) string {
	if r.Destination == "" {
		return r.ImageName() + ":latest"
	}
	return r.ImageName() + ":latest-" + r.Destination
}

// besideTheFile is a path of the file's that is of no tree: relative to the file's own directory, wherever the builder runs.
func (s shape) besideTheFile(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(s.job.Tree.Project, path)
}

// sshKeys is the value of --ssh with whole paths, and the home directory in place of ~, which no shell does here.
func (s shape) sshKeys(text string) string {
	id, listed, ok := strings.Cut(text, "=")
	if !ok {
		return text
	}
	paths := strings.Split(listed, ",")
	for i, path := range paths {
		home, err := os.UserHomeDir()
		if rest, short := strings.CutPrefix(path, "~/"); short && err == nil {
			path = filepath.Join(home, rest)
		}
		paths[i] = s.besideTheFile(path)
	}
	return id + "=" + strings.Join(paths, ",")
}

// variables is the builder's environment besides this process's. Secrets are in it, and nowhere else.
func (s shape) variables(ctx context.Context, config *credentials) ([]string, error) {
	b := s.job.Release.Build
	env := append(hostVariable(s.method.engine), "DOCKER_CLI_HINTS=false")
	prefix := secretVariable
	switch s.method.tool {
	case toolWithin:
		env = append(env, "DOCKER_BUILDKIT=1")
	case toolClassic:
		env = append(env, "DOCKER_BUILDKIT=0")
	case toolPack:
		prefix = ""
		if os.Getenv("DOCKER_HOST") == "" { // pack knows no contexts
			said := question(ctx, "", "docker", "context", "inspect", "--format", "{{.Endpoints.docker.Host}}")
			if said.err != nil {
				return nil, said.err
			}
			env = append(env, "DOCKER_HOST="+said.out)
		}
	}
	if s.method.node.remote() {
		env = append(env, "BUILDKIT_NO_CLIENT_TOKEN=1") // the remote asks the registry, which this machine may not reach
	}
	for _, name := range b.Secrets {
		env = append(env, prefix+name+"="+s.job.Secrets[name].Reveal())
	}
	return append(env, config.variables()...), nil
}

// program is how a result calls what built: the instance, or the program.
func (s shape) program() string { return cmp.Or(s.method.node.name, s.method.tool.String()) }
