package docker

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/moby/moby/api/types/jsonstream"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/api/types/registry"
	"github.com/moby/moby/client"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// Images lists the images of a repository (server/repo), as far as the engine's list knows them; "" lists all there are.
func (e *Engine) Images(ctx context.Context, repository string) ([]state.Image, error) {
	if repository == "" {
		return e.images(ctx, nil, "", "all images")
	}
	named, err := reference.ParseNormalizedNamed(repository)
	if err != nil {
		return nil, fmt.Errorf("%slist images of %q: %w", e.prefix(), repository, err)
	}
	familiar := reference.FamiliarName(named)
	return e.images(ctx, client.Filters{}.Add("reference", familiar), familiar, "images of "+repository)
}

// images lists those that a filter lets through, with their references in a repository.
func (e *Engine) images(ctx context.Context, filters client.Filters, repository, what string) ([]state.Image, error) {
	result, err := e.client.ImageList(ctx, client.ImageListOptions{Filters: filters})
	if err != nil {
		return nil, e.failure(err, "list %s", what)
	}
	tags, digests := repository+":", repository+"@"
	if repository == "" {
		tags, digests = "", ""
	}
	var all []state.Image
	for _, item := range result.Items {
		all = append(all, state.Image{
			ID:      item.ID,
			Tags:    ofRepository(item.RepoTags, tags),
			Digests: ofRepository(item.RepoDigests, digests),
			Created: time.Unix(item.Created, 0).UTC(),
			Size:    item.Size,
			Labels:  item.Labels,
		})
	}
	return all, nil
}

// Image inspects an image by ID or reference.
func (e *Engine) Image(ctx context.Context, ref string) (state.Image, error) {
	r, err := e.client.ImageInspect(ctx, ref)
	if err != nil {
		return state.Image{}, e.failure(err, "inspect image %s", ref)
	}
	m := state.Image{
		ID:        r.ID,
		Tags:      ofRepository(r.RepoTags, ""),
		Digests:   ofRepository(r.RepoDigests, ""),
		Created:   when(r.Created),
		Size:      r.Size,
		Inspected: true,
		Arch:      r.Architecture,
		Layers:    r.RootFS.Layers,
	}
	if c := r.Config; c != nil {
		m.Labels, m.Env, m.Cmd, m.StopSignal = c.Labels, imageEnv(c.Env), none(c.Cmd), c.StopSignal
		for text := range c.ExposedPorts {
			if port, err := network.ParsePort(text); err == nil && port.Proto() == network.TCP {
				m.Ports = append(m.Ports, int(port.Num()))
			}
		}
		slices.Sort(m.Ports)
		m.Healthcheck = c.Healthcheck != nil && len(c.Healthcheck.Test) > 0 && c.Healthcheck.Test[0] != "NONE"
	}
	return m, nil
}

// Tag gives an image a further reference.
func (e *Engine) Tag(ctx context.Context, image, ref string) error {
	_, err := e.client.ImageTag(ctx, client.ImageTagOptions{Source: image, Target: ref})
	return e.failure(err, "tag %s as %s", image, ref)
}

// RemoveImage takes a reference away, and the image with its last one. One that is gone is no error.
func (e *Engine) RemoveImage(ctx context.Context, ref string) error {
	_, err := e.client.ImageRemove(ctx, ref, client.ImageRemoveOptions{PruneChildren: true})
	if errdefs.IsNotFound(err) {
		return nil
	}
	return e.failure(err, "remove image %s", ref)
}

// Load reads a `docker save` archive.
func (e *Engine) Load(ctx context.Context, archive io.Reader) error {
	stream, err := e.client.ImageLoad(ctx, archive, client.ImageLoadWithQuiet(true))
	if err != nil {
		return e.failure(err, "load images")
	}
	defer stream.Close()
	return e.failure(progress(stream, nil), "load images")
}

// Save writes references as a `docker save` archive. Closing the reader ends the call.
func (e *Engine) Save(ctx context.Context, refs ...string) (io.ReadCloser, error) {
	stream, err := e.client.ImageSave(ctx, refs)
	if err != nil {
		return nil, e.failure(err, "save %s", strings.Join(refs, ", "))
	}
	return stream, nil
}

// messageLimit bounds what is read of a stream for one message.
const messageLimit = 16 << 20

// progress reads a stream of progress messages to its end, and lets somebody hear them; nil is nobody. The error of what is done comes
// in it, after an answer of success.
func progress(stream io.Reader, heard func(jsonstream.Message)) error {
	bounded := &io.LimitedReader{R: stream, N: messageLimit}
	decoder := json.NewDecoder(bounded)
	for {
		var message jsonstream.Message
		err := decoder.Decode(&message)
		switch {
		case errors.Is(err, io.EOF) && bounded.N > 0:
			return nil
		case err != nil:
			return err
		case message.Error != nil:
			return message.Error
		}
		bounded.N = messageLimit // what takes long says a lot
		if heard != nil {
			heard(message)
		}
	}
}

// hub is how engines call Docker Hub.
const hub = "https://index.docker.io/v1/"

// encode is the X-Registry-Auth header; "" for anonymous.
func encode(auth release.Auth) string {
	if auth.Username == "" && auth.Password.Reveal() == "" {
		return ""
	}
	server := auth.Server
	if server == "" {
		server = hub
	}
	data, err := json.Marshal(registry.AuthConfig{Username: auth.Username, Password: auth.Password.Reveal(), ServerAddress: server})
	if err != nil {
		panic("docker: strings always encode")
	}
	return base64.URLEncoding.EncodeToString(data)
}

// ofRepository keeps the references with a prefix, and no placeholder.
func ofRepository(refs []string, prefix string) []string {
	var kept []string
	for _, ref := range refs {
		if strings.HasPrefix(ref, prefix) && !strings.HasPrefix(ref, "<none>") {
			kept = append(kept, ref)
		}
	}
	slices.Sort(kept)
	return kept
}
