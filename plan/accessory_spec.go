package plan

import (
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// compileAccessory makes the spec that an accessory's container on a host should be created from.
func compileAccessory(in Input, host state.Host, on release.Host, accessory release.Accessory) state.Spec {
	role := accessory.Role()
	env := in.Desired.EnvOn(role, on)
	spec := state.Spec{
		Image: accessory.Image, Cmd: accessory.Cmd, Env: map[string]string{}, Labels: map[string]string{},
		Volumes: volumes(accessory.Mounts(), host.Home), Network: accessory.Network, Restart: accessory.Restart,
		LogDriver: accessory.Logging.Driver, LogOptions: accessory.Logging.Options,
		StopSignal: accessory.Stop.Signal, StopGrace: accessory.Stop.Grace, Options: accessory.Options,
	}
	for name, value := range env.Clear {
		spec.Env[name] = value
	}
	for name, text := range env.FromHost {
		spec.Env[name], _ = text.On(host.Environ) // what is missing there is a problem of the plan
	}
	spec.Env["KAMAL_HOST"] = on.Name
	for name, value := range accessory.Labels {
		spec.Labels[name] = value
	}
	spec.Labels[state.LabelService] = accessory.Service
	if len(env.Secrets) > 0 {
		spec.Secrets = map[string]string{}
		for name := range env.Secrets {
			spec.Secrets[name] = secretDigest(in, host, role.Name, name)
		}
	}
	for _, placed := range accessory.Files {
		digest := secretDigest(in, host, state.FilesName(role.Name), placed.To)
		if content, clear := placed.Clear(); clear {
			digest = release.FileDigest(content)
		}
		if placed.Missing != "" {
			digest = ""
		}
		putFile(&spec, placed, digest)
	}
	for _, placed := range accessory.Directories {
		putFile(&spec, placed, "")
	}
	return normal(spec)
}

func putFile(spec *state.Spec, placed release.Placed, digest string) {
	if spec.Files == nil {
		spec.Files = map[string]state.File{}
	}
	spec.Files[placed.To] = state.File{Digest: digest, Mode: placed.Mode, Owner: placed.Owner}
}

// files compares what is put on a host for a container. A digest that is not known compares equal.
func (d *differ) files(before, after map[string]state.File) {
	all := map[string]bool{}
	for to := range before {
		all[to] = true
	}
	for to := range after {
		all[to] = true
	}
	for _, to := range sorted(all) {
		b, had := before[to]
		a, has := after[to]
		switch {
		case !had:
			d.fields = append(d.fields, Field{Path: "file " + to, After: contentText(a.Digest)})
		case !has:
			d.fields = append(d.fields, Field{Path: "file " + to, Before: contentText(b.Digest)})
		default:
			if b.Digest != "" && a.Digest != "" && !state.SameSecret(b.Digest, a.Digest) {
				d.text("file "+to, contentText(b.Digest), contentText(a.Digest))
			}
			d.text("file "+to+" mode", b.Mode, a.Mode)
			d.text("file "+to+" owner", b.Owner, a.Owner)
		}
	}
}

// contentText stands for a content in a difference.
func contentText(digest string) string {
	if len(digest) < 8 {
		return digest
	}
	return "content " + digest[:8]
}
