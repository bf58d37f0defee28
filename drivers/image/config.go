package image

import (
	"encoding/json"
	"errors"
	"fmt"
	"path"
)

// config is an image's configuration, as far as it matters here, and its bytes.
type config struct {
	Architecture string `json:"architecture"`
	OS           string `json:"os"`
	Variant      string `json:"variant,omitempty"`
	Config       struct {
		Labels map[string]string `json:"Labels,omitempty"`
	} `json:"config"`
	RootFS struct {
		Type    string   `json:"type"`
		DiffIDs []string `json:"diff_ids"`
	} `json:"rootfs"`

	raw []byte
}

// manifest is an item of an archive's manifest.json.
type manifest struct {
	Config   string
	RepoTags []string `json:",omitempty"`
	Layers   []string
}

// configIn finds the configuration of an archive's one image.
func configIn(documents map[string][]byte) (config, error) {
	data, ok := documents["manifest.json"]
	if !ok {
		return config{}, errors.New("it has no manifest.json: the engine is too old, or the archive was cut off")
	}
	var list []manifest
	if err := json.Unmarshal(data, &list); err != nil {
		return config{}, fmt.Errorf("manifest.json: %w", err)
	}
	if len(list) != 1 {
		return config{}, fmt.Errorf("manifest.json is of %d images, and one was asked for", len(list))
	}
	raw, ok := documents[path.Clean(list[0].Config)]
	if !ok {
		return config{}, fmt.Errorf("the configuration %s is not in it", list[0].Config)
	}
	c := config{raw: raw}
	if err := json.Unmarshal(raw, &c); err != nil {
		return config{}, fmt.Errorf("the configuration %s: %w", list[0].Config, err)
	}
	if len(c.RootFS.DiffIDs) != len(list[0].Layers) {
		return config{}, fmt.Errorf("the configuration has %d layers, and manifest.json has %d", len(c.RootFS.DiffIDs), len(list[0].Layers))
	}
	return c, nil
}

// lower is the configuration of the image's lowest layers alone: the same for every image that has them.
func (c config) lower(layers int, labels map[string]string) ([]byte, error) {
	cut := config{Architecture: c.Architecture, OS: c.OS, Variant: c.Variant}
	cut.Config.Labels = labels
	cut.RootFS.Type, cut.RootFS.DiffIDs = "layers", c.RootFS.DiffIDs[:layers]
	return json.Marshal(cut)
}
