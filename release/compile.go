package release

import (
	"strings"
	"time"

	"golang.org/x/mod/semver"
)

// The defaults that deploy.reference.hcl names.
const (
	defaultRetain         = 5
	defaultDeployTimeout  = 30 * time.Second
	defaultReadinessDelay = 7 * time.Second
	defaultDrainTimeout   = 30 * time.Second
	defaultStopTimeout    = 10 * time.Second
	defaultRunDirectory   = ".kamal"
	defaultNetwork        = "kamal"
	defaultRole           = "web"

	defaultWait          = time.Duration(0)
	defaultParallelRoles = true
	defaultOnFailure     = "rollback"
	defaultOnUnreachable = "fail"
)

// compiler makes a release of one view of the file, and checks what only the whole of it can tell.
type compiler struct {
	*loader
	view    *view
	all     []*view
	root    *block
	rel     Release
	roles   []*block // in the release's order
	unbuilt []unbuiltUse
}

func newCompiler(l *loader, v *view, all []*view) *compiler {
	return &compiler{loader: l, view: v, all: all, root: v.root}
}

func (c *compiler) compile() {
	c.checkRequired(c.root)
	c.compileRoot()
	c.compileRegistry()
	c.compileBuild()
	c.addUncommitted()
	c.rel.SSH = c.compileSSH(c.root.child("ssh"))
	c.compileTags()
	c.compileRoles()
	c.compileAccessories()
	c.compileHosts()
	c.compileProxyServer()
	c.compileErrorPages()
	c.compileRollout()
	c.compileOutput()
	c.compileReconcile()
	c.compileSecrets()
	c.compileAliases()
	c.checkRoles()
	c.checkRoutes()
	c.checkTraefikRoutes()
	c.checkAccessories()
	c.compileHooks()
	c.collectUnbuilt()
}

func (c *compiler) compileRoot() {
	r := c.root
	c.rel = Release{
		Service: r.get("service").text(), Destination: c.view.name, Repository: r.get("image").text(),
		RetainContainers: r.get("retain_containers").intOr(defaultRetain),
		DeployTimeout:    r.get("deploy_timeout").durationOr(defaultDeployTimeout),
		ReadinessDelay:   r.get("readiness_delay").durationOr(defaultReadinessDelay),
		DrainTimeout:     r.get("drain_timeout").durationOr(defaultDrainTimeout),
		RunDirectory:     r.get("run_directory").textOr(defaultRunDirectory),
		Network:          r.get("network").textOr(defaultNetwork),
	}
	if v := r.get("service"); v.set() && !v.unknown && !serviceName.MatchString(v.text()) {
		c.errorf(v.rng, "Bad service name", "%q cannot name a service: letters, digits, - and _, the first a letter or digit.%s", v.text(), foreignLetter(v.text()))
	}
	if v := r.get("run_directory"); v.set() && !v.unknown && (!runDirectory.MatchString(v.text()) || strings.Contains(v.text(), "..")) {
		c.errorf(v.rng, "Bad directory", "run_directory is a path below the SSH user's home, such as \".kamal\", or an absolute one, without ~, .. and line breaks.")
	}
	if v := r.get("network"); v.set() && !v.unknown && !volumeName.MatchString(v.text()) {
		c.errorf(v.rng, "Bad name", "%q cannot name a Docker network: letters, digits, _ . and -, the first a letter or digit.", v.text())
	}
	c.checkImage()
	c.compileVersionPolicy()
	c.compileVersion()
	c.checkMinimumVersion()
	c.checkLabels(r.get("labels"))
	c.checkVolumes(r.get("volumes"))
}

func (c *compiler) checkImage() {
	v := c.root.get("image")
	if !v.set() || v.unknown {
		return
	}
	image := v.text()
	first, rest, several := strings.Cut(image, "/")
	switch {
	case several && (strings.ContainsAny(first, ".:") || first == "localhost"):
		c.errorf(v.rng, "Image with a server", "image is the repository alone, %q; the server %q belongs in registry { server = … }.", rest, first)
	case strings.Contains(image, "@"):
		c.errorf(v.rng, "Image with a digest", "image is the repository alone; which build of it is wanted is what version says.")
	case strings.Contains(image, ":"):
		name, tag, _ := strings.Cut(image, ":")
		c.errorf(v.rng, "Image with a tag", "image is the repository alone, %q; the tag belongs in version = %q.", name, tag)
	case !repository.MatchString(image):
		c.errorf(v.rng, "Bad image", "%q is not a repository: lower-case letters, digits, and . _ - / between them.", image)
	}
}

