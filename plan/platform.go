package plan

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// optionPlatform is the role's option that asks for an image of another platform than the host's, run by an emulator there.
const optionPlatform = "platform"

// WrongPlatform finds what of an image cannot run on a host: platforms are those that the registry, or this machine, has of it (none:
// it does not say), as os/architecture[/variant]. It gives a problem for each role on the host that is in scope and asks for what is not there.
func WrongPlatform(desired release.Release, scope Filter, host state.Host, platforms []string) []Problem {
	var problems []Problem
	if len(platforms) == 0 || host.Engine.Arch == "" {
		return nil
	}
	again := pushed
	if desired.Registry == nil { // a tag on this machine is one image
		again = "build it for %s"
	}
	for _, role := range desired.Roles {
		if !slices.Contains(role.Places(), host.Name) || !scope.Has(host.Name, role.Name) {
			continue
		}
		summary, next := misfit(role.Options, "the role", host.Engine, platforms, again)
		if summary == "" {
			summary, next = atOdds(desired, role, host, platforms)
		}
		if summary != "" {
			problems = append(problems, Problem{Host: host.Name, Role: role.Name, Summary: fmt.Sprintf("the image %s %s", desired.Image(), summary), Next: next})
		}
	}
	return problems
}

// WrongAccessoryPlatform finds out whether an image for some platforms (none: it is not known) can be an accessory on a host; the zero
// Problem when it can.
func WrongAccessoryPlatform(a release.Accessory, host state.Host, platforms []string) Problem {
	if len(platforms) == 0 || host.Engine.Arch == "" {
		return Problem{}
	}
	summary, next := misfit(a.Options, "the accessory", host.Engine, platforms, pushed)
	if summary == "" {
		return Problem{}
	}
	return Problem{Host: host.Name, Role: state.AccessoryRole(a.Name), Summary: fmt.Sprintf("its image %s %s", a.Image, summary), Next: next}
}

// WrongProxyPlatform finds out whether an image for some platforms (none: it is not known) can be a proxy on a host; the zero Problem
// when it can.
func WrongProxyPlatform(desired release.Release, host state.Host, platforms []string) Problem {
	if len(platforms) == 0 || host.Engine.Arch == "" {
		return Problem{}
	}
	summary, next := misfit(desired.ProxyServer.Options, "proxy_server", host.Engine, platforms, pushed)
	if summary == "" {
		return Problem{}
	}
	return Problem{Host: host.Name, Summary: fmt.Sprintf("the proxy's image %s %s", desired.ProxyServer.Image, summary), Next: next}
}

// pushed is how an image of a registry is made for another platform.
const pushed = "build and push it for %s too"

// misfit says why what has such options, in a place of the file, cannot be run by an engine from an image that there is for some
// platforms; "" when it can. again is how the image is made for another.
func misfit(options map[string][]string, place string, engine state.Engine, platforms []string, again string) (summary, next string) {
	asked := options[optionPlatform]
	has := "is for " + strings.Join(platforms, ", ")
	if len(asked) == 0 {
		if slices.ContainsFunc(platforms, func(platform string) bool { return runs(engine, platform) }) {
			return "", ""
		}
		return fmt.Sprintf("%s, and the host is %s", has, enginePlatform(engine)),
			fmt.Sprintf(again+", or, where the host has an emulator for it, say so: options = { platform = %q } in %s", enginePlatform(engine), platforms[0], place)
	}
	want := asked[0]
	if !slices.ContainsFunc(platforms, func(platform string) bool { return within(platform, want) }) {
		return fmt.Sprintf("%s, and %s's option platform asks for %s", has, place, want), fmt.Sprintf(again, "that platform") + ", or take the option away"
	}
	return "", ""
}

// ProxyPlatform is the platform that proxies are taken for of a list, "" for their hosts' own.
func ProxyPlatform(desired release.Release) string {
	if asked := desired.ProxyServer.Options[optionPlatform]; len(asked) > 0 {
		return asked[0]
	}
	return ""
}

// PullPlatform is the platform that a host takes of a list: what its roles ask for, "" for the host's own. They are all of the host's,
// whichever of them are in scope: an engine has one image of a list.
func PullPlatform(desired release.Release, host string) string {
	for _, role := range desired.Roles {
		if asked := role.Options[optionPlatform]; len(asked) > 0 && slices.Contains(role.Places(), host) {
			return asked[0]
		}
	}
	return ""
}

// atOdds says why a role does not get what it needs of a list for several platforms, since the host takes for another role what is for
// another platform; "" when it does.
func atOdds(desired release.Release, role release.Role, host state.Host, platforms []string) (summary, next string) {
	taken := PullPlatform(desired, host.Name)
	if taken == "" || len(platforms) < 2 {
		return "", ""
	}
	needs := enginePlatform(host.Engine)
	if asked := role.Options[optionPlatform]; len(asked) > 0 {
		needs = asked[0]
	}
	if within(taken, needs) {
		return "", ""
	}
	return fmt.Sprintf("is taken for %s there, as another role's option platform asks, and this one needs it for %s", taken, needs),
		"let all roles on the host ask for the same platform, or give them hosts of their own: an engine has one image under a digest"
}

// enginePlatform is an engine's platform as os/architecture[/variant].
func enginePlatform(e state.Engine) string {
	os := e.OS
	if os == "" {
		os = "linux" // of a host as a saved plan keeps it
	}
	if e.Variant == "" {
		return os + "/" + e.Arch
	}
	return os + "/" + e.Arch + "/" + e.Variant
}

// runs tells whether an engine's host runs programs of a platform by itself. A 64-bit x86 runs 32-bit programs. A 64-bit ARM does
// only where its processor still can, which an engine does not say: then the role has to. Which x86 (v2, v3) it is, it says neither.
func runs(e state.Engine, platform string) bool {
	parts := append(strings.Split(platform, "/"), "", "")
	os, arch, variant := parts[0], parts[1], parts[2]
	switch {
	case os != "linux" && os != e.OS:
		return false
	case arch == "386" && e.Arch == "amd64":
		return true
	case arch != e.Arch:
		return false
	case arch == "arm":
		return e.Variant == "" || generation(variant) <= generation(e.Variant)
	}
	return true
}

// generation is the number of an ARM's variant; without one it is 7, as Docker takes it.
func generation(variant string) int {
	n, err := strconv.Atoi(strings.TrimPrefix(variant, "v"))
	if err != nil {
		return 7
	}
	return n
}

// within tells whether a platform is what is asked for, which may leave the variant out, or the architecture too.
func within(platform, asked string) bool {
	return strings.HasPrefix(platform+"/", asked+"/") || strings.HasPrefix(asked+"/", platform+"/")
}
