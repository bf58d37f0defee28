package docker

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
	"pgregory.net/rapid"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// newer are options and values that engines take only since an API version; the Engine API's history has each of them.
var newer = []struct{ option, value, since, says string }{
	{"cgroupns", "host", "1.41", `"cgroupns"`},
	{"platform", "linux/arm64", "1.41", `"platform"`},
	{"add-host", "h:host-gateway", "1.41", `"add-host" with host-gateway`},
	{"mount", "type=bind,source=/a,target=/b,bind-create-src", "1.42", `"mount" with bind-create-src`},
	{"annotation", "a=b", "1.43", `"annotation"`},
	{"health-start-interval", "5s", "1.44", `"health-start-interval"`},
	{"mac-address", "92:d0:c6:0a:29:33", "1.44", `"mac-address"`},
	{"device", "vendor.com/class=one", "1.44", `"device" with a CDI name`},
	{"mount", "type=bind,source=/a,target=/b,readonly,bind-recursive=writable", "1.44", `"mount" with bind-recursive=writable`},
	{"mount", "type=bind,source=/a,target=/b,readonly,bind-propagation=rprivate,bind-recursive=readonly", "1.44", `"mount" with bind-recursive=readonly`},
	{"mount", "type=volume,source=a,target=/b,volume-subpath=c", "1.45", `"mount" with volume-subpath`},
	{"mount", "type=image,source=a,target=/b", "1.48", `"mount" with type=image`},
}

func TestAnOptionThatTheEngineIsTooOldForIsRefusedWithBothVersions(t *testing.T) {
	for _, c := range newer {
		var major, minor int
		if _, err := fmt.Sscanf(c.since, "%d.%d", &major, &minor); err != nil {
			t.Fatal(err)
		}
		before := fmt.Sprintf("%d.%d", major, minor-1)
		spec := state.Spec{Image: "shop:v1", Network: "kamal", Options: map[string][]string{c.option: {c.value}}}
		_, err := compile(spec, nil, nil, before)
		if want := fmt.Sprintf("option %s needs engine API %s, and this engine speaks %s", c.says, c.since, before); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s = %s: %v, want %q", c.option, c.value, err, want)
		}
		if _, err := compile(spec, nil, nil, c.since); err != nil {
			t.Errorf("%s = %s: %v", c.option, c.value, err)
		}
	}
	for name, o := range options {
		if !slices.ContainsFunc(newer, func(n struct{ option, value, since, says string }) bool {
			return n.option == name && (o.since == n.since || o.since == "" && o.sinceValue != nil)
		}) && (o.since != "" || o.sinceValue != nil) {
			t.Errorf("%s is only since an API version, and has no case", name)
		}
	}
}

func TestWhatTheOldestEngineTakesIsNotRefused(t *testing.T) {
	for _, p := range fixedPoints {
		for name, values := range p.options {
			o := options[name]
			if o.since != "" || slices.ContainsFunc(newer, func(n struct{ option, value, since, says string }) bool {
				return n.option == name && n.option == "add-host"
			}) {
				continue
			}
			if problems := (&request{}).apply(map[string][]string{name: values}, "1.40"); len(problems) > 0 {
				t.Errorf("%s: %v", p.name, problems)
			}
		}
	}
}

// TestWhatTheFileTakesTheDriverSetsAndReadsBack draws values that the file may have, and changes them at random.
func TestWhatTheFileTakesTheDriverSetsAndReadsBack(t *testing.T) {
	byName := map[string][]string{}
	for _, line := range clientLines {
		for _, entry := range line {
			name, value, _ := strings.Cut(entry, "=")
			byName[name] = append(byName[name], value)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom(release.OptionNames()).Draw(t, "option")
		values := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) string {
			value := rapid.SampledFrom(byName[name]).Draw(t, "value")
			if rapid.Bool().Draw(t, "changed") {
				at := rapid.IntRange(0, len(value)).Draw(t, "at")
				value = value[:at] + rapid.StringMatching(`[a-z0-9:=,./" -]{0,3}`).Draw(t, "more") + value[min(len(value), at+rapid.IntRange(0, 2).Draw(t, "less")):]
			}
			return value
		}), 1, 3).Draw(t, "values")
		canonical, err := release.CanonicalOption(name, values)
		if err != nil || len(canonical) == 0 {
			return
		}
		asked := state.Spec{Image: "shop:v1", Network: "kamal", Options: map[string][]string{name: canonical}}
		r, err := compile(asked, map[string]string{state.LabelSpec: asked.JSON()}, nil, "1.56")
		if err != nil {
			t.Fatalf("the file takes %q, and the driver does not set %q: %v", values, canonical, err)
		}
		got := observe(echoed(r, asked), state.View{})
		if diff := cmp.Diff(asked.Options, got.Live.Options); diff != "" {
			t.Fatalf("%q comes back otherwise (-asked +live):\n%s", values, diff)
		}
	})
}

