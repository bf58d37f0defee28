package build

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/kamald/kamald/release"
)

// ErrMissing says that a program is missing which the build needs, or that the one which is there is too old for it.
var ErrMissing = errors.New("the build needs what is not installed")

// tool is the program that builds.
type tool int

const (
	toolBuildx  tool = iota // docker buildx build
	toolWithin              // docker build, with the BuildKit that older clients have in them
	toolClassic             // docker build, without BuildKit
	toolPack                // pack build
)

// String is how people are told.
func (t tool) String() string {
	switch t {
	case toolBuildx:
		return "docker buildx build"
	case toolWithin:
		return "docker build with BuildKit"
	case toolClassic:
		return "docker build without BuildKit"
	case toolPack:
		return "pack build"
	}
	return fmt.Sprintf("tool(%d)", int(t))
}

// method is how an image is built: by which program, with what engine or builder.
type method struct {
	tool   tool
	engine string   // the address of the engine that builds by itself; "" is this machine's, also when an instance builds
	node   instance // the buildx builder; the zero value is the engine's own
}

// held tells whether an engine holds the image when it is built, and can push it.
func (m method) held() bool { return m.node.name == "" }

// choose decides how to build: with the engine's own builder where that can do it.
func choose(r release.Release, t toolchain) (method, error) {
	b := r.Build
	if b.Pack != nil {
		return method{tool: toolPack}, t.failed
	}
	here, there := split(b, t.arch)
	why := needsInstance(b)
	switch {
	case len(why) > 0 && !t.buildx:
		return method{}, fmt.Errorf("%w: build { %s } needs buildx, and the docker command of this machine (%s) has none%s", ErrMissing, strings.Join(why, ", "), t.client, installBuildx)
	case len(why) > 0:
		return method{tool: toolBuildx, node: instanceOf(r, t, here, there)}, nil
	}
	m := method{}
	if b.RemoteOnly || len(there) > 0 {
		m.engine = b.Remote
	} else if t.failed != nil {
		return method{}, t.failed
	}
	switch {
	case t.buildx:
	case t.within():
		m.tool = toolWithin
	default:
		m.tool = toolClassic
	}
	if only := needsBuildKit(b); m.tool == toolClassic && only != "" {
		return method{}, fmt.Errorf("%w: build { %s } needs BuildKit, and the docker command of this machine (%s) has none without buildx%s", ErrMissing, only, t.client, installBuildx)
	}
	return m, nil
}

const installBuildx = "; install docker-buildx-plugin (of Docker's own packages) or docker-buildx (of the distribution), or put the program docker-buildx into ~/.docker/cli-plugins"

// beyondClassic is what the classic builder says of a Dockerfile that is written for BuildKit: a flag it does not know, or the lines of
// a here-document, which it takes for instructions.
var beyondClassic = regexp.MustCompile(`(?i)requires BuildKit|unknown flag|unknown instruction`)

// lacks says what to install for a build to succeed whose last words these are, "" when that would not mend it.
func (t tool) lacks(last []string) string {
	if t != toolClassic || !slices.ContainsFunc(last, beyondClassic.MatchString) {
		return ""
	}
	return "RUN --mount, COPY --chmod and here-documents need BuildKit, and the docker command of this machine has none without buildx" + installBuildx
}

// needsInstance names the settings that need a builder of buildx's own, as the file has them.
func needsInstance(b release.Build) []string {
	var why []string
	if b.Driver == release.DriverDocker {
		return nil // the file was checked: nothing else is set that needs one
	}
	if b.Driver != "" {
		why = append(why, fmt.Sprintf("driver = %q", b.Driver))
	}
	if len(b.Arch) > 1 {
		why = append(why, fmt.Sprintf("arch = [\"%s\"]", strings.Join(b.Arch, `", "`)))
	}
	if b.Cache != nil {
		why = append(why, fmt.Sprintf("cache { type = %q }", b.Cache.Type))
	}
	if attests(b.Provenance) {
		why = append(why, "provenance")
	}
	if b.SBOM != nil && *b.SBOM {
		why = append(why, "sbom")
	}
	return why
}

// needsBuildKit names a setting that the classic builder has no counterpart of.
func needsBuildKit(b release.Build) string {
	switch {
	case len(b.Secrets) > 0:
		return "secrets"
	case b.SSH != "":
		return "ssh"
	}
	return ""
}

// attests tells whether an attestation is asked for, and not just left to Docker.
func attests(provenance string) bool { return provenance != "" && provenance != "false" }

// split divides the architectures between this machine, whose engine has one, and the remote.
func split(b release.Build, own string) (here, there []string) {
	for _, arch := range b.Arch {
		if b.Remote != "" && (b.RemoteOnly || family(arch) != family(own)) {
			there = append(there, arch)
		} else {
			here = append(here, arch)
		}
	}
	return here, there
}

// family is an architecture without its variant.
func family(arch string) string {
	name, _, _ := strings.Cut(arch, "/")
	return name
}
