package docker

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// compile turns a spec into what the engine is sent. Every name in the spec's secrets needs a value, and no other is taken.
// All problems are reported at once.
func compile(spec state.Spec, labels map[string]string, secrets map[string]release.Secret, api string) (*request, error) {
	r := &request{}
	var problems []error
	used := map[string]release.Secret{}
	for _, name := range slices.Sorted(maps.Keys(spec.Secrets)) {
		value, there := secrets[name]
		if !there {
			problems = append(problems, fmt.Errorf("secret variable %s has no value", name))
		}
		used[name] = value
	}
	r.config.Image = spec.Image
	r.config.Cmd = slices.Clone(spec.Cmd)
	r.config.Env = environment(spec.Env, used)
	r.config.Labels = map[string]string{}
	maps.Copy(r.config.Labels, spec.Labels)
	maps.Copy(r.config.Labels, labels)
	r.config.StopSignal = spec.StopSignal
	if spec.StopGrace > 0 {
		seconds := wholeSeconds(spec.StopGrace)
		r.config.StopTimeout = &seconds
	}
	r.host.Binds = slices.Clone(spec.Volumes)
	r.host.NetworkMode = container.NetworkMode(cmp.Or(spec.Network, network.NetworkDefault)) // an empty one makes a container that cannot start
	r.host.LogConfig = container.LogConfig{Type: spec.LogDriver, Config: maps.Clone(spec.LogOptions)}
	policy, err := restartPolicy(spec.Restart)
	if err != nil {
		problems = append(problems, err)
	}
	r.host.RestartPolicy = policy
	problems = append(problems, r.apply(spec.Options, api)...)
	if r.host.AutoRemove = spec.Passing; spec.Passing && r.config.OpenStdin {
		r.config.AttachStdin, r.config.StdinOnce = true, true // its input ends with ours
	}
	if err := r.checkNetwork(); err != nil {
		problems = append(problems, err)
	}
	return r, errors.Join(problems...)
}

// wholeSeconds rounds up: a shorter grace than asked for could kill what was about to finish.
func wholeSeconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }

// restartPolicy reads no, always, unless-stopped, on-failure[:N]; "" is the engine's default, no.
func restartPolicy(text string) (container.RestartPolicy, error) {
	name, count, counted := strings.Cut(text, ":")
	policy := container.RestartPolicy{Name: container.RestartPolicyMode(name)}
	switch policy.Name {
	case "", container.RestartPolicyDisabled, container.RestartPolicyAlways, container.RestartPolicyUnlessStopped:
		if counted {
			return policy, fmt.Errorf("restart %q: only on-failure takes a count", text)
		}
	case container.RestartPolicyOnFailure:
		if counted {
			n, err := strconv.Atoi(count)
			if err != nil || n < 0 {
				return policy, fmt.Errorf("restart %q: the count must be a whole number", text)
			}
			policy.MaximumRetryCount = n
		}
	default:
		return policy, fmt.Errorf("restart %q is none of no, always, unless-stopped, on-failure[:N]", text)
	}
	return policy, nil
}

// restartText is the policy as it is asked for; "" when it is the engine's default.
func restartText(p container.RestartPolicy) string {
	switch {
	case p.Name == "":
		return string(container.RestartPolicyDisabled)
	case p.Name == container.RestartPolicyOnFailure && p.MaximumRetryCount > 0:
		return fmt.Sprintf("%s:%d", p.Name, p.MaximumRetryCount)
	}
	return string(p.Name)
}
