package release

import (
	"slices"
	"strings"
)

// The drivers of a build that behave in ways of their own; see Build.Driver.
const (
	DriverDocker    = "docker"           // the engine's own builder
	DriverContainer = "docker-container" // BuildKit in a container of its own
	DriverRemote    = "remote"           // a BuildKit that runs already, at Remote
	// DriverCloud comes before the name of a builder of Docker's build cloud: "cloud acme/default".
	DriverCloud = "cloud "
)

// Where a build gets what it builds from; see Build.Source.
const (
	SourceClone     = "clone"
	SourceArchive   = "archive"
	SourceDirectory = "directory"
)

// The kinds of a cache; see BuildCache.Type.
const (
	CacheRegistry = "registry"
	CacheGHA      = "gha"
	CacheLocal    = "local"
)

// Build is how the image is made. It is no part of what runs: two builds that differ here and give the same image are the same
// release, so it stands in no release record and no saved plan, and counts in no digest.
type Build struct {
	// Source is SourceClone, SourceArchive or SourceDirectory; "" is a clone where the file lies in a git repository, else the
	// directory. It is the directory when the file sets a context and no source.
	Source     string `json:"source,omitempty"`
	Context    string `json:"context,omitempty"` // the directory to build, relative to the file's; "" is the file's own
	Dockerfile string `json:"dockerfile"`        // relative to the file's directory, as Kamal has it, not to the context
	Target     string `json:"target,omitempty"`  // a stage of the Dockerfile; "" is the last

	Arch    []string          `json:"arch,omitempty"` // Docker's names, without linux/; empty: the engine's own
	Args    map[string]string `json:"args,omitempty"`
	Secrets []string          `json:"secrets,omitempty"` // names of secrets that the build may read
	SSH     string            `json:"ssh,omitempty"`     // buildx's --ssh: default, or ID=SOCKET or ID=KEY; "" is none

	Remote     string `json:"remote,omitempty"`      // an engine's ssh:// or tcp:// address, or with DriverRemote a BuildKit's
	RemoteOnly bool   `json:"remote_only,omitempty"` // local = false: nothing is built on this machine
	Driver     string `json:"driver,omitempty"`      // "" is DriverDocker where that can do it, else DriverContainer

	Provenance string `json:"provenance,omitempty"` // buildx's --provenance: true, false or mode=…; "" is Docker's own choice
	SBOM       *bool  `json:"sbom,omitempty"`       // nil is Docker's own choice

	Cache *BuildCache `json:"cache,omitempty"` // nil: none but the builder's own
	Pack  *BuildPack  `json:"pack,omitempty"`  // nil: a Dockerfile
}

// BuildCache is where layers are kept between builds.
type BuildCache struct {
	Type string `json:"type"` // CacheRegistry, CacheGHA or CacheLocal
	// Image is the repository of a registry cache, without the registry's server.
	Image   string `json:"image,omitempty"`
	Options string `json:"options,omitempty"` // buildx's, NAME=VALUE with commas between
}

// BuildPack is a build by Cloud Native Buildpacks in place of a Dockerfile.
type BuildPack struct {
	Builder    string   `json:"builder"`              // the builder image
	Buildpacks []string `json:"buildpacks,omitempty"` // in their order; empty: the builder's own choice
}

// Uncommitted tells whether the version names changes that are in no commit, and in the image.
func (r Release) Uncommitted() bool {
	return r.Build.Source == SourceDirectory && strings.Contains(r.Version, uncommittedInfix)
}

// architectures are the processors that Docker builds for, by its names.
var architectures = []string{"386", "amd64", "amd64/v2", "amd64/v3", "amd64/v4", "arm", "arm/v5", "arm/v6", "arm/v7", "arm64", "arm64/v8",
	"loong64", "mips64le", "ppc64le", "riscv64", "s390x"}

// othersArchitectures are names that other programs have for what Docker calls by these.
var othersArchitectures = map[string]string{"x86_64": "amd64", "x86-64": "amd64", "x64": "amd64", "aarch64": "arm64", "arm64v8": "arm64",
	"armv7l": "arm/v7", "armhf": "arm/v7", "arm32v7": "arm/v7", "armv6l": "arm/v6", "arm32v6": "arm/v6", "armv5l": "arm/v5", "arm32v5": "arm/v5",
	"i386": "386", "i686": "386", "x86": "386", "riscv": "riscv64", "loongarch64": "loong64"}

// Architecture is Docker's name of a processor that may be called otherwise ("x86_64"), and whether Docker builds for it.
func Architecture(name string) (docker string, known bool) {
	if other, ok := othersArchitectures[name]; ok {
		return other, true
	}
	return name, slices.Contains(architectures, name)
}
