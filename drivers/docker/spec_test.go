package docker

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/moby/api/types/container"
	"pgregory.net/rapid"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// echoed is what an engine that changes nothing would say of a container made from a request.
func echoed(r *request, spec state.Spec) container.InspectResponse {
	answer := container.InspectResponse{ID: strings.Repeat("ab", 32), Image: "sha256:1", Config: &r.config, HostConfig: &r.host}
	if endpoints := r.endpoints(); endpoints != nil {
		answer.NetworkSettings = &container.NetworkSettings{Networks: endpoints}
	}
	return answer
}

func TestEverySpecThatCompilesComesBackTheSame(t *testing.T) {
	key := []byte("key")
	rapid.Check(t, func(t *rapid.T) {
		spec := anySpec(t)
		secrets := map[string]release.Secret{}
		for name := range spec.Secrets {
			value := rapid.String().Draw(t, "secret")
			secrets[name] = release.NewSecret(value)
			spec.Secrets[name] = state.SecretDigest(key, value)
		}
		r, err := compile(spec, map[string]string{state.LabelSpec: spec.JSON(), state.LabelRelease: "7"}, secrets, "1.56")
		if err != nil {
			t.Fatal(err)
		}
		got := observe(echoed(r, spec), state.View{Key: key})
		if diff := cmp.Diff(spec, got.Live); diff != "" {
			t.Fatalf("(-asked +live):\n%s", diff)
		}
		if got.Asked == nil || cmp.Diff(spec, *got.Asked) != "" || got.Release != 7 {
			t.Fatalf("asked came back as %+v", got.Asked)
		}
	})
}

// anySpec draws a spec from the whole table of options.
func anySpec(t *rapid.T) state.Spec {
	word := rapid.StringMatching(`[A-Za-z][A-Za-z0-9_]{0,7}`)
	value := rapid.StringMatching(`[ -~]{0,12}`)
	names := rapid.SliceOfNDistinct(word, 0, 6, rapid.ID[string]).Draw(t, "names")
	spec := state.Spec{Image: "shop:v1", Restart: rapid.SampledFrom([]string{"", "no", "always", "unless-stopped", "on-failure", "on-failure:5"}).Draw(t, "restart")}
	for i, name := range names {
		if i%2 == 0 {
			spec.Env = with(spec.Env, name, value.Draw(t, "value"))
		} else {
			spec.Secrets = with(spec.Secrets, name, "")
		}
	}
	for _, name := range rapid.SliceOfN(word, 0, 3).Draw(t, "labels") {
		spec.Labels = with(spec.Labels, name, value.Draw(t, "label"))
	}
	if rapid.Bool().Draw(t, "command") {
		spec.Cmd = rapid.SliceOfN(value, 1, 3).Draw(t, "cmd")
	}
	if rapid.Bool().Draw(t, "logging") {
		spec.LogDriver, spec.LogOptions = "json-file", map[string]string{"max-size": "10m"}
	}
	spec.StopSignal = rapid.SampledFrom([]string{"", "TERM", "SIGQUIT"}).Draw(t, "signal")
	spec.StopGrace = time.Duration(rapid.IntRange(0, 5000).Draw(t, "grace")) * time.Millisecond
	spec.Network = rapid.SampledFrom([]string{"", "kamal"}).Draw(t, "network")
	for _, c := range slices.Concat(fixedPoints, elsewherePoints) {
		if rapid.IntRange(0, 3).Draw(t, c.name) > 0 {
			continue
		}
		for name, values := range c.options {
			if name == "network-alias" && spec.Network == "" || spec.Options["no-healthcheck"] != nil && strings.HasPrefix(name, "health-") || spec.Options["health-cmd"] != nil && name == "no-healthcheck" {
				continue
			}
			if spec.Options == nil {
				spec.Options = map[string][]string{}
			}
			spec.Options[name] = values
		}
	}
	return spec
}

