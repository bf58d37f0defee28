package docker

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// dockerSays puts a docker command on the PATH whose context is what a script says, and no other program.
func dockerSays(t *testing.T, script string) {
	t.Helper()
	bin := t.TempDir()
	asked := `[ "$*" = "context inspect --format {{.Name}} {{.Endpoints.docker.Host}}" ] || { echo "asked for $*"; exit 0; }` + "\n"
	if err := os.WriteFile(filepath.Join(bin, "docker"), []byte("#!/bin/sh\n"+asked+script+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin)
}

func TestTheLocalEngineIsTheDockerCommandsOwn(t *testing.T) {
	const colima = `echo "colima unix:///Users/me/.colima/default/docker.sock"`
	for name, c := range map[string]struct{ host, docker, want, says string }{
		"DOCKER_HOST":                    {"unix:///run/other.sock", colima, "/run/other.sock", ""},
		"DOCKER_HOST elsewhere":          {"tcp://10.0.0.1:2375", colima, "", `DOCKER_HOST is the engine at "tcp://10.0.0.1:2375"`},
		"DOCKER_HOST that is no path":    {"unix://", colima, "", "let it name one"},
		"the context":                    {"", colima, "/Users/me/.colima/default/docker.sock", ""},
		"the default context":            {"", `echo "default unix:///var/run/docker.sock"`, DefaultSocket, ""},
		"a context elsewhere":            {"", `echo "prod ssh://deploy@10.0.0.1"`, "", `docker's context "prod" is the engine at "ssh://deploy@10.0.0.1": images are carried, and host ` + "`local` is served, only from an engine on a unix socket of this machine: choose one (`docker context use default`"},
		"a context that is not there":    {"", `echo 'context "gone": context not found' >&2; exit 1`, "", `context "gone": context not found: choose another`},
		"a docker that knows no context": {"", `echo "docker: 'context' is not a docker command." >&2; exit 1`, DefaultSocket, ""},
	} {
		t.Run(name, func(t *testing.T) {
			dockerSays(t, c.docker)
			t.Setenv("DOCKER_HOST", c.host)
			got, err := LocalSocket(t.Context())
			if got != c.want || (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
	t.Setenv("PATH", t.TempDir())
	t.Setenv("DOCKER_HOST", "")
	if got, err := LocalSocket(t.Context()); got != DefaultSocket || err != nil {
		t.Errorf("without a docker command: %q, %v", got, err)
	}
}
