package etcd

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// ErrAway: the cluster did not answer in time, or has no leader of its own. Test with errors.Is.
var ErrAway = errors.New("etcd does not answer")

var (
	errClosed = errors.New("the store is closed")
	errMoved  = errors.New("what was read has been replaced meanwhile") // begin anew
	errUser   = errors.New("the password may have been changed")        // ask again by another client
)

// settled marks an error that says already where, why and what next, and that no further attempt overcomes.
type settled struct{ error }

func (e *settled) Unwrap() error { return e.error }

// passing tells whether another attempt may do better.
func passing(err error) bool {
	var done *settled
	switch {
	case errors.As(err, &done), errors.Is(err, errClosed), errors.Is(err, context.Canceled):
		return false
	case errors.Is(err, errMoved), errors.Is(err, errUser), errors.Is(err, context.DeadlineExceeded):
		return true
	}
	switch codeOf(err) {
	case codes.Unavailable, codes.DeadlineExceeded, codes.Aborted:
		return true
	case codes.Canceled: // nobody here has: the client was closed meanwhile, see outdated
		return true
	}
	return is(err, rpctypes.ErrGRPCRequestTooManyRequests, rpctypes.ErrGRPCLeaderChanged, rpctypes.ErrGRPCInvalidAuthToken, rpctypes.ErrGRPCAuthOldRevision)
}

// away tells whether an error is about the way to the cluster or its quorum, and not about what was asked.
func away(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || codeOf(err) == codes.Unavailable || codeOf(err) == codes.DeadlineExceeded
}

// explain says where it went wrong, why, and what to do about it.
func (s *core) explain(err error) error {
	var done *settled
	if err == nil || errors.As(err, &done) {
		return err
	}
	say := func(why, next string) error {
		return &settled{fmt.Errorf("the store in %s: %s: %w\n  next: %s", s.name(), why, err, next)}
	}
	text := err.Error()
	switch {
	case errors.Is(err, errClosed):
		return &settled{s.misuse("%w", err)}
	case is(err, rpctypes.ErrGRPCNoSpace):
		return say("there is no room, and nothing was written", "compact and defragment it, or raise its --quota-backend-bytes, then `etcdctl alarm disarm`")
	case is(err, rpctypes.ErrGRPCAuthFailed, rpctypes.ErrGRPCUserEmpty, rpctypes.ErrGRPCUserNotFound, rpctypes.ErrGRPCInvalidAuthToken):
		return say("it does not take "+s.user(), "see store.username and its password in kamald.hcl, and `etcdctl user list`")
	case is(err, rpctypes.ErrGRPCAuthNotEnabled):
		return say("it has no users", "take username and password out of the store block, or `etcdctl auth enable`")
	case is(err, rpctypes.ErrGRPCPermissionDenied):
		return say(s.user()+" may not do that", "grant it what is under "+prefix+": `etcdctl role grant-permission ROLE --prefix=true readwrite "+prefix+"`")
	case is(err, rpctypes.ErrGRPCRequestTooLarge):
		return say("it takes no request as large as this", "leave etcd's --max-request-bytes at its default or above")
	case away(err) && (strings.Contains(text, "x509:") || strings.Contains(text, "tls:")):
		err = fmt.Errorf("%w: %w", ErrAway, err)
		return say("no secure connection can be made", "see ca, certificate and key in the store block, and that the endpoints are names or addresses in the members' certificates")
	case away(err):
		err = fmt.Errorf("%w: %w", ErrAway, err)
		return say("no member with a leader answered", "`etcdctl endpoint status --cluster` on one of them says which are up; most of them must be")
	}
	return &settled{s.misuse("%w", err)}
}

func (s *core) user() string {
	if s.config.Username == "" {
		return "whoever has no user"
	}
	return "the user " + s.config.Username
}

// codeOf is the code of an error of the client or of the connection below it.
func codeOf(err error) codes.Code {
	var known rpctypes.EtcdError
	if errors.As(err, &known) {
		return known.Code()
	}
	return status.Code(err)
}

// is compares by text: the same error comes as the server's or the client's type.
func is(err error, targets ...error) bool {
	if err == nil {
		return false
	}
	for _, target := range targets {
		if s, ok := status.FromError(target); ok && strings.Contains(err.Error(), s.Message()) {
			return true
		}
	}
	return false
}
