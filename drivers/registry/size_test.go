package registry

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

func digestOf(text string) string { return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(text))) }

const emptyDigest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

func imageOf(layers ...int) string {
	var all []string
	for _, size := range layers {
		all = append(all, fmt.Sprintf(`{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","size":%d,"digest":%q}`, size, emptyDigest))
	}
	return fmt.Sprintf(`{"schemaVersion":2,"config":{"size":100,"digest":%q},"layers":[%s]}`, emptyDigest, strings.Join(all, ","))
}

func TestAnImageIsAsLargeAsItsLayersAndOfAListAsThePlatforms(t *testing.T) {
	small, large := imageOf(1000, 2000), imageOf(50_000_000_000)
	list := fmt.Sprintf(`{"schemaVersion":2,"manifests":[{"size":%d,"digest":%q,"platform":{"os":"linux","architecture":"amd64"}},{"size":%d,"digest":%q,"platform":{"os":"linux","architecture":"arm64"}}]}`,
		len(small), digestOf(small), len(large), digestOf(large))
	for _, auth := range []string{"", "basic", "bearer"} {
		s := newStandin(t, true)
		s.auth, s.manifests = auth, map[string]string{digestOf(small): small, digestOf(large): large, digestOf(list): list}
		client := s.from(s.trusting(), state.RegistrySettings{}, nil)
		for _, c := range []struct {
			digest, platform string
			want             int64
		}{
			{digestOf(small), "linux/amd64", 3100}, {digestOf(list), "linux/amd64", 3100},
			{digestOf(list), "linux/arm64", 50_000_000_100}, {digestOf(list), "linux/arm64/v8", 50_000_000_100},
		} {
			if got, err := client.Size(t.Context(), repository+"@"+c.digest, c.platform, login); err != nil || got != c.want {
				t.Errorf("%s: %s for %s: %d, %v, want %d", auth, c.digest[:12], c.platform, got, err, c.want)
			}
		}
		if _, err := client.Size(t.Context(), repository+"@"+digestOf(list), "linux/s390x", login); !errors.Is(err, state.ErrNotFound) {
			t.Errorf("a platform that is not there: %v", err)
		}
	}
}

func TestWhatIsNoManifestHasNoSize(t *testing.T) {
	s := newStandin(t, true)
	s.manifests = map[string]string{digestOf("another"): imageOf(1), digestOf("no JSON"): "no JSON", digestOf("{}"): "{}",
		digestOf(imageOf(-5)): imageOf(-5)}
	client := s.from(s.trusting(), state.RegistrySettings{}, nil)
	for _, ref := range []string{repository + ":v1", repository, "%", repository + "@" + digestOf("another"), repository + "@" + digestOf("no JSON"), repository + "@" + digestOf("missing")} {
		if size, err := client.Size(t.Context(), ref, "linux/amd64", login); err == nil {
			t.Errorf("%s has %d bytes", ref, size)
		}
	}
	for text, want := range map[string]int64{"{}": 0, imageOf(-5): 100} {
		if size, err := client.Size(t.Context(), repository+"@"+digestOf(text), "linux/amd64", login); err != nil || size != want {
			t.Errorf("%s: %d, %v", text, size, err)
		}
	}
	s.auth = "basic"
	if _, err := client.Size(t.Context(), repository+"@"+digestOf("{}"), "linux/amd64", release.Auth{}); !errors.Is(err, state.ErrDenied) {
		t.Errorf("without a password: %v", err)
	}
}
