package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/distribution/reference"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
	oras "oras.land/oras-go/v2/registry"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/retry"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// mostManifest bounds a manifest, in bytes: registries take none that is larger.
const mostManifest = 4 << 20

// Size gives how many bytes of an image a registry holds, its layers and settings as they travel: an engine needs at least as much room
// for them unpacked. ref is repository@digest; of a list the image for the platform (os/arch) is meant. The errors are those of Tags,
// and state.ErrNotFound for a list without that platform.
func (c *Client) Size(ctx context.Context, ref, platform string, who release.Auth) (int64, error) {
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		return 0, c.failure(err, "read the size of %q", ref)
	}
	digested, ok := named.(reference.Digested)
	if !ok {
		return 0, c.failure(fmt.Errorf("it has no digest"), "read the size of %s", ref)
	}
	at := oras.Reference{Registry: reference.Domain(named), Repository: reference.Path(named)}
	settings, err := c.known(ctx)
	if err != nil {
		return 0, err
	}
	var size int64
	for w := c.way(ctx, at, settings); w != nil; w = c.other(ctx, *w, err) {
		if size, err = c.measure(ctx, at, digested.Digest().String(), platform, who, *w); err == nil {
			return size, nil
		}
	}
	return 0, c.failure(err, "read the size of %s", ref)
}

// measure adds up what a manifest names, by one way.
func (c *Client) measure(ctx context.Context, at oras.Reference, digest, platform string, who release.Auth, w way) (int64, error) {
	transport := c.transport(w)
	defer transport.CloseIdleConnections()
	repository := &remote.Repository{
		Reference: at, PlainHTTP: w.plain, MaxMetadataBytes: mostManifest,
		Client: client(at, who, &guard{next: &retry.Transport{Base: transport, Policy: func() retry.Policy { return c.o.policy }}, plain: w.insecure}),
	}
	var found struct {
		Manifests []ocispec.Descriptor `json:"manifests"`
		Config    ocispec.Descriptor   `json:"config"`
		Layers    []ocispec.Descriptor `json:"layers"`
	}
	for range 2 { // a list, and the image in it
		found.Manifests = nil
		if err := read(ctx, repository, digest, &found); err != nil {
			return 0, err
		}
		if len(found.Manifests) == 0 {
			break
		}
		if digest = ofPlatform(found.Manifests, platform); digest == "" {
			return 0, fmt.Errorf("the list has no image for %s: %w", platform, state.ErrNotFound)
		}
	}
	size := max(0, found.Config.Size)
	for _, layer := range found.Layers {
		size += max(0, layer.Size)
	}
	return size, nil
}

// read gets a manifest that is what its digest says.
func read(ctx context.Context, repository *remote.Repository, digest string, into any) error {
	descriptor, body, err := repository.Manifests().FetchReference(ctx, digest)
	if err != nil {
		return err
	}
	defer body.Close()
	if descriptor.Size > mostManifest {
		return fmt.Errorf("its manifest has %d bytes, and %d at most are read", descriptor.Size, mostManifest)
	}
	data, err := content.ReadAll(body, descriptor)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, into)
}

// ofPlatform finds an image of a list; a variant that is not asked for does not matter.
func ofPlatform(list []ocispec.Descriptor, platform string) string {
	for _, d := range list {
		if d.Platform != nil && (d.Platform.OS+"/"+d.Platform.Architecture == platform || strings.HasPrefix(platform, d.Platform.OS+"/"+d.Platform.Architecture+"/")) {
			return d.Digest.String()
		}
	}
	return ""
}
