package sim

import "context"

// Environ is the environment that a host gives to its SSH user.
type Environ struct{ *session }

// Variables gives those of the named variables that are set there.
func (e *Environ) Variables(ctx context.Context, names []string) (map[string]string, error) {
	found := map[string]string{}
	err := e.read(ctx, "Environ.Variables", "", func(h *host) error {
		for _, name := range names {
			if value, ok := h.environ[name]; ok {
				found[name] = value
			}
		}
		return nil
	})
	return found, err
}

// SetVariable puts a variable into a host's environment.
func (w *World) SetVariable(name, variable, value string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hosts[name].environ[variable] = value
}
