package main

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"
)

// nobody is the user that the image's program runs as, without a name on the host.
const nobody = 65532

// home is the user's directory in the image, and the store's.
const home = "/var/lib/kamald"

const (
	mediaIndex    = "application/vnd.oci.image.index.v1+json"
	mediaManifest = "application/vnd.oci.image.manifest.v1+json"
	mediaConfig   = "application/vnd.oci.image.config.v1+json"
	mediaLayer    = "application/vnd.oci.image.layer.v1.tar+gzip"
)

// image makes the container image: the program alone, from scratch. The archive is an OCI layout that `docker load` reads, too.
func (r *release) image(arch string, binary []byte) error {
	layer, err := tarOf([]file{
		{name: "etc/passwd", mode: 0o644, data: fmt.Appendf(nil, "kamald:x:%d:%d:kamald:%s:/sbin/nologin\n", nobody, nobody, home)},
		{name: "etc/group", mode: 0o644, data: fmt.Appendf(nil, "kamald:x:%d:\n", nobody)},
		{name: "tmp/", mode: 0o1777},
		{name: "usr/bin/kamald", mode: 0o755, data: binary},
		{name: home[1:] + "/", mode: 0o700, owner: nobody},
	}, r.at)
	if err != nil {
		return err
	}
	packed, err := zipped(layer)
	if err != nil {
		return err
	}
	blobs := map[string][]byte{}
	blob := func(media string, data []byte) map[string]any {
		name := fmt.Sprintf("%x", sha256.Sum256(data))
		blobs["blobs/sha256/"+name] = data
		return map[string]any{"mediaType": media, "digest": "sha256:" + name, "size": len(data)}
	}
	layerOf := blob(mediaLayer, packed)
	configOf := blob(mediaConfig, text(r.config(arch, layer)))
	manifestOf := blob(mediaManifest, text(map[string]any{"schemaVersion": 2, "mediaType": mediaManifest, "config": configOf, "layers": []any{layerOf}}))
	reference := "kamald:" + r.version
	manifestOf["platform"] = map[string]any{"os": "linux", "architecture": arch}
	manifestOf["annotations"] = map[string]any{"io.containerd.image.name": "docker.io/library/" + reference, "org.opencontainers.image.ref.name": r.version}
	at := func(descriptor map[string]any) string {
		return "blobs/sha256/" + descriptor["digest"].(string)[len("sha256:"):]
	}
	blobs["oci-layout"] = text(map[string]any{"imageLayoutVersion": "1.0.0"})
	blobs["index.json"] = text(map[string]any{"schemaVersion": 2, "mediaType": mediaIndex, "manifests": []any{manifestOf}})
	blobs["manifest.json"] = text([]any{map[string]any{"Config": at(configOf), "RepoTags": []string{reference}, "Layers": []string{at(layerOf)}}})
	var files []file
	for _, name := range slices.Sorted(maps.Keys(blobs)) {
		files = append(files, file{name: name, mode: 0o644, data: blobs[name]})
	}
	archive, err := tarOf(files, r.at)
	if err != nil {
		return err
	}
	return r.put("kamald-"+r.version+"-linux-"+arch+".image.tar", archive)
}

// config is how the image runs.
func (r *release) config(arch string, layer []byte) map[string]any {
	created := r.at.Format(time.RFC3339)
	return map[string]any{
		"created": created, "architecture": arch, "os": "linux",
		"config": map[string]any{
			"User":       fmt.Sprintf("%d:%d", nobody, nobody),
			"Env":        []string{"PATH=/usr/bin", "HOME=" + home, "XDG_STATE_HOME=/var/lib"},
			"Entrypoint": []string{"/usr/bin/kamald"},
			"WorkingDir": home,
			"Labels": map[string]string{
				"org.opencontainers.image.title":       "kamald",
				"org.opencontainers.image.description": "A declarative controller for container deployments on plain servers",
				"org.opencontainers.image.version":     r.version,
				"org.opencontainers.image.revision":    r.commit,
				"org.opencontainers.image.created":     created,
				"org.opencontainers.image.source":      "https://github.com/kamald/kamald",
				"org.opencontainers.image.licenses":    "MIT",
			},
		},
		"rootfs":  map[string]any{"type": "layers", "diff_ids": []string{fmt.Sprintf("sha256:%x", sha256.Sum256(layer))}},
		"history": []any{map[string]any{"created": created, "created_by": "kamald"}},
	}
}

// text is a value as JSON, with its names in their order.
func text(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err) // maps, texts and numbers have a form
	}
	return data
}
