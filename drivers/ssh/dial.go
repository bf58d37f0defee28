package ssh

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"

	"github.com/cenkalti/backoff/v5"
	"golang.org/x/crypto/ssh"

	"github.com/kamald/kamald/release"
)

// maxResets is how often a connection that sshd drops in the handshake is made again.
const maxResets = 5

// dialer makes one SSH connection after another until it stands or the reason will not go away.
type dialer struct {
	options Options
	ssh     release.SSH
	configs configs
	bytes   *counters
}

// wire is a standing SSH connection with the raw connection that it runs on.
type wire struct {
	*ssh.Client
	raw *heardConn
}

// opener makes the raw connection.
type opener func(ctx context.Context) (net.Conn, error)

// connect dials and authenticates, with retries on failing names and dropped handshakes.
func (d *dialer) connect(ctx context.Context, t target, open opener) (*wire, error) {
	policy := backoff.NewExponentialBackOff()
	policy.InitialInterval, policy.Multiplier, policy.RandomizationFactor = d.options.Pause, 2, 0.5
	names, resets := d.ssh.DNSRetries, maxResets
	var last *Error
	w, err := backoff.Retry(ctx, func() (*wire, error) {
		w, failed := d.attempt(ctx, t, open)
		if failed == nil {
			return w, nil
		}
		last = failed
		switch {
		case failed.Stage == StageResolve && names > 0:
			names--
			return nil, failed
		case (failed.Stage == StageShake || failed.Stage == StageDial) && dropped(failed) && resets > 0:
			resets--
			return nil, failed
		}
		return nil, backoff.Permanent(failed)
	}, backoff.WithBackOff(policy))
	if err == nil {
		return w, nil
	}
	var failed *Error
	switch {
	case errors.As(err, &failed):
		return nil, failed
	case last != nil: // cancelled in a pause: why it was retried is worth more than "cancelled"
		return nil, &Error{Host: t.label, Stage: last.Stage, Err: fmt.Errorf("%w, while retrying after: %w", err, last.Err)}
	}
	return nil, &Error{Host: t.label, Stage: StageDial, Err: err}
}

// attempt makes one connection; with a pinned key, one for each type of key until the pinned one is shown.
func (d *dialer) attempt(ctx context.Context, t target, open opener) (*wire, *Error) {
	done, err := d.options.Limiter.acquire(ctx)
	if err != nil {
		return nil, &Error{Host: t.label, Stage: StageDial, Err: fmt.Errorf("waiting for other dials: %w", err)}
	}
	defer done()
	ctx, cancel := context.WithTimeoutCause(ctx, d.options.Timeout, silentError(d.options.Timeout))
	defer cancel()
	keys, err := newHostKeys(d.options, t, d.ssh.KnownHosts, d.ssh.AcceptNew)
	if err != nil {
		return nil, &Error{Host: t.label, Stage: StageHostKey, Err: err}
	}
	var failed *Error
	for _, algorithms := range keys.rounds() {
		var w *wire
		if w, failed = d.once(ctx, t, open, keys, algorithms); failed == nil {
			return w, nil
		}
		if failed.Stage != StageHostKey {
			break
		}
	}
	return nil, failed
}

func (d *dialer) once(ctx context.Context, t target, open opener, keys *hostKeys, algorithms []string) (*wire, *Error) {
	opened, err := open(ctx)
	if err != nil {
		return nil, openFailure(ctx, t, err)
	}
	raw := &heardConn{Conn: opened}
	ring := loadKeys(ctx, d.options, d.ssh, t)
	defer ring.Close()
	keys.refused = nil
	config := &ssh.ClientConfig{
		User:              t.user,
		Auth:              []ssh.AuthMethod{ring.method()},
		HostKeyCallback:   keys.check,
		HostKeyAlgorithms: algorithms,
		ClientVersion:     "SSH-2.0-kamald",
	}
	stop := context.AfterFunc(ctx, func() { raw.Close() })
	conn, channels, requests, err := ssh.NewClientConn(raw, t.address(), config)
	if !stop() && err == nil {
		conn.Close() // the context ended just as the connection stood: raw is closed
		err = context.Cause(ctx)
	}
	if err != nil {
		raw.Close()
		return nil, shakeFailure(ctx, t, keys, ring, err)
	}
	return &wire{Client: ssh.NewClient(conn, channels, requests), raw: raw}, nil
}

// openFailure tells a name that does not resolve from an address that does not answer.
func openFailure(ctx context.Context, t target, err error) *Error {
	var already *Error
	if errors.As(err, &already) {
		return already
	}
	stage := StageDial
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns):
		stage, err = StageResolve, dns // it names the host
	case ctx.Err() != nil:
		err = fmt.Errorf("%s: %w", t.address(), context.Cause(ctx))
	default:
		err = fmt.Errorf("%s: %w", t.address(), bare(t, err))
	}
	return &Error{Host: t.label, Stage: stage, Err: err}
}

// bare is why a dial failed without what is said of it already; of the address there stays what a name came to.
func bare(t target, err error) error {
	var op *net.OpError
	if !errors.As(err, &op) || op.Op != "dial" {
		return err
	}
	reason := op.Err
	var call *os.SyscallError
	if errors.As(reason, &call) {
		reason = call.Err
	}
	if op.Addr != nil && op.Addr.String() != t.address() {
		return fmt.Errorf("%w (%s)", reason, op.Addr)
	}
	return reason
}

func shakeFailure(ctx context.Context, t target, keys *hostKeys, ring *keyring, err error) *Error {
	var negotiation *ssh.AlgorithmNegotiationError
	text := err.Error()
	switch {
	case keys.refused != nil:
		return &Error{Host: t.label, Stage: StageHostKey, Err: keys.refused}
	case ctx.Err() != nil:
		return &Error{Host: t.label, Stage: StageShake, Err: fmt.Errorf("%s: %w", t.address(), context.Cause(ctx))}
	case errors.As(err, &negotiation) && strings.Contains(text, "host key"):
		return &Error{Host: t.label, Stage: StageHostKey, Err: keys.noCommonKey(err)}
	case strings.Contains(text, "unable to authenticate"), strings.Contains(text, "Too many authentication failures"):
		return &Error{Host: t.label, Stage: StageAuth, Err: fmt.Errorf("%s@%s %s (%w)", t.user, t.address(), ring.tried(), err)}
	}
	return &Error{Host: t.label, Stage: StageShake, Err: fmt.Errorf("%s: %w", t.address(), err)}
}

// dropped tells whether sshd closed the connection in the handshake, as it does beyond MaxStartups.
func dropped(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}
