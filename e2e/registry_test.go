package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/kamald/kamald/lab"
)

// registryContainer is the lab's registry, as this machine's engine knows it.
const registryContainer = "kamald-lab-registry"

// What a registry can do to a release, one after the other on one service: a tag that moves, a password that is wrong or expires, a
// registry that is down, images for another machine, and bytes that are not what they should be.
func TestTheRegistry(t *testing.T) {
	f := newFixture(t)
	f.deploy(settings{})
	f.image("v1", nil)
	f.must(0, "apply", "--version", "v1")
	for _, part := range []struct {
		name  string
		brief bool // it is in the sample
		do    func(f *fixture)
	}{
		{"the plan's digest runs when its tag has moved", true, movedTag},
		{"a password that is wrong is said for each host", true, wrongPassword},
		{"a token that has expired is looked up again", true, expiredToken},
		{"a registry that is down is said for each host", false, registryDown},
		{"an image for another platform is refused with the plan", false, wrongPlatform},
		{"a list for several platforms is one digest", false, severalPlatforms},
		{"a damaged layer ends the release, and nothing is tagged", false, damagedLayer},
	} {
		if !t.Run(part.name, func(t *testing.T) {
			if !part.brief {
				onlyLong(t)
			}
			part.do(f.within(t))
		}) {
			break // each begins with what the one before has left
		}
	}
}

// refuses wants an apply to be refused for each of the hosts with the plan, and what runs to be as it was.
func (f *fixture) refuses(version string, texts ...string) {
	f.t.Helper()
	before := f.standing()
	r := f.must(1, "apply", "--version", version)
	for i := range f.lab.Hosts {
		if name := f.lab.Hosts[i].Name; !strings.Contains(r.all(), name+": the image") && !strings.Contains(r.all(), name+"/") {
			f.t.Errorf("%s is not named", name)
		}
	}
	f.says(r, append(texts, "nothing was changed", "next: ")...)
	if after := f.standing(); fmt.Sprint(after) != fmt.Sprint(before) {
		f.t.Errorf("something was changed: %v, was %v", after, before)
	}
}

// tag is a version in the lab's registry, as this machine reaches it.
func (f *fixture) tag(version string) (name.Tag, remote.Option) {
	f.t.Helper()
	tag, err := name.NewTag(f.lab.Registry.Push+"/acme/shop:"+version, name.Insecure)
	if err != nil {
		f.t.Fatal(err)
	}
	return tag, remote.WithAuth(&authn.Basic{Username: f.lab.Registry.Username, Password: f.lab.Registry.Password.Reveal()})
}

// pushed is the image of a version that was pushed.
func (f *fixture) pushed(version string) v1.Image {
	f.t.Helper()
	tag, auth := f.tag(version)
	image, err := remote.Image(tag, auth)
	if err != nil {
		f.t.Fatal(err)
	}
	return image
}

func (f *fixture) digestOf(version string) string {
	f.t.Helper()
	digest, err := f.pushed(version).Digest()
	if err != nil {
		f.t.Fatal(err)
	}
	return digest.String()
}

// as is an image that says it is for another architecture.
func (f *fixture) as(image v1.Image, arch string) v1.Image {
	f.t.Helper()
	config, err := image.ConfigFile()
	if err != nil {
		f.t.Fatal(err)
	}
	config = config.DeepCopy()
	config.Architecture = arch
	other, err := mutate.ConfigFile(image, config)
	if err != nil {
		f.t.Fatal(err)
	}
	return other
}

// runsDigest wants the containers of a version on all hosts to be of the image with a manifest's digest.
func (f *fixture) runsDigest(version, digest string) {
	f.t.Helper()
	ref := f.lab.Registry.Server + "/acme/shop@" + digest
	for i := range f.lab.Hosts {
		h, role := &f.lab.Hosts[i], "web"
		if i == 2 {
			role = "workers"
		}
		image := f.exec(h, "docker", "image", "inspect", "-f", "{{.Id}}", ref)
		if of := f.exec(h, "docker", "inspect", "-f", "{{.Image}}", "shop-"+role+"-"+version); of != image {
			f.t.Errorf("%s: %s is of %s, and the digest is %s", h.Name, version, of, image)
		}
	}
}

func movedTag(f *fixture) {
	f.image("moved", nil)
	planned := f.digestOf("moved")
	r := f.must(0, "plan", "--version", "moved", "-o", "moved.plan")
	f.says(r, "Image: "+f.lab.Registry.Server+"/acme/shop:moved is "+planned+" (registry)")
	var shown struct{ Pin struct{ Digest string } }
	if err := json.Unmarshal([]byte(f.must(0, "plan", "--version", "moved", "--json").stdout), &shown); err != nil || shown.Pin.Digest != planned {
		f.t.Errorf("the plan's JSON has the digest %q, want %s: %v", shown.Pin.Digest, planned, err)
	}
	f.image("moved", map[string]string{"APP_SICK": "true"})
	if now := f.digestOf("moved"); now == planned {
		f.t.Fatal("the tag did not move")
	}
	f.must(0, "apply", "moved.plan")
	f.whole("moved")
	f.runsDigest("moved", planned)
}

func wrongPassword(f *fixture) {
	f.image("v2", nil)
	f.secrets("REGISTRY_PASSWORD=wrong-9d9d")
	f.refuses("v2", "check registry.username and the secret REGISTRY_PASSWORD")
	f.secrets("REGISTRY_PASSWORD=" + f.lab.Registry.Password.Reveal())
}

// secrets writes the secrets file.
func (f *fixture) secrets(registry string) {
	f.t.Helper()
	f.write(".kamald/secrets", registry+"\nAPI_TOKEN="+canary+"\n", 0o600)
}

