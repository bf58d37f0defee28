package sim

import (
	"fmt"
	"syscall"
)

// containerTakes is what a container's own files take of the disk, in bytes, until it is removed.
const containerTakes = 32 << 10

// engineRoot is where the engine keeps its data. It is on the host's one file system, and nobody sees what is in it.
const engineRoot = "/var/lib/docker"

// containerdRoot is where containerd keeps its data, where it was given a disk of its own.
const containerdRoot = "/var/lib/containerd"

// Layer is a part of an image that several may share: a host keeps it once.
type Layer struct {
	Digest string
	Size   int64
}

// SetFree sets the free bytes of a host.
func (w *World) SetFree(hostName string, bytes int64) {
	w.at(hostName, func(h *host) { h.free = bytes })
}

// SetDisk sets the size of a host's disks in bytes; none is smaller than what is free on it.
func (w *World) SetDisk(hostName string, bytes int64) {
	w.at(hostName, func(h *host) { h.disk = bytes })
}

// SetContainerdFree lets the engine of a host say that it keeps images as containerd does, which has a disk of its own with so many free
// bytes. What comes is not counted there.
func (w *World) SetContainerdFree(hostName string, bytes int64) {
	w.at(hostName, func(h *host) { h.containerd, h.containerdFree = true, &bytes })
}

// Free gives the free bytes of a host.
func (w *World) Free(hostName string) (bytes int64) {
	w.at(hostName, func(h *host) { bytes = h.free })
	return bytes
}

// spend takes room for something, or fails with ENOSPC and takes none.
func (h *host) spend(bytes int64, format string, args ...any) error {
	if bytes > 0 && h.free < bytes {
		return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), syscall.ENOSPC)
	}
	h.free -= bytes
	return nil
}

// all gives the image's layers; one that names none is one layer of its own.
func (m Image) all() []Layer {
	if len(m.Layers) > 0 {
		return m.Layers
	}
	return []Layer{{Digest: m.id, Size: m.Size}}
}

// missing is how many bytes of an image the host does not have yet.
func (h *host) missing(image Image) (bytes int64) {
	if _, ok := h.images[image.id]; ok {
		return 0
	}
	for _, layer := range image.all() {
		if h.layers[layer.Digest] == 0 {
			bytes += layer.Size
		}
	}
	return bytes
}

// hold counts an image's layers as used, and release frees those that nobody uses any more.
func (h *host) hold(image Image) {
	h.free -= h.missing(image)
	for _, layer := range image.all() {
		h.layers[layer.Digest]++
	}
}

func (h *host) release(image Image) {
	for _, layer := range image.all() {
		if h.layers[layer.Digest]--; h.layers[layer.Digest] == 0 {
			delete(h.layers, layer.Digest)
			h.free += layer.Size
		}
	}
}
