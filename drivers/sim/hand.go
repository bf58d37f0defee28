package sim

import (
	"io/fs"
	"maps"
	"slices"
	"time"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// What somebody at the server does, or what happens to it: no remote call, no fault, nothing in the history. Names that are not
// there panic: that is a mistake of the test.

// RunContainer makes and starts a container.
func (w *World) RunContainer(hostName, name string, spec state.Spec, labels map[string]string, secrets map[string]release.Secret) (id string) {
	w.at(hostName, func(h *host) {
		c, err := w.create(h, name, spec, labels, secrets)
		if err == nil {
			err = h.start(c)
		}
		if err != nil {
			panic("sim: " + err.Error())
		}
		id = c.id
	})
	return id
}

// RemoveContainer is `docker rm -f`.
func (w *World) RemoveContainer(hostName, name string) {
	w.container(hostName, name, (*host).discard)
}

// StopContainer is `docker kill`: it has ended when this returns, and the engine does not restart it.
func (w *World) StopContainer(hostName, name string) {
	w.container(hostName, name, func(h *host, c *container) {
		if c.running() {
			h.tell(c, time.Now(), state.ActionKill, "")
			h.end(c, time.Now(), 137)
		}
		c.status, c.byHand = state.StatusExited, true
	})
}

// StartContainer is `docker start`.
func (w *World) StartContainer(hostName, name string) {
	w.container(hostName, name, func(h *host, c *container) {
		if err := h.start(c); err != nil {
			panic("sim: " + err.Error())
		}
	})
}

// Misbehave changes what a container's program does from now on; others of the same image are as they were.
func (w *World) Misbehave(hostName, name string, b Behaviour) {
	w.container(hostName, name, func(h *host, c *container) {
		own := *c.image
		own.Behaviour = b
		c.image = &own
		h.stir() // what happens next is at another time
	})
}

// RenameContainer is `docker rename`.
func (w *World) RenameContainer(hostName, name, to string) {
	w.container(hostName, name, func(h *host, c *container) { h.rename(c, to) })
}

// UpdateContainer is `docker update` with canonical options.
func (w *World) UpdateContainer(hostName, name string, options map[string][]string) {
	w.container(hostName, name, func(h *host, c *container) {
		if err := h.update(c, options); err != nil {
			panic("sim: " + err.Error())
		}
	})
}

// UpdateMemory is `docker update --memory`, in bytes.
func (w *World) UpdateMemory(hostName, name, bytes string) {
	w.UpdateContainer(hostName, name, map[string][]string{"memory": {bytes}})
}

// DetachNetwork is `docker network disconnect`.
func (w *World) DetachNetwork(hostName, name, network string) {
	w.container(hostName, name, func(h *host, c *container) {
		if _, on := c.networks[network]; on && c.running() { // an engine says it of the network, and once more of the container
			h.tell(c, time.Now(), state.ActionNetworkDisconnect, network)
		}
		h.tell(c, time.Now(), state.ActionNetworkDisconnect, network)
		delete(c.networks, network)
	})
}

// Retag is `docker tag`: ref becomes the image that image means.
func (w *World) Retag(hostName, image, ref string) {
	w.at(hostName, func(h *host) {
		m, err := h.image(image)
		if err != nil {
			panic("sim: " + err.Error())
		}
		h.keep(m.Image, ref)
		h.tellImage(state.ActionTag, familiar(ref))
	})
}

// Untag takes a reference away, as `docker rmi` does.
func (w *World) Untag(hostName, ref string) {
	w.at(hostName, func(h *host) {
		if m, err := h.image(ref); err == nil {
			h.tellImage(state.ActionUntag, m.id)
		}
		h.untag(ref)
	})
}

// RemoveRoute is the proxy's own `remove`.
func (w *World) RemoveRoute(hostName, name string) {
	w.at(hostName, func(h *host) { delete(h.routes, name) })
}

// SetRoute puts a route into the proxy, or replaces one.
func (w *World) SetRoute(hostName string, route state.Route) {
	w.at(hostName, func(h *host) {
		route.Options = canonical(route.Options)
		h.routes[route.Name] = route
	})
}

// SetSkew sets how far a host's clock is ahead.
func (w *World) SetSkew(hostName string, skew time.Duration) {
	w.at(hostName, func(h *host) { h.skew = skew })
}

// WriteFile puts a file on a host.
func (w *World) WriteFile(hostName, name string, data []byte) {
	w.at(hostName, func(h *host) {
		if err := h.write(name, slices.Clone(data), 0o600); err != nil {
			panic("sim: " + err.Error())
		}
	})
}

// MakeDir puts a directory on a host.
func (w *World) MakeDir(hostName, name string) {
	w.at(hostName, func(h *host) {
		full := h.path(name)
		if err := h.parents(full); err != nil {
			panic("sim: " + err.Error())
		}
		h.files[full] = &node{dir: true, mode: 0o700, mod: h.clock()}
	})
}

// RemoveFile takes a file or a directory from a host.
func (w *World) RemoveFile(hostName, name string) { w.at(hostName, func(h *host) { h.remove(name) }) }

// File gives a file of a host; false when it is not there.
func (w *World) File(hostName, name string) (data []byte, ok bool) {
	w.at(hostName, func(h *host) {
		if n, err := h.file("read", name); err == nil {
			data, ok = slices.Clone(n.data), true
		}
	})
	return data, ok
}

// Mode gives the permissions of a file or a directory; 0 when it is not there.
func (w *World) Mode(hostName, name string) (mode fs.FileMode) {
	w.at(hostName, func(h *host) {
		if n, ok := h.files[h.path(name)]; ok {
			mode = n.mode
		}
	})
	return mode
}

// FileNames lists every path on a host, sorted.
func (w *World) FileNames(hostName string) (names []string) {
	w.at(hostName, func(h *host) { names = slices.Sorted(maps.Keys(h.files)) })
	return names
}

// Containers gives every container of a host as an inspection with a view does, newest first.
func (w *World) Containers(hostName string, v state.View) (list []state.Container) {
	w.at(hostName, func(h *host) {
		for _, c := range h.newestFirst() {
			list = append(list, c.observe(h, true, v))
		}
	})
	return list
}

// Routes gives what a host's proxy routes, sorted by name.
func (w *World) Routes(hostName string) (list []state.Route) {
	w.at(hostName, func(h *host) { list = h.routeList() })
	return list
}

// ImageID gives the ID of the image that a reference means on a host, "" when there is none.
func (w *World) ImageID(hostName, ref string) (id string) {
	w.at(hostName, func(h *host) {
		if m, err := h.image(ref); err == nil {
			id = m.id
		}
	})
	return id
}

func (w *World) at(hostName string, do func(*host)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	h := w.host(hostName)
	h.settle(time.Now())
	do(h)
}

func (w *World) container(hostName, name string, do func(*host, *container)) {
	w.at(hostName, func(h *host) {
		c, err := h.container(name)
		if err != nil {
			panic("sim: " + hostName + ": " + err.Error())
		}
		do(h, c)
	})
}

// Owner is whom a file was given to, by number; 0 and 0 is whoever made it.
func (w *World) Owner(hostName, name string) (user, group int) {
	w.at(hostName, func(h *host) {
		if n, ok := h.files[h.path(name)]; ok {
			user, group = n.user, n.group
		}
	})
	return user, group
}
