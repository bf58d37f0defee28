package sim

import (
	"bytes"
	"context"
	"encoding/json"
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

// Images lists the images of a repository, newest first.
func (e *Engine) Images(ctx context.Context, repository string) (list []state.Image, err error) {
	err = e.read(ctx, "Engine.Images", repository, func(h *host) error {
		for _, id := range slices.Sorted(maps.Keys(h.images)) {
			seen := h.images[id].observe(false)
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
			seen = m.observe(true)
		}
		return err
	})
	return seen, err
}

// ResolveDigest asks the world's registry.
func (e *Engine) ResolveDigest(ctx context.Context, ref string, auth release.Auth) (digest string, err error) {
	err = e.read(ctx, "Engine.ResolveDigest", ref, func(*host) error {
		image, err := e.world.fetch(ref, auth)
		digest = image.digest
		return err
	})
	return digest, err
}

// Pull fetches a reference from the world's registry.
func (e *Engine) Pull(ctx context.Context, ref string, auth release.Auth) error {
	w, h := e.world, e.host
	var image Image
	call := Call{Method: "Engine.Pull", Args: ref, Mutates: true}
	return e.call(ctx, call, func(*host) (err error) {
		image, err = w.fetch(ref, auth)
		return err
	}, func(ctx context.Context) error {
		if err := sleep(ctx, image.PullTakes); err != nil {
			return err
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		m, err := h.bring(image, ref)
		if err != nil {
			return err
		}
		repository, _, pinned := strings.Cut(ref, "@")
		if !pinned {
			repository = ref[:strings.LastIndex(ref, ":")]
		}
		m.digests = addOnce(m.digests, repository+"@"+image.digest)
		return nil
	})
}

// Tag gives an image a further reference.
func (e *Engine) Tag(ctx context.Context, image, ref string) error {
	return e.mutate(ctx, "Engine.Tag", image+" "+ref, func(h *host) error {
		m, err := h.image(image)
		if err == nil {
			h.keep(m.Image, ref)
		}
		return err
	})
}

// RemoveImage takes a reference away, and the image with its last one.
func (e *Engine) RemoveImage(ctx context.Context, ref string) error {
	return e.mutate(ctx, "Engine.RemoveImage", ref, func(h *host) error {
		m, err := h.image(ref)
		if errors.Is(err, state.ErrNotFound) {
			return nil
		}
		if ref == m.id && len(m.tags) > 1 {
			return fmt.Errorf("image %s has %d tags, and is removed by its ID only when forced: %w", ref, len(m.tags), state.ErrConflict)
		}
		rest := slices.DeleteFunc(slices.Clone(m.tags), func(tag string) bool { return tag == ref || ref == m.id })
		if len(rest) > 0 {
			m.tags = rest
			m.digests = slices.DeleteFunc(m.digests, func(digest string) bool { return digest == ref })
			return nil
		}
		for _, c := range h.newestFirst() {
			if c.image.id == m.id {
				return fmt.Errorf("image %s is in use by container %s: %w", ref, c.name, state.ErrConflict)
			}
		}
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
			for _, ref := range m.RepoTags {
				image, err := e.world.loaded(files[m.Config], ref)
				if err != nil {
					return err
				}
				if _, err := h.bring(image, ref); err != nil {
					return err
				}
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
		data, err := archive(images, refs)
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

// loaded is the world's image that a configuration names, or a new one with its labels.
func (w *World) loaded(config []byte, ref string) (Image, error) {
	var c struct {
		Sim    string `json:"sim"`
		Config struct {
			Labels map[string]string
		} `json:"config"`
	}
	if err := json.Unmarshal(config, &c); err != nil {
		return Image{}, fmt.Errorf("the configuration of %s does not read: %w", ref, err)
	}
	if image, ok := w.images[c.Sim]; ok {
		return image, nil
	}
	return w.make(Image{Ref: ref, Labels: c.Config.Labels}), nil
}