// expiredToken has a command that gives a password once that the registry does not take, as a token that has expired; what it gives then
// is in no process's arguments, here or on a host: the lab's hosts are this machine's processes, too.
func expiredToken(f *fixture) {
	password := f.lab.Registry.Password.Reveal()
	f.write("token", password, 0o600)
	f.secrets("REGISTRY_PASSWORD=$(test -e asked && cat token || { touch asked; echo expired; })")
	stop, found := watchArguments(password)
	f.must(0, "apply", "--version", "v2")
	stop()
	if where := found(); where != "" {
		f.t.Errorf("the registry's password is in the arguments of %s", strings.ReplaceAll(where, password, "…"))
	}
	f.secrets("REGISTRY_PASSWORD=" + password)
	f.whole("v2")
	f.runsDigest("v2", f.digestOf("v2"))
}

// watchArguments looks for words in the arguments of all processes until it is stopped.
func watchArguments(words string) (stop func(), found func() string) {
	quit, done := make(chan struct{}), make(chan struct{})
	var where string
	go func() {
		defer close(done)
		for {
			paths, _ := filepath.Glob("/proc/[0-9]*/cmdline")
			for _, path := range paths {
				if line, err := os.ReadFile(path); err == nil && bytes.Contains(line, []byte(words)) { // a process may have ended
					where = strings.ReplaceAll(string(line), "\x00", " ")
				}
			}
			select {
			case <-quit:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	return func() { close(quit); <-done }, func() string { return where }
}

func registryDown(f *fixture) {
	f.image("v3", nil)
	start := func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute) // the test's own may have ended
		defer cancel()
		if out, err := exec.CommandContext(ctx, "docker", "start", registryContainer).CombinedOutput(); err != nil {
			f.t.Errorf("the registry does not come back: %v: %s", err, out)
		}
		tag, auth := f.tag("v3")
		for ctx.Err() == nil {
			if _, err := remote.Head(tag, auth, remote.WithContext(ctx)); err == nil {
				return
			}
		}
		f.t.Error("the registry is not back")
	}
	f.t.Cleanup(start)
	if out, err := exec.CommandContext(f.t.Context(), "docker", "stop", "-t", "2", registryContainer).CombinedOutput(); err != nil {
		f.t.Fatalf("%v: %s", err, out)
	}
	f.refuses("v3", "the registry "+f.lab.Registry.Server+" cannot give it")
	f.must(0, "plan", "--version", "v2", "--detailed-exitcode") // what runs needs no registry
	start()
	f.must(0, "apply", "--version", "v3")
	f.whole("v3")
}

func wrongPlatform(f *fixture) {
	tag, auth := f.tag("foreign")
	if err := remote.Write(tag, f.as(f.pushed("v3"), "s390x"), auth); err != nil {
		f.t.Fatal(err)
	}
	f.refuses("foreign", "is for linux/s390x, and the host is linux/")
}

func severalPlatforms(f *fixture) {
	f.image("several", nil)
	image := f.pushed("several")
	config, err := image.ConfigFile()
	if err != nil {
		f.t.Fatal(err)
	}
	addendum := func(image v1.Image, arch string) mutate.IndexAddendum {
		return mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: arch}}}
	}
	index := mutate.AppendManifests(empty.Index, addendum(f.as(image, "s390x"), "s390x"), addendum(image, config.Architecture))
	digest, err := index.Digest()
	if err != nil {
		f.t.Fatal(err)
	}
	tag, auth := f.tag("several")
	if err := remote.WriteIndex(tag, index, auth); err != nil {
		f.t.Fatal(err)
	}
	f.must(0, "apply", "--version", "several")
	f.whole("several")
	f.runsDigest("several", digest.String())
	f.emptyTwice("several")
}

func damagedLayer(f *fixture) {
	if _, err := f.lab.BuildApp(f.t.Context(), lab.AppImage{Repository: "acme/shop", Version: "damaged", PadMiB: 1}); err != nil {
		f.t.Fatal(err)
	}
	layers, err := f.pushed("damaged").Layers()
	if err != nil {
		f.t.Fatal(err)
	}
	layer, err := layers[len(layers)-1].Digest() // the version's own: the others are on the hosts
	if err != nil {
		f.t.Fatal(err)
	}
	blob := "/var/lib/registry/docker/registry/v2/blobs/sha256/" + layer.Hex[:2] + "/" + layer.Hex + "/data"
	mend := func() {
		if out, err := exec.Command("docker", "exec", registryContainer, "sh", "-c", "test ! -e "+blob+".whole || mv "+blob+".whole "+blob).CombinedOutput(); err != nil {
			f.t.Errorf("the registry's copy stays damaged: %v: %s", err, out)
		}
	}
	f.t.Cleanup(mend)
	if out, err := exec.Command("docker", "exec", registryContainer, "sh", "-c",
		"cp -a "+blob+" "+blob+".whole && printf damaged-damaged | dd of="+blob+" bs=1 seek=500000 conv=notrunc").CombinedOutput(); err != nil {
		f.t.Fatalf("%v: %s", err, out)
	}
	r := f.must(1, "apply", "--version", "damaged")
	f.says(r, ": get image "+f.lab.Registry.Server+"/acme/shop:damaged", "verification failed", "nothing was tagged", "every role runs what it ran before")
	f.whole("several")
	for i := range f.lab.Hosts {
		if got := f.exec(&f.lab.Hosts[i], "docker", "image", "ls", "-q", f.lab.Registry.Server+"/acme/shop:damaged"); got != "" {
			f.t.Errorf("%s has the tag of what was damaged, at %s", f.lab.Hosts[i].Name, got)
		}
	}
	f.must(0, "plan", "--version", "several", "--detailed-exitcode")
	mend()
	f.must(0, "apply", "--version", "damaged")
	f.whole("damaged")
}
