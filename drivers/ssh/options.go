package ssh

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/kamald/kamald/release"
)

// Options is what every connection of one program shares; the release's host block says the rest. The zero value works.
type Options struct {
	// KeyData are private keys (PEM), the values of ssh.key_data.
	KeyData []release.Secret
	// Agent is the agent's socket; "" takes SSH_AUTH_SOCK.
	Agent string
	// Home is what ~ means; "" takes the user's home directory.
	Home string
	// Limiter holds back dials beyond a number at once; nil holds back none.
	Limiter *Limiter
	// Timeout is for one attempt: dial, key exchange and authentication. 0 is 15 s.
	Timeout time.Duration
	// Pause is the first pause before a retry, doubled for each further one and jittered. 0 is 100 ms.
	Pause time.Duration
}

// Limiter bounds how many connections are being made at once: sshd drops new ones beyond its MaxStartups, 10 by default.
type Limiter struct{ slots chan struct{} }

// NewLimiter allows n dials at once; less than 1 allows 1.
func NewLimiter(n int) *Limiter { return &Limiter{slots: make(chan struct{}, max(1, n))} }

func (l *Limiter) acquire(ctx context.Context) (release func(), err error) {
	if l == nil {
		return func() {}, nil
	}
	select {
	case l.slots <- struct{}{}:
		return func() { <-l.slots }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (o Options) withDefaults() Options {
	if o.Agent == "" {
		o.Agent = os.Getenv("SSH_AUTH_SOCK")
	}
	if o.Home == "" {
		o.Home, _ = os.UserHomeDir() // without one, ~ stays as it is and the file is not found: that error names it
	}
	if o.Timeout <= 0 {
		o.Timeout = 15 * time.Second
	}
	if o.Pause <= 0 {
		o.Pause = 100 * time.Millisecond
	}
	return o
}

// path makes ~ and relative file names absolute.
func (o Options) path(name string) string {
	if rest, ok := strings.CutPrefix(name, "~/"); ok && o.Home != "" {
		return filepath.Join(o.Home, rest)
	}
	return name
}
