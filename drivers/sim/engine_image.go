package sim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"syscall"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// Images lists the images of a repository, or all, newest first.
func (e *Engine) Images(ctx context.Context, repository string) (list []state.Image, err error) {
	err = e.read(ctx, "Engine.Images", repository, func(h *host) error {
		repository := familiar(repository)
		for _, id := range slices.Sorted(maps.Keys(h.images)) {
			seen := h.images[id].observe(e.world, false)
			if repository == "" {
				list = append(list, seen)
				continue
			}
			other := func(separator string) func(string) bool {
				return func(ref string) bool { return !strings.HasPrefix(ref, repository+separator) }
			}
			seen.Tags, seen.Digests = slices.DeleteFunc(seen.Tags, other(":")), slices.DeleteFunc(seen.Digests, other("@"))
			if len(seen.Tags)+len(seen.Digests) > 0 {
				list = append(list, seen)
			}
		}
		slices.SortStableFunc(list, func(a, b state.Image) int { return b.Created.Compare(a.Created) })
		return nil
	})
	return list, err
}

// Image inspects by ID or reference.
func (e *Engine) Image(ctx context.Context, ref string) (seen state.Image, err error) {
	err = e.read(ctx, "Engine.Image", ref, func(h *host) error {
		m, err := h.image(ref)
		if err == nil {
			seen = m.observe(e.world, true)
		}
		return err
	})
	return seen, err
}

// Manifest asks the world's registry.
func (e *Engine) Manifest(ctx context.Context, ref string, auth release.Auth) (m state.Manifest, err error) {
	err = e.read(ctx, "Engine.Manifest", ref, func(*host) error {
		image, err := e.world.fetch(ref, auth)
		m = state.Manifest{Digest: image.digest, Platforms: slices.DeleteFunc(slices.Clone(image.Platforms), func(p string) bool { return p == Attestation })}
		return err
	})
	return m, err
}

// Login asks the world's registry.
func (e *Engine) Login(ctx context.Context, auth release.Auth) error {
	return e.read(ctx, "Engine.Login", auth.Server, func(*host) error {
		if w := e.world; w.username != "" && (auth.Username != w.username || auth.Password.Reveal() != w.password) {
			err := fmt.Errorf("the registry refuses %q: %w", auth.Username, state.ErrDenied)
			return &state.RegistryError{Fault: state.FaultDenied, Registry: auth.Server, Err: err}
		}
		return nil
	})
}

// Tag gives an image a further reference.
func (e *Engine) Tag(ctx context.Context, image, ref string) error {
	return e.mutate(ctx, "Engine.Tag", image+" "+ref, func(h *host) error {
		m, err := h.image(image)
		if err == nil {
			h.keep(m.Image, ref)
			h.tellImage(state.ActionTag, familiar(ref))
		}
		return err
	})
}

// RemoveImage takes a reference away, and the image with its last one.
func (e *Engine) RemoveImage(ctx context.Context, ref string) error {
	return e.mutate(ctx, "Engine.RemoveImage", ref, func(h *host) error {
		ref := familiar(ref)
		m, err := h.image(ref)
		if errors.Is(err, state.ErrNotFound) {
			return nil
		}
		if ref == m.id && len(m.tags) > 1 {
			return fmt.Errorf("image %s has %d tags, and is removed by its ID only when forced: %w", ref, len(m.tags), state.ErrConflict)
		}
		rest := slices.DeleteFunc(slices.Clone(m.tags), func(tag string) bool { return tag == ref || ref == m.id })
		if len(rest) > 0 {
			h.tellImage(state.ActionUntag, m.id)
			m.tags = rest
			m.digests = slices.DeleteFunc(m.digests, func(digest string) bool { return digest == ref })
			return nil
		}
		for _, c := range h.newestFirst() {
			if c.image.id == m.id {
				return fmt.Errorf("image %s is in use by container %s: %w", ref, c.name, state.ErrConflict)
			}
		}
		h.tellImage(state.ActionUntag, m.id)
		h.tellImage(state.ActionDelete, m.id)
		delete(h.images, m.id)
		h.release(m.Image)
		return nil
	})
}

// Load reads an archive: one that Save wrote, or a real one.
func (e *Engine) Load(ctx context.Context, archive io.Reader) error {
	files, list, err := unpack(archive)
	if err != nil {
		return e.failure(Call{Method: "Engine.Load"}, err)
	}
	var refs []string
	for _, m := range list {
		refs = append(refs, m.RepoTags...)
	}
	return e.mutate(ctx, "Engine.Load", strings.Join(refs, " "), func(h *host) error {
		for _, m := range list {
			if err := e.world.take(h, m, files); err != nil {
				return err
			}
		}
		return nil
	})
}

// Save writes an archive.
func (e *Engine) Save(ctx context.Context, refs ...string) (reader io.ReadCloser, err error) {
	err = e.read(ctx, "Engine.Save", strings.Join(refs, " "), func(h *host) error {
		var images []*stored
		for _, ref := range refs {
			m, err := h.image(ref)
			if err != nil {
				return err
			}
			images = append(images, m)
		}
		data, err := e.world.archive(images, refs)
		reader = io.NopCloser(bytes.NewReader(data))
		return err
	})
	if err != nil {
		return nil, err
	}
	return reader, nil
}

// bring is keep, as long as there is room.
func (h *host) bring(image Image, ref string) (*stored, error) {
	if h.free < h.missing(image) {
		return nil, fmt.Errorf("write the layers of %s: %w", ref, syscall.ENOSPC)
	}
	return h.keep(image, ref), nil
}
