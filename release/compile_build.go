package release

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

const (
	defaultDockerfile = "Dockerfile"
	defaultLocal      = true
	cacheSuffix       = "-build-cache"  // Kamal's
	uncommittedInfix  = "_uncommitted_" // Kamal's
)

var (
	buildDrivers  = []string{DriverDocker, DriverContainer, "kubernetes", DriverRemote}
	cloudBuilder  = regexp.MustCompile(`\Acloud [A-Za-z0-9_-]+/[A-Za-z0-9_.-]+\z`)
	stageName     = regexp.MustCompile(`\A[A-Za-z0-9][A-Za-z0-9_.-]*\z`)
	argumentName  = regexp.MustCompile(`\A[A-Za-z_][A-Za-z0-9_.-]*\z`)
	buildSSH      = regexp.MustCompile(`\A[A-Za-z0-9_.-]+(?:=[^\s"]+)?\z`)
	buildSettings = regexp.MustCompile(`\A[A-Za-z_.-]+=[^,\s"]*(?:,[A-Za-z_.-]+=[^,\s"]*)*\z`)
	packName      = regexp.MustCompile(`\A[^\s,-][^\s,]*\z`)
)

// compileBuild reads how the image is made; what Docker's own builder would refuse after minutes is refused here.
func (c *compiler) compileBuild() {
	b := c.root.child("build")
	c.rel.Build = Build{
		Source: b.get("source").text(), Context: b.get("context").text(), Dockerfile: b.get("dockerfile").textOr(defaultDockerfile),
		Target: b.get("target").text(), Arch: b.get("arch").strings(), Args: b.get("args").stringMap(), Secrets: b.get("secrets").strings(),
		SSH: b.get("ssh").text(), Remote: b.get("remote").text(), RemoteOnly: !b.get("local").boolOr(defaultLocal),
		Driver: b.get("driver").text(), Provenance: b.get("provenance").text(),
	}
	if v := b.get("sbom"); v.set() && !v.unknown {
		c.rel.Build.SBOM = &v.flag
	}
	if c.rel.Build.Source == "" && c.rel.Build.Context != "" {
		c.rel.Build.Source = SourceDirectory
	}
	if b == nil {
		return
	}
	c.compileCache(b.child("cache"))
	c.compilePack(b)
	c.checkBuildTexts(b)
	c.checkArch(b.get("arch"))
	c.checkBuildNames(b)
	c.checkRemote(b)
	c.checkDriver(b)
	c.checkKept(b)
}

// addUncommitted makes the version that is the commit's name another where the image has more in it than the commit.
func (c *compiler) addUncommitted() {
	fromGit := c.opts.Version == "" && c.hasGit && c.rel.Version == c.git.SHA
	if !fromGit || c.rel.Build.Source != SourceDirectory || c.opts.Uncommitted == nil {
		return
	}
	name, err := c.askUncommitted(c.rel.Build)
	if err != nil {
		c.errorf(c.root.child("build").rng, "No version", "The image is built from the directory, and what of it is in no commit cannot be read: %v. "+
			"Give --version, or set version.", err)
	} else if name != "" {
		c.rel.Version += uncommittedInfix + name
	}
}

func (c *compiler) compileCache(b *block) {
	if b == nil {
		return
	}
	cache := &BuildCache{Type: b.get("type").text(), Image: b.get("image").text(), Options: b.get("options").text()}
	c.rel.Build.Cache = cache
	kind, image := b.get("type"), b.get("image")
	switch {
	case !kind.isKnown():
	case cache.Type == "":
		c.rel.Build.Cache = nil
		c.warnf(b.rng, "Without effect", "cache keeps nothing without type: \"registry\" keeps layers in a registry, \"gha\" in GitHub's, \"local\" on this machine.")
	case cache.Type != CacheRegistry && image.set():
		c.warnf(image.rng, "Without effect", "image is a registry cache's; a %q cache has none.", cache.Type)
	case cache.Type == CacheRegistry && !image.set():
		cache.Image = c.rel.Repository + cacheSuffix
	}
	if image.set() && !image.unknown && (!repository.MatchString(cache.Image) || strings.Contains(strings.SplitN(cache.Image, "/", 2)[0], ".")) {
		c.errorf(image.rng, "Bad image", "%q is not a repository: lower-case letters, digits, and . _ - / between them, without the registry's server and without a tag.", cache.Image)
	}
	if v := b.get("options"); v.set() && !v.unknown && cache.Options != "" && !buildSettings.MatchString(cache.Options) {
		c.errorf(v.rng, "Bad options", "options are buildx's, such as \"mode=max,compression=zstd\": NAME=VALUE with commas between, not %q.", cache.Options)
	}
}

// notOfPack are the attributes that speak of a Dockerfile or of buildx.
var notOfPack = []string{"dockerfile", "target", "ssh", "remote", "local", "driver", "provenance", "sbom"}

