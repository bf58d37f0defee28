package docker

import (
	"maps"
	"slices"
	"strings"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// environment is the engine's form of clear variables and the secrets' values.
func environment(clear map[string]string, secrets map[string]release.Secret) []string {
	var env []string
	for _, name := range slices.Sorted(maps.Keys(clear)) {
		env = append(env, name+"="+clear[name])
	}
	for _, name := range slices.Sorted(maps.Keys(secrets)) {
		env = append(env, name+"="+secrets[name].Reveal())
	}
	return env
}

// redact splits a container's variables into those that may be known and digests of the others. What was created as a secret
// stays one, whatever the desired release says of the name today. A name without a value, as docker's client sends for an empty
// one, sets nothing and is left out.
func redact(env []string, asked *state.Spec, v state.View) (clear, secrets map[string]string) {
	for _, entry := range env {
		name, value, set := strings.Cut(entry, "=")
		if !set {
			continue
		}
		open := v.Clear[name]
		if asked != nil {
			_, isClear := asked.Env[name]
			_, isSecret := asked.Secrets[name]
			open = (open || isClear) && !isSecret
		}
		if open {
			clear = with(clear, name, value)
		} else {
			secrets = with(secrets, name, state.SecretDigest(v.Key, value))
		}
	}
	return clear, secrets
}

// imageEnv is an image's environment, which is no secret.
func imageEnv(env []string) map[string]string {
	var all map[string]string
	for _, entry := range env {
		name, value, _ := strings.Cut(entry, "=")
		all = with(all, name, value)
	}
	return all
}

// with adds to a map that is nil as long as it is empty.
func with(m map[string]string, key, value string) map[string]string {
	if m == nil {
		m = map[string]string{}
	}
	m[key] = value
	return m
}
