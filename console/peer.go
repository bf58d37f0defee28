package console

import (
	"context"
	"net"
	"os/user"
	"slices"
	"strconv"
)

// Owner is the account that the daemon runs as: who has it, or root, is admin on the socket; who is in its group may read.
type Owner struct{ UID, GID int }

// peer is the process at the other end of the socket, as the kernel knows it.
type peer struct {
	uid  int
	gids []int // its own group and those it is in
}

type peerKey struct{}

// peerOf gives what ConnContext has noted.
func peerOf(ctx context.Context) (peer, bool) {
	p, ok := ctx.Value(peerKey{}).(peer)
	return p, ok
}

// connContext notes who is at the other end of a connection of the socket. Where the kernel does not say, nobody is.
func connContext(ctx context.Context, conn net.Conn) context.Context {
	if p, err := peerOn(conn); err == nil {
		return context.WithValue(ctx, peerKey{}, p)
	}
	return ctx
}

// principal is what the peer may do; nobody when neither its user nor a group of it is known here.
func (o Owner) principal(p peer, machine string) Principal {
	who := Principal{Name: "user " + strconv.Itoa(p.uid), Where: machine}
	if u, err := user.LookupId(strconv.Itoa(p.uid)); err == nil {
		who.Name = u.Username
	}
	switch {
	case p.uid == 0 || p.uid == o.UID:
		who.Role = RoleAdmin
	case slices.Contains(p.gids, o.GID):
		who.Role = RoleRead
	}
	return who
}
