package e2e

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/kamald/kamald/lab"
)

// Builders of buildx's own run BuildKit in a container, whose image comes from a registry that a test may not need. So these tests
// run where KAMALD_BUILDX names the program docker-buildx and KAMALD_BUILDKIT a directory with the programs buildkitd and buildctl;
// hosts of the lab then build with them. docs/architecture.md says where both come from.

// buildkitImage is what buildx makes its containers from. It asks for it at its registry, and takes what is there when that fails.
const buildkitImage = "moby/buildkit:buildx-stable-1"

// buildx gives the folder's docker command the plugin, and hosts of the lab and this machine the builder's image.
func (f *fixture) buildx(hosts ...*lab.Host) {
	f.t.Helper()
	plugin, programs := os.Getenv("KAMALD_BUILDX"), os.Getenv("KAMALD_BUILDKIT")
	if plugin == "" || programs == "" {
		f.t.Skip("NOT RUN: KAMALD_BUILDX names no program buildx, or KAMALD_BUILDKIT no directory with buildkitd and buildctl")
	}
	config := filepath.Join(f.dir, "docker")
	if err := os.MkdirAll(filepath.Join(config, "cli-plugins"), 0o700); err != nil {
		f.t.Fatal(err)
	}
	if err := os.Symlink(plugin, filepath.Join(config, "cli-plugins", "docker-buildx")); err != nil {
		f.t.Fatal(err)
	}
	f.env = append(f.env, "DOCKER_CONFIG="+config)
	dir := f.t.TempDir()
	f.buildkitContext(dir, programs)
	f.shell("docker", "build", "-q", "-t", buildkitImage, "--label", "kamald.test=e2e", dir)
	f.t.Cleanup(func() { _, _ = exec.Command("docker", "rmi", "-f", buildkitImage).CombinedOutput() })
	for _, h := range hosts {
		load := exec.Command("sh", "-c", `docker save "$1" | docker exec -i "$2" docker load -q`, "sh", buildkitImage, h.Container)
		if said, err := load.CombinedOutput(); err != nil {
			f.t.Fatalf("%v: %s", err, said)
		}
		f.withoutResource(h)
	}
}

// withoutResource lets a host's engine run the privileged container that buildx asks for: a lab host lacks one capability, which some
// machines may not hand on, and the runtime refuses to give what it has not.
func (f *fixture) withoutResource(h *lab.Host) {
	f.t.Helper()
	f.exec(h, "sh", "-c", `set -e
mv /usr/sbin/runc /usr/sbin/runc.whole
cat >/usr/sbin/runc <<'END'
#!/bin/sh
before=
for word; do
	case $before in
	--bundle) sed -i 's/"CAP_SYS_RESOURCE",//g' "$word/config.json" ;;
	--process) sed -i 's/"CAP_SYS_RESOURCE",//g' "$word" ;;
	esac
	before=$word
done
exec /usr/sbin/runc.whole "$@"
END
chmod 755 /usr/sbin/runc`)
	f.t.Cleanup(func() { _, _ = h.Exec(context.Background(), "mv", "/usr/sbin/runc.whole", "/usr/sbin/runc") })
}

