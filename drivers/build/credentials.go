package build

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/kamald/kamald/release"
)

// dockerHub is how Docker's settings call Docker Hub.
const dockerHub = "https://index.docker.io/v1/"

// configName is the file of Docker's settings in their directory.
const configName = "config.json"

// credentials is a directory of Docker's settings for one build: the user's own, and what the registry wants to see. It is the way by
// which a password comes to buildx in no argument. nil has the user's settings.
type credentials struct {
	dir  string // private, removed when the build has ended
	user string // the user's own
	done func() // it is gone
}

// newCredentials makes the directory; nil when there is no password.
func newCredentials(auth release.Auth) (*credentials, error) {
	if auth.Password.Reveal() == "" {
		return nil, nil
	}
	user, err := dockerConfig()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(os.Getenv("XDG_RUNTIME_DIR"), "kamald-docker-") // in memory, where there is such a place; 0700
	if err != nil {                                                          // the variable may name a session's that has ended, or another user's
		dir, err = os.MkdirTemp("", "kamald-docker-")
	}
	if err != nil {
		return nil, fmt.Errorf("settings of Docker for this build: %w", err)
	}
	c := &credentials{dir: dir, user: user, done: holdDirectory(dir)}
	if err := c.fill(auth); err != nil {
		return nil, errors.Join(fmt.Errorf("settings of Docker for this build: %w", err), c.remove())
	}
	return c, nil
}

// remove takes the password away again.
func (c *credentials) remove() error {
	if c == nil {
		return nil
	}
	c.done()
	return os.RemoveAll(c.dir)
}

// variables name the directory to Docker's programs. What buildx keeps of its builders stays the user's.
func (c *credentials) variables() []string {
	if c == nil {
		return nil
	}
	env := []string{"DOCKER_CONFIG=" + c.dir}
	if os.Getenv("BUILDX_CONFIG") == "" {
		env = append(env, "BUILDX_CONFIG="+filepath.Join(c.user, "buildx"))
	}
	return env
}

// fill lets the directory have all that the user's has: contexts, plugins, trust; and settings with the password in them.
func (c *credentials) fill(auth release.Auth) error {
	entries, err := os.ReadDir(c.user)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, entry := range entries {
		if entry.Name() == configName {
			continue
		}
		if err := os.Symlink(filepath.Join(c.user, entry.Name()), filepath.Join(c.dir, entry.Name())); err != nil {
			return err
		}
	}
	settings := map[string]any{}
	data, err := os.ReadFile(filepath.Join(c.user, configName))
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	default:
		if err := json.Unmarshal(data, &settings); err != nil {
			return fmt.Errorf("%s: %w", filepath.Join(c.user, configName), err)
		}
	}
	server := auth.Server
	if server == "" {
		server = dockerHub
	}
	login := base64.StdEncoding.EncodeToString([]byte(auth.Username + ":" + auth.Password.Reveal()))
	within(settings, "auths")[server] = map[string]any{"auth": login}
	within(settings, "credHelpers")[server] = "" // the file's own, whatever keeps the others
	if data, err = json.Marshal(settings); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(c.dir, configName), data, 0o600)
}

// within gives an object of the settings, which is made where it is missing.
func within(settings map[string]any, name string) map[string]any {
	object, ok := settings[name].(map[string]any)
	if !ok {
		object = map[string]any{}
		settings[name] = object
	}
	return object
}
