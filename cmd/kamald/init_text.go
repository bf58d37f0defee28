package main

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/kamald/kamald/release"
)

// text is a first deploy.hcl; it is formatted after this.
func (s starter) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, `# What should run, and where. `+"`kamald docs`"+` lists all that may stand here.

service = %s # container names begin with it
image = %s # the repository, without the registry's server and without a tag
# version = "v1" # default: the commit that is checked out
`, release.Quote(s.service), release.Quote(s.image))
	switch s.registry {
	case "":
		b.WriteString("\n# There is no registry block: images are taken from this machine's Docker engine and carried to the servers over SSH.\n")
	default:
		server := "server = " + release.Quote(s.registry) + "\n"
		if release.OnHub(s.registry) {
			server = "" // Docker Hub is what holds without it
		}
		fmt.Fprintf(&b, "\nregistry {\n%susername = %s\npassword = secret(%s) # its value comes from .kamald/secrets\n}\n", server, release.Quote(s.registryUser), release.Quote(registryPassword))
	}
	if s.user != "" && s.user != "root" {
		fmt.Fprintf(&b, "\nssh {\nuser = %s # must be allowed to use Docker there\n}\n", release.Quote(s.user))
	}
	b.WriteString(`
# Clear variables are part of the release; of secret ones the names stand here, and the values come from .kamald/secrets.
# env {
#   clear  = { LOG_LEVEL = "info" }
#   secret = ["DATABASE_URL"]
# }

# The old version serves until GET /up on app_port answers 200 in the new one.
proxy {
`)
	if s.domain != "" {
		fmt.Fprintf(&b, "hosts = [%s]\n", release.Quote(s.domain))
	}
	fmt.Fprintf(&b, `app_port = %d

healthcheck {
path = "/up"
}
}

role "web" {
hosts = [%s]
}
`, s.port, quoteAll(s.hosts))
	return b.String()
}

// beside are the files that stand beside deploy.hcl.
func (s starter) beside(dir string) []startFile {
	line := "# DATABASE_URL=$DATABASE_URL\n"
	if s.registry != "" {
		line = registryPassword + "=$" + registryPassword + "\n"
	}
	hook := func(name, text string) startFile {
		return startFile{filepath.Join(dir, ".kamald", "hooks", name+".sample"), "#!/bin/sh\n" + text, 0o755}
	}
	return []startFile{
		{filepath.Join(dir, ".kamald", "secrets"), "# NAME=value, one a line, read on this machine only. A value may be $VARIABLE or $(command), so that no secret stands here.\n" + line, 0o600},
		hook("pre-deploy", `# A sample: runs on this machine before a release, and stops it by failing. Take .sample off its name to use it.
set -eu
git diff --quiet HEAD || { echo "there are changes that are not committed" >&2; exit 1; }
`),
		hook("post-deploy", `# A sample: runs on this machine after a release. Take .sample off its name to use it.
set -eu
echo "released at $(date -u +%Y-%m-%dT%H:%M:%SZ)"
`),
	}
}

func quoteAll(texts []string) string {
	var all []string
	for _, text := range texts {
		all = append(all, release.Quote(text))
	}
	return strings.Join(all, ", ")
}