// buildkitContext is what the builder's image is made of: BuildKit, the runtime of this machine's engine, and a shell that makes the
// lab's registry known by its name.
func (f *fixture) buildkitContext(dir, programs string) {
	f.t.Helper()
	into := func(name, from string) {
		data, err := os.ReadFile(from)
		if err != nil {
			f.t.Fatal(err)
		}
		path := filepath.Join(dir, "root", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			f.t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o755); err != nil {
			f.t.Fatal(err)
		}
	}
	for _, name := range []string{"buildkitd", "buildctl"} {
		into("usr/bin/"+name, filepath.Join(programs, name))
	}
	for name, at := range map[string]string{"runc": "usr/bin/runc", "dash": "bin/sh"} {
		from, err := exec.LookPath(name)
		if err != nil {
			f.t.Fatal(err)
		}
		into(at, from)
		said, err := exec.Command("ldd", from).Output()
		if err != nil {
			f.t.Fatal(err)
		}
		for _, word := range strings.Fields(string(said)) {
			if strings.HasPrefix(word, "/") {
				into(word, word)
			}
		}
	}
	registry := f.lab.Registry.Server
	name, _, _ := strings.Cut(registry, ":")
	address := f.host(1).Address[:strings.LastIndex(f.host(1).Address, ".")] + ".10"
	if err := os.MkdirAll(filepath.Join(dir, "root", "etc", "buildkit"), 0o755); err != nil {
		f.t.Fatal(err)
	}
	for path, text := range map[string]string{
		"root/etc/buildkit/buildkitd.toml": fmt.Sprintf("[registry.%q]\n  http = true\n[registry.\"docker.io\"]\n  mirrors = [%q]\n", registry, registry),
		"root/entry":                       fmt.Sprintf("#!/bin/sh\necho '%s %s' >>/etc/hosts\nexec /usr/bin/buildkitd \"$@\"\n", address, name),
		"Dockerfile":                       "FROM scratch\nCOPY root /\nENV PATH=/usr/bin:/bin\nWORKDIR /tmp\nENTRYPOINT [\"/entry\"]\nVOLUME /var/lib/buildkit\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, path), []byte(text), 0o755); err != nil {
			f.t.Fatal(err)
		}
	}
}

// shell runs a program in the folder, with its environment.
func (f *fixture) shell(argv ...string) string {
	f.t.Helper()
	cmd := exec.CommandContext(f.t.Context(), argv[0], argv[1:]...)
	cmd.Dir, cmd.Env = f.dir, f.env
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	said, err := cmd.Output()
	if err != nil {
		f.t.Fatalf("%s: %v: %s", strings.Join(argv, " "), err, stderr.String())
	}
	return strings.TrimSpace(string(said))
}

// platforms are those of a list in the lab's registry; of an attestation "unknown/unknown".
func (f *fixture) platforms(version string) []string {
	f.t.Helper()
	tag, auth := f.tag(version)
	index, err := remote.Index(tag, auth)
	if err != nil {
		f.t.Fatal(err)
	}
	list, err := index.IndexManifest()
	if err != nil {
		f.t.Fatal(err)
	}
	var all []string
	for _, manifest := range list.Manifests {
		all = append(all, manifest.Platform.String())
	}
	slices.Sort(all)
	return all
}

// Builders of buildx's own build on a server, reached by SSH: for one architecture and for several, with caches and attestations, and
// what they have pushed is released.
func TestBuildersOfBuildx(t *testing.T) {
	f := newFixture(t)
	f.deploy(settings{more: f.buildAt(3)})
	f.repository()
	f.buildx(f.host(2), f.host(3))
	build := func(lines string) {
		f.t.Helper()
		f.deploy(settings{more: strings.Replace(f.buildAt(3), "build {\n", "build {\n"+lines, 1)})
	}
	for _, part := range []struct {
		name string
		do   func(f *fixture, build func(string))
	}{
		{"a list for two architectures is built, pushed and released", buildsList},
		{"an image of one architecture comes to this machine's engine", buildsHere},
		{"a secret is read, and is nowhere", buildsWithSecret},
		{"a cache in the registry outlives the builder", buildsFromCache("registry", "    image = \"acme/shop-cache\"\n    options = \"mode=max\"\n")},
		{"a cache in a directory outlives the builder", buildsFromCache("local", "    options = \"mode=max\"\n")},
		{"a cache of GitHub's actions outlives the builder", buildsFromGithubsCache},
		{"a bill of materials is pushed beside the image, and the release runs", buildsWithBill},
		{"provenance is pushed beside the image, and the release runs", buildsWithProvenance},
		{"a builder half here and half there builds each part where it belongs", buildsInTwoPlaces},
	} {
		if !t.Run(part.name, func(t *testing.T) { part.do(f.within(t), build) }) {
			break // each begins with what the one before has left
		}
	}
	f.run("build", "remove")
}

