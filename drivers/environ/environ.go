// Package environ reads the environment that a host gives to its user: what /etc/environment, PAM and sshd set for a command.
package environ

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
)

// limit is how much environment is read, in bytes.
const limit = 4 << 20

// Session runs a command on the host; its stdout is what is read from the connection.
type Session func(ctx context.Context, argv []string) (net.Conn, error)

// Remote asks a host by a command in a session of its own: there is no other way to see what a session is given.
type Remote struct{ session Session }

// NewRemote asks through a session.
func NewRemote(session Session) Remote { return Remote{session} }

// Variables gives those of the named variables that the host sets for its user; all others are dropped unseen. The host needs
// an `env` that knows -0, as coreutils' and busybox' do.
func (r Remote) Variables(ctx context.Context, names []string) (map[string]string, error) {
	conn, err := r.session(ctx, []string{"env", "-0"})
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	all, err := io.ReadAll(io.LimitReader(conn, limit))
	if err != nil {
		return nil, fmt.Errorf("read the environment: %w", err)
	}
	if len(all) == limit {
		return nil, fmt.Errorf("read the environment: it has more than %d bytes", limit)
	}
	return among(strings.Split(string(all), "\x00"), names), nil
}

// Local is this process's own environment.
type Local struct{}

// Variables gives those of the named variables that are set.
func (Local) Variables(_ context.Context, names []string) (map[string]string, error) {
	return among(os.Environ(), names), nil
}

func among(environment, names []string) map[string]string {
	found := map[string]string{}
	for _, entry := range environment {
		name, value, ok := strings.Cut(entry, "=")
		if ok && slices.Contains(names, name) {
			found[name] = value
		}
	}
	return found
}