func (c *compiler) compilePack(b *block) {
	pack := b.child("pack")
	if pack == nil {
		return
	}
	c.rel.Build.Pack = &BuildPack{Builder: pack.get("builder").text(), Buildpacks: pack.get("buildpacks").strings()}
	for _, name := range notOfPack {
		if v := b.get(name); v.set() && !(name == "local" && v.boolOr(true)) {
			c.warnf(v.rng, "Without effect", "%s is about a Dockerfile's build, and pack { } builds without one.", name)
		}
	}
	if cache := b.child("cache"); cache != nil {
		c.warnf(cache.rng, "Without effect", "cache is about a Dockerfile's build, and pack { } keeps a cache of its own.")
	}
	if v := b.get("arch"); len(v.items()) > 1 {
		c.errorf(v.rng, "Several architectures", "Buildpacks build for one architecture; arch has %d.", len(v.items()))
	}
	names := append([]text{}, pack.get("buildpacks").items()...)
	if v := pack.get("builder"); v.set() && !v.unknown {
		names = append(names, text{s: v.text(), rng: v.rng})
	}
	for _, name := range names {
		if !packName.MatchString(name.s) {
			c.errorf(name.rng, "Bad name", "%q names no builder or buildpack: an image or an ID, such as \"heroku/builder:24\".", name.s)
		}
	}
}

// checkBuildTexts checks what goes to the builder as it is.
func (c *compiler) checkBuildTexts(b *block) {
	texts := []struct {
		name    string
		rule    *regexp.Regexp
		summary string
		detail  string
	}{
		{"target", stageName, "Bad target", "%q cannot name a stage: letters, digits, _ . and -, the first a letter or digit."},
		{"ssh", buildSSH, "Bad ssh", "ssh is \"default\" for the agent, or an id with a socket or a key, such as \"github=~/.ssh/id_ed25519\", not %q."},
	}
	for _, t := range texts {
		if v := b.get(t.name); v.set() && !v.unknown && !t.rule.MatchString(v.text()) {
			c.errorf(v.rng, t.summary, t.detail, v.text())
		}
	}
	if v := b.get("dockerfile"); v.set() && !v.unknown && (v.text() == "" || strings.HasPrefix(v.text(), "-") || strings.Contains(v.text(), "://")) {
		c.errorf(v.rng, "Bad path", "dockerfile is the path of a file, relative to this file's directory, such as \"docker/Dockerfile\", not %q.", v.text())
	}
	if v := b.get("context"); v.set() && !v.unknown && (v.text() == "" || strings.HasPrefix(v.text(), "-") || strings.Contains(v.text(), "://")) {
		c.errorf(v.rng, "Bad path", "context is a directory, relative to this file's, such as \".\", not %q.", v.text())
	}
	v := b.get("provenance")
	if !v.set() || v.unknown {
		return
	}
	said := v.text()
	mode, hasMode := strings.CutPrefix(said, "mode=")
	mode, _, _ = strings.Cut(mode, ",")
	if said != "true" && said != "false" && !buildSettings.MatchString(said) || hasMode && mode != "min" && mode != "max" {
		c.errorf(v.rng, "Bad provenance", "provenance is true, false, \"mode=min\" or \"mode=max\", with more of buildx's settings after a comma, not %q.", said)
	}
}

func (c *compiler) checkArch(v *value) {
	var seen []string
	for _, item := range v.items() {
		bare, prefixed := strings.CutPrefix(item.s, "linux/")
		docker, known := Architecture(bare)
		switch {
		case known && (prefixed || docker != item.s):
			c.errorf(item.rng, "Bad architecture", "Docker calls %q %q here: write arch = [%q].", item.s, docker, docker)
		case !known:
			c.errorf(item.rng, "Bad architecture", "%q is no architecture that Docker builds for, such as \"amd64\" or \"arm64\".%s", item.s, didYouMean(item.s, architectures))
		case slices.Contains(seen, docker):
			c.errorf(item.rng, "Listed twice", "%q stands in arch already.", item.s)
		}
		seen = append(seen, docker)
	}
}

// checkBuildNames checks what becomes a variable or an identifier of the build.
func (c *compiler) checkBuildNames(b *block) {
	args := b.get("args")
	for _, name := range args.keys() {
		if !argumentName.MatchString(name) {
			c.errorf(args.rangeOf(name), "Bad name", "%q cannot name a build argument: letters, digits, _ . and -, the first a letter or _.", name)
		}
	}
	var seen []string
	for _, item := range b.get("secrets").items() {
		switch {
		case !argumentName.MatchString(item.s):
			c.errorf(item.rng, "Bad name", "%q cannot name a build secret: letters, digits, _ . and -, the first a letter or _.", item.s)
		case slices.Contains(seen, item.s):
			c.errorf(item.rng, "Listed twice", "%q stands in secrets already.", item.s)
		case b.child("pack") != nil && ofTheTool(item.s):
			c.errorf(item.rng, "Bad name", "Buildpacks get a secret as the variable of its name, and %s is one that pack or Docker reads themselves: give the secret another name.", item.s)
		}
		seen = append(seen, item.s)
	}
}