func buildsList(f *fixture, build func(string)) {
	build("  driver = \"docker-container\"\n  arch = [\"amd64\", \"arm64\"]\n")
	version := f.commit("list", "")
	f.must(0, "build").says(f.t, "--push")
	var report struct {
		Version, Outcome string
		Build            builtImage
	}
	f.json(f.must(0, "deploy", "--json").stdout, &report)
	if report.Outcome != "succeeded" || report.Build.Digest == "" || report.Build.Digest != f.inRegistry(version) || f.inRegistry("latest") != report.Build.Digest {
		f.t.Errorf("deployed %+v", report)
	}
	if got := f.platforms(version); !slices.Contains(got, "linux/amd64") || !slices.Contains(got, "linux/arm64") {
		f.t.Errorf("the list has %v", got)
	}
	f.wantRunning(f.host(1), "shop-web-"+version)
	f.wantRunning(f.host(3), "shop-workers-"+version)
	f.emptyTwice(version)
}

func buildsHere(f *fixture, build func(string)) {
	build("  driver = \"docker-container\"\n  provenance = \"false\"\n")
	f.commit("here", "")
	var made builtImage
	f.json(f.must(0, "build", "--json").stdout, &made)
	if made.ID == "" || made.Digest != "" {
		f.t.Errorf("built %+v", made)
	}
	defer f.shell("docker", "rmi", "-f", made.Image)
	if got := f.shell("docker", "image", "inspect", "-f", "{{.Config.Labels.service}} {{.Architecture}}", made.Image); got != "shop amd64" {
		f.t.Errorf("the image here is %s", got)
	}
}

func buildsWithSecret(f *fixture, build func(string)) {
	f.compile("../drivers/build/testdata/reader")
	build("  driver = \"docker-container\"\n  provenance = \"false\"\n  secrets = [\"API_TOKEN\"]\n")
	f.commit("secret", "RUN --mount=type=secret,id=API_TOKEN [\"/bin/app\", \"/run/secrets/API_TOKEN\", \"/digest\"]")
	var made builtImage
	r := f.must(0, "build", "--json", "-v")
	f.json(r.stdout, &made)
	defer f.shell("docker", "rmi", "-f", made.Image)
	if strings.Contains(r.all(), canary) || strings.Contains(f.shell("docker", "history", "--no-trunc", made.Image), canary) {
		f.t.Error("the secret is told")
	}
	container := f.shell("docker", "create", "--label", "kamald.test=e2e", made.Image)
	defer f.shell("docker", "rm", "-f", container)
	f.shell("docker", "cp", container+":/digest", filepath.Join(f.dir, "digest"))
	if got, err := os.ReadFile(filepath.Join(f.dir, "digest")); err != nil || len(got) != 64 {
		f.t.Errorf("the build has read %q: %v", got, err)
	}
}

// buildsFromCache builds the same twice, and the second time with a new builder, which knows the layers by the cache alone.
func buildsFromCache(kind, options string) func(*fixture, func(string)) {
	return func(f *fixture, build func(string)) {
		build("  driver = \"docker-container\"\n  provenance = \"false\"\n  cache {\n    type = \"" + kind + "\"\n" + options + "  }\n")
		f.commit("cache-"+kind, "FROM scratch AS other\nCOPY app /other\nFROM scratch\nENV PATH=/bin\nEXPOSE 3000\nCMD [\"app\", \"web\"]\nCOPY --from=other /other /bin/app\n")
		f.must(0, "build", "--push")
		f.must(0, "build", "remove")
		r := f.must(0, "build", "--push")
		if strings.Count(r.stderr, "CACHED") < 2 || !strings.Contains(r.stderr, "importing cache manifest") {
			f.t.Error("the new builder has not used the cache")
		}
	}
}