func (c *compiler) compileVersion() {
	v := c.root.get("version")
	switch {
	case c.opts.Version != "":
		c.rel.Version = c.opts.Version
	case c.root.child("version_policy") != nil:
		return // it is chosen when the tags are known
	case v.set():
		c.rel.Version = v.text()
	default:
		c.rel.Version = c.git.SHA
	}
	rng := c.root.rng
	if v.set() {
		rng = v.rng
	}
	if c.rel.Version == "" {
		fromGit := !v.set() || v.unknown
		if c.gitErr != nil && fromGit {
			c.errorf(rng, "No version", "The version is the commit's (git.sha), and git cannot be read: %v. Give --version, or set version.", c.gitErr)
		} else if !fromGit {
			c.errorf(rng, "Bad version", "version is empty; leave it out for git.sha.")
		}
		return
	}
	if c.rel.Version == "latest" || strings.HasPrefix(c.rel.Version, "latest-") {
		c.errorf(rng, "Bad version", "%q is a tag that kamald moves itself, when a release has succeeded: give a version a tag of its own.", c.rel.Version)
	}
	if !imageTag.MatchString(c.rel.Version) {
		c.errorf(rng, "Bad version", "%q cannot be an image's tag: letters, digits, _ . and -, at most 128 of them.", c.rel.Version)
	}
}

func (c *compiler) checkMinimumVersion() {
	v := c.root.get("minimum_version")
	if !v.set() || v.unknown {
		return
	}
	least, mine := "v"+strings.TrimPrefix(v.text(), "v"), "v"+strings.TrimPrefix(c.opts.KamaldVersion, "v")
	switch {
	case !semver.IsValid(least):
		c.errorf(v.rng, "Bad version", "minimum_version is a version of kamald, such as \"0.1\", not %q.", v.text())
	case semver.IsValid(mine) && semver.Compare(mine, least) < 0:
		c.errorf(v.rng, "kamald is too old", "This is kamald %s; the file needs at least %s.", c.opts.KamaldVersion, v.text())
	}
}

func (c *compiler) compileRegistry() {
	b := c.root.child("registry")
	server := b.get("server").text()
	if OnHub(server) {
		server, c.rel.Repository = "", strings.TrimPrefix(c.rel.Repository, hubLibrary) // as engines list them
	}
	if b == nil {
		return
	}
	c.rel.Registry = &Registry{Server: server}
	if v := b.get("username"); v.set() && v.one.secret {
		c.rel.Registry.UsernameSecret = v.text()
	} else {
		c.rel.Registry.Username = v.text()
	}
	c.rel.Registry.PasswordSecret = b.get("password").text()
	if v := b.get("server"); strings.Contains(v.text(), "://") || strings.HasSuffix(v.text(), "/") {
		c.errorf(v.rng, "Bad server", "server is a host name with at most a port, such as \"registry.example.com\", without a scheme or a slash.")
	}
	user, password := b.get("username"), b.get("password")
	if user.set() != password.set() {
		c.errorf(b.rng, "Half a login", "registry needs both username and password, or neither.")
	}
}

func (c *compiler) compileRollout() {
	b := c.root.child("rollout")
	c.rel.Rollout = Rollout{
		Wait:            b.get("wait").durationOr(defaultWait),
		ParallelRoles:   b.get("parallel_roles").boolOr(defaultParallelRoles),
		Halt:            b.get("on_failure").textOr(defaultOnFailure) == "halt",
		SkipUnreachable: b.get("on_unreachable").textOr(defaultOnUnreachable) == "skip",
	}
	if canary := b.child("canary"); canary != nil {
		c.rel.Rollout.Canary = &Canary{Percent: canary.get("percent").intOr(0), Hold: canary.get("hold").durationOr(0)}
	}
	v := b.get("limit")
	switch {
	case !v.set() || v.unknown:
	case v.listed:
		c.rel.Rollout.Limit.Percent = int(v.number)
	default:
		c.rel.Rollout.Limit.Count = int(v.number)
	}
}
