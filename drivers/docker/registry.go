package docker

import (
	"context"
	"slices"

	"github.com/moby/moby/client"

	"github.com/kamald/kamald/state"
)

// RegistrySettings says how the engine reaches registries.
func (e *Engine) RegistrySettings(ctx context.Context) (state.RegistrySettings, error) {
	result, err := e.client.Info(ctx, client.InfoOptions{})
	if err != nil {
		return state.RegistrySettings{}, e.failure(err, "engine info")
	}
	info := result.Info
	settings := state.RegistrySettings{HTTPProxy: info.HTTPProxy, HTTPSProxy: info.HTTPSProxy, NoProxy: info.NoProxy}
	if info.RegistryConfig == nil {
		return settings, nil
	}
	for _, prefix := range info.RegistryConfig.InsecureRegistryCIDRs {
		settings.InsecureNets = append(settings.InsecureNets, prefix.String())
	}
	for name, index := range info.RegistryConfig.IndexConfigs {
		if index != nil && !index.Secure {
			settings.Insecure = append(settings.Insecure, name)
		}
	}
	slices.Sort(settings.Insecure)
	return settings, nil
}
