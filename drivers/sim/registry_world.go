package sim

import "slices"

// SetMirrors sets where a host's engine looks first for images of Docker Hub.
func (w *World) SetMirrors(hostName string, mirrors ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.host(hostName).mirrors = slices.Clone(mirrors)
}

// SetArch sets a host's architecture, by Go's name; a new one is amd64.
func (w *World) SetArch(hostName, arch string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.host(hostName).arch = arch
}

// SetPassword sets what the registry wants to see from now on.
func (w *World) SetPassword(password string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.password = password
}

// PullsAtOnce is how many pulls were under way at one time, at most.
func (w *World) PullsAtOnce() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.most
}

func (w *World) pulls(change int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pulling += change
	w.most = max(w.most, w.pulling)
}

// Keep gives what has a manifest's digest another reference in the registry, as one that moved keeps what it pointed at.
func (w *World) Keep(digest, ref string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, image := range w.images { // a digest is of one image
		if image.digest == digest {
			w.registry[familiar(ref)] = image.id
		}
	}
}