// Each option alone: what an engine fills in beside it must not show, or plan would see drift that nobody made.
func TestEachOptionAloneComesBackFromTheEngineAlone(t *testing.T) {
	e := realEngine(t)
	withImage(t, e)
	network := testNetwork(t, e)
	done := map[string]bool{}
	for _, p := range fixedPoints {
		for _, name := range slices.Sorted(maps.Keys(p.options)) {
			values := p.options[name]
			key := fmt.Sprint(name, values)
			if done[key] || name == "memory-swap" { // it needs memory beside it, and has points of its own
				continue
			}
			done[key] = true
			asked := state.Spec{Image: testImage, Cmd: []string{"/app", "wait"}, Network: network, Options: map[string][]string{name: values}}
			got, err := e.Inspect(t.Context(), made(t, e, uniqueName(), asked, nil), state.View{})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(asked.Options, got.Live.Options); diff != "" {
				t.Errorf("%s = %q (-asked +live):\n%s", name, values, diff)
			}
		}
	}
}

func TestWhatNeedsAnotherContainerOrASubnetComesBackFromTheEngine(t *testing.T) {
	e, name := realEngine(t), uniqueName()
	withImage(t, e)
	subnet := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 128 + byte(rand.IntN(100)), byte(rand.IntN(250)), 0}), 24)
	ipam := &network.IPAM{Config: []network.IPAMConfig{{Subnet: subnet}}}
	if _, err := e.client.NetworkCreate(t.Context(), name, client.NetworkCreateOptions{IPAM: ipam, Labels: map[string]string{"kamald.test": t.Name()}}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { removeNetwork(t, e, name) })
	other := uniqueName()
	made(t, e, other, state.Spec{Image: testImage, Network: name, Options: map[string][]string{"ipc": {"shareable"}}}, nil)
	if err := e.Start(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	address := subnet.Addr().Next().Next().Next().Next().Next().String()
	for _, options := range []map[string][]string{
		{"ip": {address}, "link-local-ip": {"169.254.34.68"}, "network-alias": {"web"}},
		{"link": {other + ":db"}}, {"volumes-from": {other + ":ro"}}, {"pid": {"container:" + other}}, {"ipc": {"container:" + other}}, {"cgroupns": {"host"}}, {"platform": {"linux/" + runtime.GOARCH}},
	} {
		asked := state.Spec{Image: testImage, Network: name, Options: options}
		id := made(t, e, uniqueName(), asked, nil)
		for _, when := range []string{"created", "running"} {
			got, err := e.Inspect(t.Context(), id, state.View{})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(asked.Options, got.Live.Options); diff != "" {
				t.Errorf("%s (-asked +live):\n%s", when, diff)
			}
			if err := e.Start(t.Context(), id); err != nil {
				t.Fatal(err)
			}
		}
		if err := e.Remove(t.Context(), id); err != nil { // the address is for one
			t.Fatal(err)
		}
	}
}

func TestWhatTheKernelDoesNotHaveIsAnErrorAndLeavesNothing(t *testing.T) {
	const dropped = "Your kernel does not support OomKillDisable. OomKillDisable discarded."
	r := newRecorder(t, "1.51")
	e := r.engine()
	t.Cleanup(func() { e.Close() })
	r.warnings = []string{"Memory limited without swap.", "Published ports are discarded when using host network mode"}
	if _, err := e.Create(t.Context(), "shop", state.Spec{Image: "shop:v1"}, nil, nil); err != nil || len(r.removed) > 0 {
		t.Errorf("with warnings of other things: %v, removed %q", err, r.removed)
	}
	r.warnings = append(r.warnings, dropped)
	_, err := e.Create(t.Context(), "shop", state.Spec{Image: "shop:v1", Options: map[string][]string{"oom-kill-disable": {"true"}}}, nil, nil)
	if err == nil || !strings.Contains(err.Error(), "recorder: create container shop: ") || !strings.Contains(err.Error(), dropped) || len(r.removed) != 1 {
		t.Errorf("said %v, removed %q", err, r.removed)
	}
}

var optionRow = regexp.MustCompile("(?m)^\\| `([a-z0-9-]+)`.*\\|$")

func TestThePageOfOptionsHasEachOneAndSinceWhen(t *testing.T) {
	data, err := os.ReadFile("../../docs/docker-options.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{}
	for _, row := range optionRow.FindAllStringSubmatch(string(data), -1) {
		rows[row[1]] = row[0]
	}
	for name, o := range options {
		switch row, there := rows[name]; {
		case !there:
			t.Errorf("%s has no row", name)
		case o.since != "" && !strings.HasSuffix(row, "| "+o.since+" |"):
			t.Errorf("%s is since %s: %s", name, o.since, row)
		}
	}
	for _, c := range newer {
		if !strings.Contains(rows[c.option], c.since) {
			t.Errorf("%s with %s is since %s: %s", c.option, c.value, c.since, rows[c.option])
		}
	}
	for name := range rows {
		if _, _, known := release.OptionPlace(name); !known {
			t.Errorf("docker run has no %s", name)
		}
	}
}