// ofTheTool are the variables that steer the programs which build.
func ofTheTool(name string) bool {
	if slices.Contains([]string{"PATH", "HOME", "TMPDIR", "SSH_AUTH_SOCK", "NO_COLOR"}, name) {
		return true
	}
	return slices.ContainsFunc([]string{"DOCKER_", "PACK_", "LD_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "XDG_"},
		func(prefix string) bool { return strings.HasPrefix(strings.ToUpper(name), prefix) })
}

func (c *compiler) checkRemote(b *block) {
	v := b.get("remote")
	if local := b.get("local"); local.set() && !local.unknown && !local.flag && (!v.set() || v.isKnown() && v.text() == "") && b.child("pack") == nil {
		c.errorf(local.rng, "Nowhere to build", "local = false builds nothing on this machine, and there is no remote: set remote = \"ssh://user@host\", or take local out.")
	}
	if !v.set() || v.unknown {
		return
	}
	u, err := url.Parse(v.text())
	if err == nil && u.User != nil {
		if _, has := u.User.Password(); has {
			c.conceal(v.rng)
			c.errorf(v.rng, "Secret written out", "remote has a password in it: SSH logs in with a key or an agent.")
			return
		}
	}
	if err != nil || u.Scheme != "ssh" && u.Scheme != "tcp" || u.Hostname() == "" || strings.HasPrefix(u.Hostname(), "-") || u.RawQuery != "" || u.Fragment != "" {
		c.errorf(v.rng, "Bad remote", "remote is the address of a Docker engine, \"ssh://user@host\" or \"tcp://host:2376\", not %q.", v.text())
	}
}

// checkKept refuses an image that would be nowhere when it is built: what an engine takes is of one architecture and has no attestations,
// and what none takes can only be pushed.
func (c *compiler) checkKept(b *block) {
	if c.rel.Registry != nil || c.rel.Build.Pack != nil || c.rel.Build.Driver == DriverDocker {
		return // the driver docker is refused for it anyway
	}
	refuse := func(v *value, what string) {
		c.errorf(v.rng, "Nowhere to keep it", "%s: no engine keeps such an image, and without a registry it cannot travel: one arch and no attestations, or a registry block.", what)
	}
	arch, sbom, provenance := b.get("arch"), b.get("sbom"), b.get("provenance")
	if n := len(arch.items()); n > 1 {
		refuse(arch, fmt.Sprintf("arch has %d", n))
	}
	if sbom.set() && !sbom.unknown && sbom.flag {
		refuse(sbom, "sbom is an attestation")
	}
	if said := provenance.text(); said != "" && said != "false" {
		refuse(provenance, "provenance is an attestation")
	}
}

// checkDriver holds a driver to what it can do.
func (c *compiler) checkDriver(b *block) {
	v, build := b.get("driver"), c.rel.Build
	if !v.set() || v.unknown {
		return
	}
	cloud := strings.HasPrefix(build.Driver, DriverCloud)
	switch {
	case cloud && !cloudBuilder.MatchString(build.Driver):
		c.errorf(v.rng, "Bad driver", "A builder of Docker's cloud is \"cloud ORGANISATION/BUILDER\", not %q.", build.Driver)
	case !cloud && !slices.Contains(buildDrivers, build.Driver):
		c.errorf(v.rng, "Bad driver", "driver is one of %s, or \"cloud ORGANISATION/BUILDER\", not %q.%s", quoted(buildDrivers), build.Driver, didYouMean(build.Driver, buildDrivers))
	case cloud && build.Remote != "":
		c.errorf(v.rng, "Two builders", "A cloud builder and remote are two places to build: keep one of them.")
	case build.Driver == DriverRemote && b.get("remote").isKnown() && !strings.HasPrefix(build.Remote, "tcp://"):
		c.errorf(v.rng, "Nowhere to build", "The driver \"remote\" builds with a BuildKit that runs already: set remote to its address, such as \"tcp://buildkit.example.com:1234\".")
	case build.Driver == DriverDocker:
		c.checkDriverDocker(b)
	}
}

// checkDriverDocker refuses what the engine's own builder cannot do.
func (c *compiler) checkDriverDocker(b *block) {
	rng, build := b.get("driver").rng, c.rel.Build
	const other = "the driver \"docker-container\" can, and is taken where none is set"
	if len(build.Arch) > 1 {
		c.errorf(rng, "Driver cannot", "The driver \"docker\" builds for one architecture, and arch has %d; %s.", len(build.Arch), other)
	}
	if build.Cache != nil {
		c.errorf(rng, "Driver cannot", "The driver \"docker\" writes no cache; %s.", other)
	}
	if build.SBOM != nil && *build.SBOM || build.Provenance != "" && build.Provenance != "false" {
		c.errorf(rng, "Driver cannot", "The driver \"docker\" makes no attestations (provenance, sbom); %s.", other)
	}
	if build.Remote != "" && !build.RemoteOnly {
		c.errorf(rng, "Driver cannot", "The driver \"docker\" builds with one engine: with remote it needs local = false; %s.", other)
	}
}
