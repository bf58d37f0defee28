package docker

import (
	"context"
	"errors"
	"path"
	"strings"

	"github.com/distribution/reference"
	"github.com/moby/moby/client"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// Manifest asks the registry what it has under a reference.
func (e *Engine) Manifest(ctx context.Context, ref string, auth release.Auth) (state.Manifest, error) {
	r, err := e.client.DistributionInspect(ctx, ref, client.DistributionInspectOptions{EncodedRegistryAuth: encode(auth)})
	if err != nil {
		return state.Manifest{}, e.registryFailure(err, ref, "ask the registry for %s", ref)
	}
	return state.Manifest{Digest: r.Descriptor.Digest.String(), Platforms: platformsOf(r.Platforms)}, nil
}

// platformsOf leaves out what is no image: the attestations of a build are listed as of the platform unknown/unknown.
func platformsOf(list []ocispec.Platform) []string {
	var platforms []string
	for _, p := range list {
		if p.OS != "" && p.Architecture != "" && p.Architecture != "unknown" {
			platforms = append(platforms, path.Join(p.OS, p.Architecture, p.Variant))
		}
	}
	return platforms
}

// registryFailure is failure for a call that makes the engine ask a registry: one that the registry, or the way to it, is at fault
// for is a state.RegistryError.
func (e *Engine) registryFailure(err error, ref, format string, args ...any) error {
	failed := e.failure(err, format, args...)
	if failed == nil || errors.Is(failed, state.ErrUnreachable) || errors.Is(failed, context.Canceled) {
		return failed
	}
	fault := faultOf(err, failed)
	if fault == "" {
		return failed
	}
	kind := map[state.RegistryFault]error{state.FaultDenied: state.ErrDenied, state.FaultRepository: state.ErrNotFound, state.FaultReference: state.ErrNotFound}[fault]
	if kind != nil && !errors.Is(failed, kind) {
		failed = &ofKind{failed, kind}
	}
	return &state.RegistryError{Fault: fault, Registry: registryOf(ref), Err: failed}
}

// ofKind is an error that is one of state's, too.
type ofKind struct {
	error
	kind error
}

// Unwrap implements errors.Is and errors.As.
func (o *ofKind) Unwrap() []error { return []error{o.error, o.kind} }

// registryOf is the host that a reference is asked for at.
func registryOf(ref string) string {
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		return ""
	}
	return reference.Domain(named)
}

// faultOf finds out what was at fault by the words in which engines pass it on: they give one status for most of it. "" when
// nothing of the registry's was.
func faultOf(err, failed error) state.RegistryFault {
	text := strings.ToLower(err.Error())
	for _, known := range faults {
		for _, words := range known.words {
			if strings.Contains(text, words) {
				return known.fault
			}
		}
	}
	switch {
	case errors.Is(failed, state.ErrDenied):
		return state.FaultDenied
	case errors.Is(failed, state.ErrNotFound):
		return state.FaultReference
	}
	return ""
}

// faults are the words of engines 20.10 and later, with either image store, and of the registries behind them. Their order
// counts: an answer of "denied" may be about a repository that is not there, and a refused connection is quoted with much else.
var faults = []struct {
	fault state.RegistryFault
	words []string
}{
	{state.FaultRoom, []string{"no space left on device"}},
	{state.FaultLimit, []string{"toomanyrequests", "too many requests", "rate limit"}},
	{state.FaultPlain, []string{"server gave http response to https client"}},
	{state.FaultCertificate, []string{"x509:", "tls: failed to verify certificate", "tls: bad certificate", "remote error: tls:"}},
	{state.FaultDamaged, []string{"layer verification failed", "manifest verification failed", "verification failed for digest", "unexpected commit digest",
		"failed size validation", "layers from manifest don't match", "gzip: invalid", "flate: corrupt", "archive/tar: invalid", "invalid tar header"}},
	{state.FaultPlatform, []string{"no matching manifest", "no match for platform in manifest", "cannot be used on this platform"}},
	{state.FaultDenied, []string{"unauthorized", "authentication required", "no basic auth credentials", "pull access denied", "denied:", "403 forbidden",
		"unauthenticated", "authorization token has expired", "incorrect username or password", "insufficient_scope"}},
	{state.FaultRepository, []string{"name unknown", "name_unknown", "repository name not known"}},
	{state.FaultReference, []string{"manifest unknown", "manifest_unknown"}},
	{state.FaultName, []string{"no such host"}}, // what else befalls a lookup may pass
	{state.FaultUnreached, []string{"server misbehaving", "name resolution", "dial tcp: lookup ", "connection refused", "connection reset", "i/o timeout", "client.timeout", "awaiting headers", "handshake timeout",
		"no route to host", "network is unreachable", ": eof", "unexpected eof", "broken pipe", "deadline exceeded", "waiting for connection"}},
	{state.FaultBroken, []string{"unexpected http status: 5", "unexpected status code 5", "unexpected status from", "500 internal server error", "502 bad gateway",
		"503 service unavailable", "504 gateway"}},
}
