package ssh

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/kamald/kamald/release"
)

// usualKeys are the key files that ssh itself looks for.
var usualKeys = []string{"~/.ssh/id_ed25519", "~/.ssh/id_ecdsa", "~/.ssh/id_rsa"}

// keyring is what can be offered to one sshd, in the order in which it is offered, and why other keys cannot be.
type keyring struct {
	signers []ssh.Signer
	origins []string
	notes   []string
	agent   net.Conn
	unwatch func() bool
}

// loadKeys collects keys: those named in deploy.hcl or ssh_config first, then the agent's, then the usual files where none
// are named. With keys_only the agent is used only for keys that are named (an encrypted file, whose public half is known).
func loadKeys(ctx context.Context, o Options, s release.SSH, t target) *keyring {
	k := &keyring{}
	agentSigners := k.openAgent(ctx, o)
	for i, data := range o.KeyData {
		origin := fmt.Sprintf("ssh.key_data[%d]", i)
		signer, err := ssh.ParsePrivateKey([]byte(data.Reveal()))
		if err != nil {
			k.unusable(origin, err, agentSigners)
			continue
		}
		k.add(signer, origin)
	}
	named := s.Keys
	if len(named) == 0 {
		named = t.identity
	}
	for _, file := range named {
		k.addFile(o, file, agentSigners, true)
	}
	if s.KeysOnly {
		return k
	}
	for _, signer := range agentSigners {
		k.add(signer, "agent")
	}
	if len(named) == 0 && len(o.KeyData) == 0 {
		for _, file := range usualKeys {
			k.addFile(o, file, agentSigners, false)
		}
	}
	return k
}

// Close ends the talk with the agent.
func (k *keyring) Close() {
	if k.agent != nil {
		k.unwatch()
		k.agent.Close()
	}
}

// method is the authentication method that offers the keys.
func (k *keyring) method() ssh.AuthMethod {
	return ssh.PublicKeysCallback(func() ([]ssh.Signer, error) { return k.signers, nil })
}

// tried says which keys were offered, for the error.
func (k *keyring) tried() string {
	var b strings.Builder
	if len(k.signers) == 0 {
		b.WriteString("no key to offer")
	} else {
		b.WriteString("refused the keys")
	}
	for i, signer := range k.signers {
		sep := ","
		if i == 0 {
			sep = ""
		}
		fmt.Fprintf(&b, "%s %s (%s)", sep, ssh.FingerprintSHA256(signer.PublicKey()), k.origins[i])
	}
	for _, note := range k.notes {
		b.WriteString("; " + note)
	}
	return b.String()
}

// openAgent lists the agent's keys. An agent may wait for a finger on a token, so its connection ends with ctx.
func (k *keyring) openAgent(ctx context.Context, o Options) []ssh.Signer {
	if o.Agent == "" {
		k.notes = append(k.notes, "no agent (SSH_AUTH_SOCK is not set)")
		return nil
	}
	conn, err := net.Dial("unix", o.Agent)
	if err != nil {
		k.notes = append(k.notes, fmt.Sprintf("the agent does not answer: %v", err))
		return nil
	}
	unwatch := context.AfterFunc(ctx, func() { conn.Close() })
	signers, err := agent.NewClient(conn).Signers()
	if err != nil {
		unwatch()
		conn.Close()
		k.notes = append(k.notes, fmt.Sprintf("the agent gives no keys: %v", err))
		return nil
	}
	if len(signers) == 0 {
		k.notes = append(k.notes, "the agent has no keys")
	}
	k.agent, k.unwatch = conn, unwatch
	return signers
}

func (k *keyring) addFile(o Options, file string, agentSigners []ssh.Signer, named bool) {
	data, err := os.ReadFile(o.path(file))
	if err != nil {
		if named || !errors.Is(err, fs.ErrNotExist) {
			k.notes = append(k.notes, fmt.Sprintf("cannot read %s: %v", file, errors.Unwrap(err)))
		}
		return
	}
	signer, err := ssh.ParsePrivateKey(data)
	if err != nil {
		k.unusable(file, err, agentSigners)
		return
	}
	k.add(signer, file)
}

// unusable notes a key that cannot be used as it is; an encrypted one is, when the agent holds it.
func (k *keyring) unusable(origin string, err error, agentSigners []ssh.Signer) {
	var locked *ssh.PassphraseMissingError
	if !errors.As(err, &locked) {
		k.notes = append(k.notes, fmt.Sprintf("%s is no private key that can be read: %v", origin, err))
		return
	}
	if locked.PublicKey != nil {
		for _, signer := range agentSigners {
			if bytes.Equal(signer.PublicKey().Marshal(), locked.PublicKey.Marshal()) {
				k.add(signer, origin+", by the agent")
				return
			}
		}
	}
	k.notes = append(k.notes, fmt.Sprintf("%s is encrypted with a passphrase: put it into the agent first (ssh-add %s)", origin, origin))
}

func (k *keyring) add(signer ssh.Signer, origin string) {
	for _, known := range k.signers {
		if bytes.Equal(known.PublicKey().Marshal(), signer.PublicKey().Marshal()) {
			return
		}
	}
	k.signers = append(k.signers, signer)
	k.origins = append(k.origins, origin)
}