func buildsWithProvenance(f *fixture, build func(string)) {
	f.compile("../lab/app")
	build("  driver = \"docker-container\"\n  provenance = \"mode=max\"\n")
	version := f.commit("provenance", "")
	f.must(0, "deploy")
	if got := f.platforms(version); fmt.Sprint(got) != "[linux/amd64 unknown/unknown]" {
		f.t.Errorf("the list has %v", got)
	}
	f.wantRunning(f.host(2), "shop-web-"+version)
	f.emptyTwice(version)
}

// scanner is a program that writes a bill of materials, as BuildKit asks for one: its own comes from Docker Hub, whose mirror is the
// lab's registry for these builders.
const scanner = `#!/bin/sh
echo '{"_type":"https://in-toto.io/Statement/v0.1","predicateType":"https://spdx.dev/Document","predicate":{"name":"shop"}}' >"$BUILDKIT_SCAN_DESTINATION/sbom.spdx.json"
`

func buildsWithBill(f *fixture, build func(string)) {
	dir := f.t.TempDir()
	for name, text := range map[string]string{"scan": scanner, "Dockerfile": "FROM " + buildkitImage + "\nCOPY scan /scan\nENTRYPOINT [\"/scan\"]\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			f.t.Fatal(err)
		}
	}
	image := f.lab.Registry.Push + "/docker/buildkit-syft-scanner:stable-1"
	f.shell("docker", "build", "-q", "-t", image, "--label", "kamald.test=e2e", dir)
	defer f.shell("docker", "rmi", "-f", image)
	login := base64.StdEncoding.EncodeToString([]byte(f.lab.Registry.Username + ":" + f.lab.Registry.Password.Reveal()))
	f.write("docker/config.json", fmt.Sprintf(`{"auths": {%q: {"auth": %q}}}`, f.lab.Registry.Push, login), 0o600)
	f.shell("docker", "push", "-q", image)

	f.compile("../lab/app")
	build("  driver = \"docker-container\"\n  provenance = \"false\"\n  sbom = true\n")
	version := f.commit("bill", "")
	f.must(0, "deploy")
	if got := f.platforms(version); fmt.Sprint(got) != "[linux/amd64 unknown/unknown]" {
		f.t.Errorf("the list has %v", got)
	}
	f.wantRunning(f.host(2), "shop-web-"+version)
	f.emptyTwice(version)
}

// The docker command's own engine is that of another host here. Both push their part; the list of the two is put together by buildx
// itself, on this machine, which does not reach the lab's registry by its name: that is said, and no half of a list is left.
func buildsInTwoPlaces(f *fixture, _ func(string)) {
	f.env = append(f.env, "DOCKER_HOST=ssh://root@"+f.host(2).Address)
	f.deploy(settings{more: fmt.Sprintf("build {\n  remote = \"ssh://root@%s\"\n  arch = [\"amd64\", \"arm64\"]\n}\n", f.host(3).Address)})
	version := f.commit("places", "")
	var details struct{ Nodes []string }
	f.json(f.must(0, "build", "details", "--json").stdout, &details)
	if len(details.Nodes) != 2 {
		f.t.Errorf("the nodes are %v", details.Nodes)
	}
	defer f.run("build", "remove")
	f.must(1, "build", "--push").says(f.t, "exporting manifest list", "pushing manifest", "ERROR: failed to build", "kamald-lab-registry")
	for n, want := range map[int]string{2: "amd64", 3: "arm64"} {
		if said := f.exec(f.host(n), "docker", "ps", "-q", "--filter", "name=buildx_buildkit_kamald-hybrid"); said == "" {
			f.t.Errorf("nothing was built for %s on %s", want, f.host(n).Name)
		}
	}
	if got := f.inRegistry(version); got != "" {
		f.t.Errorf("half of a list is in the registry: %s", got)
	}
}
