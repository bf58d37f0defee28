package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kamald/kamald/lab"
)

// The newest tag that fits is released; a broken one is undone, quarantined and not tried again; the next one goes out.
func TestAVersionPolicyFollowsTheRegistry(t *testing.T) {
	onlyLong(t)
	f := newFixture(t)
	repository := fmt.Sprintf("acme/policy-%d", time.Now().UnixNano()) // the lab's registry keeps what earlier runs have pushed
	f.deploy(settings{root: `version_policy { semver = "~> 1.0" }`})
	f.rewrite("deploy.hcl", strings.NewReplacer(`"acme/shop"`, fmt.Sprintf("%q", repository)))
	push := func(version string, env map[string]string) {
		t.Helper()
		if _, err := f.lab.BuildApp(t.Context(), lab.AppImage{Repository: repository, Service: "shop", Version: version, Env: env}); err != nil {
			t.Fatal(err)
		}
	}
	says := func(r result, texts ...string) {
		t.Helper()
		for _, text := range texts {
			if !strings.Contains(r.all(), text) {
				t.Errorf("it does not say %q", text)
			}
		}
	}
	says(f.must(0, "plan"), "it waits for a tag: none of 0 tags at the registry fits ~> 1.0")
	says(f.must(1, "apply"), "nothing was changed: it waits for a tag")

	push("v1.0.0", nil)
	push("v1.1.0", nil)
	push("v2.0.0", nil)
	says(f.must(2, "plan", "--detailed-exitcode"), "version v1.1.0: the newest of 2 tags that fit ~> 1.0 (3 at the registry)")
	f.must(0, "apply")
	f.wantRunning(f.host(1), "shop-web-v1.1.0")
	f.wantRunning(f.host(3), "shop-workers-v1.1.0")
	f.must(0, "plan", "--detailed-exitcode")

	push("v1.2.0", map[string]string{"APP_CRASH": "7"})
	says(f.must(1, "apply"), "exit code 7", "it was undone", "v1.2.0 is quarantined")
	f.wantRunning(f.host(1), "shop-web-v1.1.0")
	quarantined := []string{"Nothing to do: shop v1.1.0", "v1.2.0 failed in release 2 and is quarantined"}
	says(f.must(0, "plan", "--detailed-exitcode"), quarantined...)
	says(f.must(0, "status"), quarantined[1])
	f.store = f.dir + "/other.db" // another machine: what it needs to know lies on the servers
	says(f.must(0, "plan", "--detailed-exitcode"), quarantined...)
	f.must(0, "apply")

	push("v1.2.1", nil)
	f.must(0, "apply")
	f.wantRunning(f.host(1), "shop-web-v1.2.1")
	f.wantRunning(f.host(3), "shop-workers-v1.2.1")
	f.must(0, "drift")

	// A registry that refuses leaves what runs.
	f.write(".kamald/secrets", "REGISTRY_PASSWORD=wrong\nAPI_TOKEN="+canary+"\n", 0o600)
	says(f.must(0, "plan"), "version v1.2.1 stays, for the newest that fits ~> 1.0 is not known: the registry "+f.lab.Registry.Server+" refuses")
}

// A version that is not pushed yet is waited for, and nothing is done meanwhile.
func TestAnImageThatIsNotPushedYetIsWaitedFor(t *testing.T) {
	onlyLong(t)
	f := newFixture(t)
	f.deploy(settings{})
	version := fmt.Sprintf("later-%d", time.Now().UnixNano())
	r := f.must(0, "plan", "--version", version)
	if !strings.Contains(r.all(), "it waits for the image "+f.lab.Registry.Server+"/acme/shop:"+version+", which is neither on the hosts nor at the registry") {
		t.Error("the plan does not say what it waits for")
	}
	f.must(1, "apply", "--version", version)
	f.wantRunning(f.host(1))
	f.image(version, nil)
	f.must(0, "apply", "--version", version)
	f.wantRunning(f.host(1), "shop-web-"+version)
	f.emptyTwice(version)
}
