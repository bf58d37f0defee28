package docker

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/kamald/kamald/state"
)

// inspected is what an engine said of a container that was made with options.
type inspected struct {
	Name    string              `json:"name"`
	Options map[string][]string `json:"options"`
	Inspect json.RawMessage     `json:"inspect"`
}

const recordedNetwork = "kamal"

// The files of testdata/inspect are named after their engine's API version. 1.41 is recorded (KAMALD_RECORD=1 with such an
// engine); 1.51 is written by hand from what that engine is known to fill in.
func TestWhatEnginesSaidIsReadAsItWasAskedFor(t *testing.T) {
	if os.Getenv("KAMALD_RECORD") == "1" {
		record(t)
	}
	files, err := filepath.Glob("testdata/inspect/*.json")
	if err != nil || len(files) < 2 {
		t.Fatalf("recorded: %q, %v", files, err)
	}
	seen := map[string]bool{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var all []inspected
		if err := json.Unmarshal(data, &all); err != nil {
			t.Fatal(err)
		}
		for _, one := range all {
			asked := state.Spec{Image: testImage, Cmd: []string{"/app", "wait"}, Network: recordedNetwork, Options: one.Options}
			var said container.InspectResponse
			if err := json.Unmarshal(one.Inspect, &said); err != nil {
				t.Fatalf("%s: %s: %v", file, one.Name, err)
			}
			said.Config.Labels = map[string]string{state.LabelSpec: asked.JSON()}
			if diff := cmp.Diff(asked.Options, observe(said, state.View{}).Live.Options); diff != "" {
				t.Errorf("%s: %s (-asked +live):\n%s", file, one.Name, diff)
			}
			for name := range one.Options {
				seen[name] = true
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(options)) {
		if !seen[name] {
			t.Errorf("no engine said anything of %s", name)
		}
	}
}

// record asks this machine's engine for each of the fixed points.
func record(t *testing.T) {
	e := realEngine(t)
	withImage(t, e)
	network := testNetwork(t, e)
	var all []inspected
	for _, p := range fixedPoints {
		spec := state.Spec{Image: testImage, Cmd: []string{"/app", "wait"}, Network: network, Options: p.options}
		result, err := e.client.ContainerInspect(t.Context(), made(t, e, uniqueName(), spec, nil), client.ContainerInspectOptions{})
		if err != nil {
			t.Fatal(err)
		}
		said := result.Container
		said.Config.Labels = nil
		text, err := json.Marshal(map[string]any{"Id": said.ID, "Platform": said.Platform, "Config": said.Config, "HostConfig": said.HostConfig,
			"NetworkSettings": map[string]any{"Networks": said.NetworkSettings.Networks}})
		if err != nil {
			t.Fatal(err)
		}
		text = bytes.ReplaceAll(text, []byte(network), []byte(recordedNetwork))
		all = append(all, inspected{p.name, p.options, withoutEmpty(t, text)})
	}
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	for i, one := range all {
		b.WriteString([]string{"[\n", ","}[min(i, 1)])
		if err := encoder.Encode(one); err != nil {
			t.Fatal(err)
		}
	}
	b.WriteString("]\n")
	if err := os.WriteFile("testdata/inspect/"+e.client.ClientVersion()+".json", []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

// withoutEmpty leaves out what says nothing: null, zero, false and "". Empty lists stay, for they say something.
func withoutEmpty(t *testing.T, text []byte) json.RawMessage {
	var value any
	if err := json.Unmarshal(text, &value); err != nil {
		t.Fatal(err)
	}
	short, err := json.Marshal(full(value))
	if err != nil {
		t.Fatal(err)
	}
	return short
}

func full(value any) any {
	object, ok := value.(map[string]any)
	if !ok {
		return value
	}
	kept := map[string]any{}
	for name, inner := range object {
		if inner = full(inner); inner != nil && inner != 0.0 && inner != "" && inner != false || (name == "Init" || strings.HasPrefix(name, "/")) && inner != nil {
			kept[name] = inner
		}
	}
	return kept
}
