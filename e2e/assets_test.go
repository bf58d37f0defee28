package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kamald/kamald/lab"
)

// assetImage pushes a version with assets of its own, a hidden one among them, and one of a name that all versions have.
func (f *fixture) assetImage(version string, more map[string]string) {
	f.t.Helper()
	files := map[string]string{"/public/assets/manifest.json": version, "/public/assets/app-" + version + ".js": version,
		"/public/assets/.hidden-" + version: version, "/public/assets/deep/er/" + version + ".png": version}
	for i := range 300 {
		files[fmt.Sprintf("/public/assets/chunks/%d/%s-%d.js", i%7, version, i)] = version
	}
	if _, err := f.lab.BuildApp(f.t.Context(), lab.AppImage{Repository: "acme/shop", Version: version, Env: more, Files: files}); err != nil {
		f.t.Fatal(err)
	}
}

// assetOf asks a host once; the status is 0 when nothing answered.
func assetOf(ctx context.Context, h *lab.Host, path string) (int, string) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+h.Address+path, nil)
	if err != nil {
		return 0, err.Error()
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err.Error()
	}
	return response.StatusCode, string(body)
}

// Both versions serve the assets of both: the old one from before the switch on, the new one afterwards; sets go by their exact
// names, of the role web and of one whose name begins so. All of it as an SSH user without rights.
func TestAssetsAreBridged(t *testing.T) {
	f := newFixture(t)
	f.assetImage("v1", nil)
	f.assetImage("v2", map[string]string{"APP_START_DELAY": "2s"})
	f.assetImage("v3", nil)
	f.deploy(settings{user: "deploy", root: "asset_path = \"/public/assets:ro\"\nretain_containers = 1",
		more: fmt.Sprintf("role \"web-admin\" {\n  hosts = [%q]\n  proxy {\n    path_prefixes = [\"/admin\"]\n  }\n}\n", f.host(1).Name)})
	f.must(0, "apply", "--version", "v1")
	f.emptyTwice("v1")

	bridged, missed := watchAssets(t, f.host(1), func() { f.must(0, "apply", "--version", "v2") })
	if !bridged {
		t.Error("the old container never served the new version's assets")
	}
	if missed != "" {
		t.Errorf("during the switch: %s", missed)
	}
	f.emptyTwice("v2")
	for _, h := range []*lab.Host{f.host(1), f.host(2)} {
		for path, want := range map[string]string{"app-v1.js": "v1", ".hidden-v1": "v1", "deep/er/v1.png": "v1", "app-v2.js": "v2", ".hidden-v2": "v2", "manifest.json": "v2", "chunks/3/v1-3.js": "v1"} {
			if status, body := assetOf(t.Context(), h, "/assets/"+path); status != 200 || body != want {
				t.Errorf("%s: %s is %d %q, want %q", h.Name, path, status, body, want)
			}
		}
	}
	mustHold := func(versions ...string) {
		t.Helper()
		var want []string
		for _, role := range []string{"web", "web-admin"} {
			for _, version := range versions {
				want = append(want, role+"-"+version)
			}
		}
		slices.Sort(want)
		for _, dir := range []string{"extracted", "volumes"} {
			got := strings.Fields(f.exec(f.host(1), "ls", "-A", "/home/deploy/.kamal/apps/shop/assets/"+dir))
			if slices.Sort(got); !slices.Equal(got, want) {
				t.Errorf("%s has %q, want %q", dir, got, want)
			}
		}
	}
	mustHold("v1", "v2")
	f.must(0, "apply", "--version", "v3")
	mustHold("v2", "v3") // what web's retention took away is not web-admin's
	f.emptyTwice("v3")
	f.must(0, "rollback")
	if status, body := assetOf(t.Context(), f.host(1), "/assets/manifest.json"); status != 200 || body != "v2" {
		t.Errorf("after the rollback the manifest is %d %q", status, body)
	}
	if status, _ := assetOf(t.Context(), f.host(1), "/assets/app-v3.js"); status != 200 {
		t.Errorf("after the rollback v3's assets are %d", status)
	}
}

// watchAssets asks a host for both versions' assets while something is done. It tells whether the old version served the new one's:
// it answered after them still; and what was asked for in vain.
func watchAssets(t *testing.T, h *lab.Host, do func()) (bridged bool, missed string) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			status, _ := assetOf(ctx, h, "/assets/app-v2.js")
			_, who := assetOf(ctx, h, "/")
			switch old := strings.Contains(who, "version=v1\n"); {
			case status == 200 && old:
				bridged = true
			case status != 200 && bridged && ctx.Err() == nil:
				missed = fmt.Sprintf("the new version's asset was %d", status)
			}
			if status, _ := assetOf(ctx, h, "/assets/app-v1.js"); status != 200 && ctx.Err() == nil {
				missed = fmt.Sprintf("the old version's asset was %d", status)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}()
	do()
	stop()
	<-done
	return bridged, missed
}
