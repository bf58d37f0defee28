package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"runtime"
	"slices"
	"time"
)

// AppImage is a variant of the sample app (lab/app) as an image from scratch. The same value always makes the same
// image; two versions share the program's layer and differ in a layer of their own.
type AppImage struct {
	// Repository is the image's name without a registry: "acme/shop".
	Repository string
	// Version is the image's tag, and what the app answers with.
	Version string
	// Service is the value of the label service. Empty: the last part of Repository.
	Service string
	// Env is baked into the image: the APP_ settings of lab/README.md, or anything else.
	Env map[string]string
	// Health bakes a health check of the engine's own: `app healthy`, each second.
	Health bool
	// Labels are added to the image's labels.
	Labels map[string]string
	// Cmd is the default command. Empty: `app web`.
	Cmd []string
	// PadMiB makes the version's layer larger by so many MiB that do not compress, for pulls that take time.
	PadMiB int
	// Files are added to the version's layer: absolute path → content.
	Files map[string]string
	// Created is the image's time of creation. Zero: a fixed time.
	Created time.Time
}

// Reference is the image's name on an engine: Repository:Version, behind server and a slash when there is one.
func (a AppImage) Reference(server string) string {
	reference := a.Repository + ":" + a.Version
	if server != "" {
		reference = server + "/" + reference
	}
	return reference
}

// BuildApp makes the image and pushes it to the lab's registry as <repository>:<version>. It returns the reference
// that the hosts pull it by.
func (l *Lab) BuildApp(ctx context.Context, variant AppImage) (reference string, err error) {
	built, err := variant.build(ctx)
	if err != nil {
		return "", err
	}
	if err := l.Registry.push(ctx, variant, built); err != nil {
		return "", err
	}
	return variant.Reference(l.Registry.Server), nil
}

// LoadApp makes the image and loads it into this machine's engine as <repository>:<version>, without a registry.
// The caller removes it.
func LoadApp(ctx context.Context, variant AppImage) (reference string, err error) {
	archive, err := variant.Archive(ctx, "")
	if err != nil {
		return "", err
	}
	_, err = dockerWith(ctx, bytes.NewReader(archive), "load", "-q")
	return variant.Reference(""), err
}

// Load makes the image and loads it into the host's engine, named as if it had been pulled from server (which may be
// empty).
func (h *Host) Load(ctx context.Context, variant AppImage, server string) (reference string, err error) {
	archive, err := variant.Archive(ctx, server)
	if err != nil {
		return "", err
	}
	_, err = dockerWith(ctx, bytes.NewReader(archive), "exec", "-i", h.Container, "docker", "load", "-q")
	return variant.Reference(server), err
}

// Archive makes the image in the form that `docker load` and the Engine API's load take, named Reference(server).
func (a AppImage) Archive(ctx context.Context, server string) ([]byte, error) {
	built, err := a.build(ctx)
	if err != nil {
		return nil, err
	}
	manifest := []map[string]any{{"Config": hexDigest(built.config) + ".json", "RepoTags": []string{a.Reference(server)},
		"Layers": []string{"program/layer.tar", "version/layer.tar"}}}
	content, err := json.Marshal(manifest)
	if err != nil {
		return nil, fmt.Errorf("lab: image %s: %w", a.Reference(server), err)
	}
	return archive([]file{
		{path: "/" + hexDigest(built.config) + ".json", mode: 0o644, content: built.config},
		{path: "/program/layer.tar", mode: 0o644, content: built.layers[0].tar},
		{path: "/version/layer.tar", mode: 0o644, content: built.layers[1].tar},
		{path: "/manifest.json", mode: 0o644, content: content},
	})
}

// builtImage is an image's configuration and its layers, lowest first.
type builtImage struct {
	config []byte
	layers []layer
}

func (a AppImage) build(ctx context.Context) (builtImage, error) {
	program, err := programLayer(ctx)
	if err != nil {
		return builtImage{}, err
	}
	content := []file{{path: "/version", mode: 0o444, content: []byte(a.Version + "\n")}}
	if a.PadMiB > 0 {
		content = append(content, file{path: "/pad", mode: 0o444, content: noise(a.Version, a.PadMiB<<20)})
	}
	for _, path := range slices.Sorted(maps.Keys(a.Files)) {
		content = append(content, file{path: path, mode: 0o444, content: []byte(a.Files[path])})
	}
	version, err := newLayer(content)
	if err != nil {
		return builtImage{}, err
	}
	layers := []layer{program, version}
	config, err := json.Marshal(a.config(layers))
	if err != nil {
		return builtImage{}, fmt.Errorf("lab: image %s: %w", a.Reference(""), err)
	}
	return builtImage{config: config, layers: layers}, nil
}

// config is the image's configuration in Docker's form, which every engine reads.
func (a AppImage) config(layers []layer) map[string]any {
	env := map[string]string{"PATH": "/bin", "APP_VERSION": a.Version}
	maps.Copy(env, a.Env)
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(env)) {
		pairs = append(pairs, name+"="+env[name])
	}
	labels := map[string]string{"service": a.Service}
	if a.Service == "" {
		labels["service"] = filepath.Base(a.Repository)
	}
	maps.Copy(labels, a.Labels)
	command := a.Cmd
	if len(command) == 0 {
		command = []string{"app", "web"}
	}
	runtimeConfig := map[string]any{"Env": pairs, "Cmd": command, "Labels": labels, "WorkingDir": "/",
		"ExposedPorts": map[string]any{"3000/tcp": map[string]any{}}}
	if a.Health {
		runtimeConfig["Healthcheck"] = map[string]any{"Test": []string{"CMD", "app", "healthy"},
			"Interval": time.Second, "Timeout": 5 * time.Second, "Retries": 2}
	}
	created := a.Created
	if created.IsZero() {
		created = time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)
	}
	var diffs []string
	for _, l := range layers {
		diffs = append(diffs, digest(l.tar))
	}
	return map[string]any{"architecture": runtime.GOARCH, "os": "linux", "created": created.UTC().Format(time.RFC3339),
		"config": runtimeConfig, "rootfs": map[string]any{"type": "layers", "diff_ids": diffs}}
}
