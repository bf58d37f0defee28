package build

import "context"

// Look says what this machine builds with: the docker command's version, the engine's, and whether buildx is there. The error is for
// what is missing, with what to do about it; failed is why no engine answers, which a builder elsewhere may do without.
func Look(ctx context.Context) (client, server string, buildx bool, failed, err error) {
	t, err := look(ctx)
	return t.client, t.server, t.buildx, t.failed, err
}
