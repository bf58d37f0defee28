package state

// Manifest is what a registry has under a reference.
type Manifest struct {
	Digest string // sha256:…; of the list, where there is one image for each of several platforms
	// Platforms are os/architecture[/variant] of what it has, in the registry's order; none when it does not say.
	Platforms []string
}

// RegistryFault is why a registry did not give what an engine asked it for; the set is closed.
type RegistryFault string

// The faults of a registry, of the way to it, and of what it gave.
const (
	FaultUnreached   RegistryFault = "unreached"   // it refused the connection, or did not answer
	FaultStalled     RegistryFault = "stalled"     // it began to give, and gives nothing more
	FaultName        RegistryFault = "name"        // its name does not resolve
	FaultCertificate RegistryFault = "certificate" // the engine does not trust its certificate
	FaultPlain       RegistryFault = "plain"       // it speaks HTTP, and the engine does not allow that
	FaultDenied      RegistryFault = "denied"      // it refuses who asks
	FaultLimit       RegistryFault = "limit"       // too much was asked
	FaultRepository  RegistryFault = "repository"  // it has no such repository
	FaultReference   RegistryFault = "reference"   // it has no such tag or digest
	FaultPlatform    RegistryFault = "platform"    // it has nothing for the engine's platform
	FaultDamaged     RegistryFault = "damaged"     // what came is not what its digest says
	FaultRoom        RegistryFault = "room"        // the engine has no room for it
	FaultBroken      RegistryFault = "broken"      // it answered with an error of its own
)

// Passing tells whether the same may succeed a moment later, with nobody doing anything about it.
func (f RegistryFault) Passing() bool {
	return f == FaultUnreached || f == FaultStalled || f == FaultBroken
}

// RegistryError is what an engine said when a registry did not give what it was asked for. It is ErrDenied or ErrNotFound too,
// where those apply.
type RegistryError struct {
	Fault    RegistryFault
	Registry string // its host, with the port; docker.io for Docker Hub
	Err      error
}

// Error implements error.
func (e *RegistryError) Error() string { return e.Err.Error() }

// Unwrap implements errors.Is and errors.As.
func (e *RegistryError) Unwrap() error { return e.Err }