func TestEveryOptionOfTheTableIsAFixedPointSomewhere(t *testing.T) {
	tested := map[string]bool{}
	for _, c := range slices.Concat(fixedPoints, elsewherePoints) {
		for name := range c.options {
			tested[name] = true
		}
	}
	known := slices.Sorted(maps.Keys(options))
	for _, name := range known {
		if !tested[name] {
			t.Errorf("option %q has no case", name)
		}
	}
	if diff := cmp.Diff(release.OptionNames(), known); diff != "" {
		t.Errorf("the file's options and the driver's (-file +driver):\n%s", diff)
	}
}

func TestWhatCannotBeDoneIsRefusedAtOnceAndByName(t *testing.T) {
	spec := state.Spec{Image: "shop:v1", Restart: "sometimes", Secrets: map[string]string{"TOKEN": ""}, Options: map[string][]string{
		"memry": {"1"}, "annotation": {"a=b"}, "memory": {"lots"}, "cpus": {"1", "2"}, "publish": {"eighty"}, "device": {"/dev/null:/x:z"},
		"security-opt": {"seccomp=/etc/profile.json"}, "sysctl": {"a"}, "dns": {"here"}, "network-alias": {"web"}}}
	_, err := compile(spec, nil, nil, "1.41")
	if err == nil {
		t.Fatal("it was compiled")
	}
	for _, words := range []string{`option "memry" is not understood`, `option "annotation" needs engine API 1.43, and this engine speaks 1.41`, `option memory = ["lots"]`,
		"takes one value, not 2", "option publish", "option device", "seccomp profile", "option sysctl", "option dns", `"network-alias" needs a network`,
		`restart "sometimes"`, "secret variable TOKEN has no value"} {
		if !strings.Contains(err.Error(), words) {
			t.Errorf("%q is not in the error:\n%v", words, err)
		}
	}
}

func TestChangesOfAnOptionAreSeenWhateverItsForm(t *testing.T) {
	for _, c := range []struct {
		option      string
		asked, live []string
	}{
		{"cap-add", []string{"SYS_NICE"}, []string{"CAP_SYS_NICE", "CAP_NET_ADMIN"}},
		{"publish", []string{"80:80"}, []string{"127.0.0.1:80:80"}},
		{"ulimit", []string{"nofile=10"}, []string{"nofile=10:20"}},
		{"device", []string{"/dev/null"}, []string{"/dev/null:/dev/null:r"}},
		{"memory-swap", []string{"1"}, []string{"2"}},
		{"read-only", []string{"false"}, []string{"true"}},
		{"tmpfs", []string{"/tmp"}, []string{"/tmp:size=1"}},
		{"dns", []string{"10.0.0.1", "10.0.0.2"}, []string{"10.0.0.2", "10.0.0.1"}},
	} {
		r := &request{}
		if problems := r.apply(map[string][]string{c.option: c.live}, "1.56"); problems != nil {
			t.Fatal(problems)
		}
		l := live{config: &r.config, host: &r.host, asked: map[string][]string{c.option: c.asked}}
		if got := l.options()[c.option]; slices.Equal(got, c.asked) || got == nil {
			t.Errorf("%s: asked %q, live %q shows as %q", c.option, c.asked, c.live, got)
		}
	}
}

func TestAPIVersionsAreComparedAsNumbers(t *testing.T) {
	for _, c := range []struct {
		api, than string
		want      bool
	}{{"1.41", "1.44", true}, {"1.44", "1.44", false}, {"1.9", "1.41", true}, {"2.0", "1.44", false}, {"1.100", "1.99", false}} {
		if got := older(c.api, c.than); got != c.want {
			t.Errorf("older(%s, %s) is %v", c.api, c.than, got)
		}
	}
}

func TestNoFormOfARequestsErrorHasASecret(t *testing.T) {
	spec := state.Spec{Image: "shop:v1", Secrets: map[string]string{"TOKEN": "", "OTHER": ""}}
	_, err := compile(spec, nil, map[string]release.Secret{"TOKEN": release.NewSecret("canary-77")}, "1.41")
	if err == nil || strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err), "canary-77") {
		t.Errorf("got %#v", err)
	}
}
