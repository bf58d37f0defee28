package plan

import (
	"path"
	"strings"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// compile makes the spec that a role's container on a host should be created from. Digests of secrets are those of the values
// at hand, else of what lies on the host.
func compile(in Input, host state.Host, on release.Host, role release.Role) state.Spec {
	app := in.Desired.App()
	env := in.Desired.EnvOn(role, on)
	spec := state.Spec{
		Image:      in.Desired.Image(),
		Digest:     in.Pin.Value(),
		Cmd:        role.Cmd,
		Env:        map[string]string{},
		Labels:     map[string]string{},
		Volumes:    volumes(role.Volumes, host.Home),
		Network:    in.Desired.Network,
		Restart:    role.Restart,
		LogDriver:  role.Logging.Driver,
		LogOptions: role.Logging.Options,
		StopSignal: role.Stop.Signal,
		StopGrace:  role.Stop.Grace,
		Options:    role.Options,
	}
	if role.Assets != nil {
		spec.Volumes = append(spec.Volumes, role.Assets.Volume(host.RunDir, app, state.AssetSet(role.Name, in.Desired.Version)))
	}
	for name, value := range env.Clear {
		spec.Env[name] = value
	}
	for name, text := range env.FromHost {
		spec.Env[name], _ = text.On(host.Environ) // what is missing there is a problem of the plan
	}
	spec.Env["KAMAL_CONTAINER_NAME"] = app.ContainerName(role.Name, in.Desired.Version)
	spec.Env["KAMAL_VERSION"] = in.Desired.Version
	spec.Env["KAMAL_HOST"] = on.Name
	if app.Destination != "" {
		spec.Env["KAMAL_DESTINATION"] = app.Destination
	}
	for name, value := range role.Labels {
		spec.Labels[name] = value
	}
	spec.Labels[state.LabelService] = app.Service
	spec.Labels[state.LabelRole] = role.Name
	spec.Labels[state.LabelDestination] = app.Destination
	if len(env.Secrets) > 0 {
		spec.Secrets = map[string]string{}
		for name := range env.Secrets {
			spec.Secrets[name] = secretDigest(in, host, role.Name, name)
		}
	}
	return normal(spec)
}

// injected names the variables that differ between any two containers and say nothing to a reader of a diff.
var injected = map[string]bool{"KAMAL_CONTAINER_NAME": true, "KAMAL_VERSION": true}

// normal makes empty maps and slices nil, so that equal specs have equal JSON.
func normal(s state.Spec) state.Spec {
	if len(s.Env) == 0 {
		s.Env = nil
	}
	if len(s.Secrets) == 0 {
		s.Secrets = nil
	}
	if len(s.Labels) == 0 {
		s.Labels = nil
	}
	if len(s.Volumes) == 0 {
		s.Volumes = nil
	}
	if len(s.LogOptions) == 0 {
		s.LogOptions = nil
	}
	if len(s.Options) == 0 {
		s.Options = nil
	}
	if len(s.Files) == 0 {
		s.Files = nil
	}
	return s
}

// secretDigest is the digest of the value a container made now would get; "" when nobody knows.
func secretDigest(in Input, host state.Host, role, name string) string {
	if digest := in.Secrets[host.Name][role][name]; digest != "" {
		return digest
	}
	file, _ := host.EnvFile(role)
	return file.Digests[name]
}

// volumes resolves sources in the SSH user's home: the engine wants absolute ones.
func volumes(asked []string, home string) []string {
	var resolved []string
	for _, volume := range asked {
		source, rest, _ := strings.Cut(volume, ":")
		if tail, ok := strings.CutPrefix(source, "~/"); ok {
			source = path.Join(home, tail)
		} else if tail, ok := strings.CutPrefix(source, "./"); ok {
			source = path.Join(home, tail)
		}
		resolved = append(resolved, source+":"+rest)
	}
	return resolved
}
