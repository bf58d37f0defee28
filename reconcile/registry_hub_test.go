package reconcile_test

import (
	"testing"
	"testing/synctest"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/release"
)

// Engines leave Docker Hub's name out of what they list, by whichever name it was pulled.
func TestReleasesFollowEachOtherFromDockerHubByAnyOfItsNames(t *testing.T) {
	for _, server := range []string{"", "docker.io", "index.docker.io", "registry-1.docker.io"} {
		t.Run("server "+server, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 631)
				for _, version := range []string{"v1", "v2"} {
					w.Push(sim.Image{Ref: "docker.io/acme/shop:" + version, Behaviour: sim.Healthy(0), Labels: map[string]string{"service": "shop", "version": version}})
				}
				text := "service = \"shop\"\nimage = \"acme/shop\"\nrole \"web\" { hosts = [\"h1\"] }\nregistry {\n server = \"" + server + "\"\n username = \"deploy\"\n password = secret(\"REGISTRY_PASSWORD\")\n}\n"
				read, diags := release.Load("deploy.hcl", release.Options{Version: "v1", Env: func(string) (string, bool) { return "", false },
					ReadFile: func(string) ([]byte, error) { return []byte(text), nil }, ReadDir: func(string) ([]string, error) { return nil, nil }})
				if diags.Len() > 0 {
					t.Fatal(diags.Error())
				}
				for _, version := range []string{"v1", "v2"} {
					desired := w.release(version)
					desired.Repository, desired.Registry = read.Repository, read.Registry
					w.mustApply(desired)
					w.mustBeEmpty(desired)
				}
				desired := w.release("v2")
				desired.Repository, desired.Registry = read.Repository, read.Registry
				w.mustRollBack(desired)
			})
		})
	}
}
