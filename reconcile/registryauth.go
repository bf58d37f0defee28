package reconcile

import "github.com/kamald/kamald/release"

// RegistryAuth looks up what the release's registry wants to see; the zero value when there is no registry, or it wants nothing.
func (c *Controller) RegistryAuth(desired release.Release) (release.Auth, error) {
	return c.auth(desired, c.Secrets.Secret)
}

// BuildSecrets looks up the secrets that the build of the image may read, by name.
func (c *Controller) BuildSecrets(desired release.Release) (map[string]release.Secret, error) {
	values := map[string]release.Secret{}
	for _, name := range desired.Build.Secrets {
		value, err := c.secret(name, "build.secrets")
		if err != nil {
			return nil, err
		}
		values[name] = value
	}
	return values, nil
}
