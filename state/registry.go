package state

// RegistrySettings is how a host's engine reaches image registries.
type RegistrySettings struct {
	// Insecure are registries (host or host:port) that may be asked without TLS, or with a certificate that nobody vouches for;
	// InsecureNets are networks (CIDR) whose addresses may.
	Insecure, InsecureNets []string
	// The engine's own HTTP proxies, "" for none.
	HTTPProxy, HTTPSProxy, NoProxy string
}
