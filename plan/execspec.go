package plan

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// Serving is the image that a role serves with on a host: the one that is tagged latest[-destination], and without one that of the
// container that serves. ref is its reference there under its version's name; false: the host has none.
func Serving(desired release.Release, host state.Host, role string) (id, ref, version string, ok bool) {
	current, runs := currentOf(desired.App(), host, role)
	image, ok := host.Image(host.Latest)
	if !ok && runs {
		image, ok = host.Image(current.ImageID)
	}
	if !ok {
		return "", "", "", false
	}
	name, latest := desired.ImageName()+":", ""
	var versions []string
	for _, tag := range image.Tags {
		tagged, own := strings.CutPrefix(tag, name)
		switch {
		case !own:
		case isLatest(tagged):
			latest = tag
		default:
			versions = append(versions, tagged)
		}
	}
	slices.Sort(versions)
	served := ""
	if runs && current.ImageID == image.ID {
		served = current.Version()
	}
	switch {
	case slices.Contains(versions, served):
		return image.ID, name + served, served, true
	case slices.Contains(versions, desired.Version):
		return image.ID, name + desired.Version, desired.Version, true
	case len(versions) > 0:
		return image.ID, name + versions[0], versions[0], true
	case latest == "":
		return "", "", "", false // it was taken out of the repository
	}
	return image.ID, latest, cmp.Or(served, state.ShortID(trimSHA(image.ID))), true
}

// Brought is the image of a version that a host has, by its reference there; false: it has none.
func Brought(desired release.Release, host state.Host, version string) (id, ref string, ok bool) {
	ref = desired.ImageName() + ":" + version
	i := slices.IndexFunc(host.Images, func(image state.Image) bool { return slices.Contains(image.Tags, ref) })
	if i < 0 {
		return "", "", false
	}
	return host.Images[i].ID, ref, true
}

// notForOneCommand are options that two containers cannot have at once, or by which others would find this one.
var notForOneCommand = []string{"publish", "publish-all", "network-alias", "ip", "ip6", "link-local-ip", "mac-address", "hostname"}

// ExecSpec makes the spec of a container that is like a role's on a host, and runs one command: with the role's environment, volumes,
// network, log driver and options, but for ports, addresses and names that the role's own has, and its health check. It has no label
// role. missing are variables that the host's own environment is asked for and does not have.
func ExecSpec(desired release.Release, host state.Host, on release.Host, role release.Role, image, ref, version, name string, argv []string) (spec state.Spec, missing []string) {
	desired.Version = version
	spec = compile(Input{Desired: desired, Pin: Pin{ID: image}}, host, on, role)
	spec.Image, spec.Env["KAMAL_CONTAINER_NAME"] = ref, name
	return forOneCommand(desired, role, spec, argv), unset(desired, host, on, role)
}

// AccessoryExecSpec makes the spec of a container that is like an accessory's container on a host, and runs one command. What Kamal made
// has no spec, and is like what the release says. Its image is the accessory's by the reference that it was made from.
func AccessoryExecSpec(desired release.Release, host state.Host, on release.Host, accessory release.Accessory, like state.Container, argv []string) (spec state.Spec, missing []string) {
	role := accessory.Role()
	if like.Asked != nil {
		spec = *like.Asked
	} else {
		spec, missing = compileAccessory(Input{Desired: desired}, host, on, accessory), unset(desired, host, on, role)
		spec.Image = like.Live.Image
	}
	spec.Digest, spec.Secrets = "", maps.Clone(spec.Secrets)
	for name := range spec.Secrets {
		spec.Secrets[name] = ""
	}
	spec.Env = maps.Clone(spec.Env)
	return forOneCommand(desired, role, spec, argv), missing
}

// forOneCommand leaves of a spec what a container for one command has.
func forOneCommand(desired release.Release, role release.Role, spec state.Spec, argv []string) state.Spec {
	spec.Cmd, spec.Restart, spec.Passing = argv, "no", true
	spec.Labels = map[string]string{state.LabelService: desired.Service, state.LabelDestination: desired.Destination, state.LabelExec: role.Name}
	spec.StopSignal, spec.StopGrace = "", 0
	spec.Options = maps.Clone(spec.Options)
	maps.DeleteFunc(spec.Options, func(option string, _ []string) bool {
		return slices.Contains(notForOneCommand, option) || strings.HasPrefix(option, "health-") || option == "tty" || option == "interactive"
	})
	return spec
}

// unset are variables that the host's own environment is asked for and does not have.
func unset(desired release.Release, host state.Host, on release.Host, role release.Role) (missing []string) {
	for _, text := range desired.EnvOn(role, on).FromHost {
		_, lacks := text.On(host.Environ)
		missing = append(missing, lacks...)
	}
	slices.Sort(missing)
	return slices.Compact(missing)
}
