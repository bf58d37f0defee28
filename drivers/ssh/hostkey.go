package ssh

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/skeema/knownhosts"
	"golang.org/x/crypto/ssh"
	xknownhosts "golang.org/x/crypto/ssh/knownhosts"
)

// ErrHostKey marks a host key that was refused: unknown, changed, revoked, or not the pinned one.
var ErrHostKey = errors.New("host key refused")

// appending keeps the lines of connections that are made at once apart.
var appending sync.Mutex

// anywhere stands for the peer's address: known_hosts is asked by name alone, since behind a jump host there is no address.
var anywhere = &net.TCPAddr{IP: net.IPv4zero}

// hostKeys decides on the key that one sshd shows.
type hostKeys struct {
	t         target
	files     []string
	acceptNew bool
	db        *knownhosts.HostKeyDB // nil when no file is there
	seen      []string              // keys shown that were not the pinned one
	refused   error                 // the last decision against a key
}

func newHostKeys(o Options, t target, files []string, acceptNew bool) (*hostKeys, error) {
	k := &hostKeys{t: t, acceptNew: acceptNew}
	var there []string
	for _, file := range files {
		k.files = append(k.files, o.path(file))
		if _, err := os.Stat(o.path(file)); err == nil {
			there = append(there, o.path(file))
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("cannot read known hosts: %w", err)
		}
	}
	if len(there) == 0 {
		return k, nil
	}
	db, err := knownhosts.NewDB(there...)
	if err != nil {
		return nil, fmt.Errorf("cannot read known hosts: %w", err)
	}
	k.db = db
	return k, nil
}

// keyTypes are the algorithms in the order of preference, by type of key. For a pinned key they are tried one type after the
// other: a pin says nothing of the type, and sshd shows one key at a time.
var keyTypes = [][]string{
	{ssh.KeyAlgoED25519},
	{ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521},
	{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256},
}

// rounds are the lists of host key algorithms to try in turn.
func (k *hostKeys) rounds() [][]string {
	if k.t.pin != "" {
		return keyTypes
	}
	if k.db != nil {
		if known := k.db.HostKeyAlgorithms(k.t.address()); len(known) > 0 {
			return [][]string{known}
		}
	}
	return [][]string{slices.Concat(keyTypes...)}
}

// check is the callback of the handshake.
func (k *hostKeys) check(_ string, _ net.Addr, key ssh.PublicKey) error {
	k.refused = k.decide(key)
	return k.refused
}

func (k *hostKeys) decide(key ssh.PublicKey) error {
	shown := key.Type() + " " + ssh.FingerprintSHA256(key)
	if k.t.pin != "" {
		if ssh.FingerprintSHA256(key) == k.t.pin {
			return nil
		}
		k.seen = append(k.seen, shown)
		return k.notPinned()
	}
	err := error(&xknownhosts.KeyError{})
	if k.db != nil {
		err = k.db.HostKeyCallback()(k.t.address(), anywhere, key)
	}
	var keyErr *xknownhosts.KeyError
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &keyErr):
		return fmt.Errorf("%w: %s shows %s: %w", ErrHostKey, k.t.address(), shown, err)
	case len(keyErr.Want) > 0:
		return k.changed(shown, keyErr.Want)
	case k.acceptNew:
		return k.accept(key)
	}
	return k.unknown(shown)
}

func (k *hostKeys) notPinned() error {
	return fmt.Errorf("%w: %s shows %s, and the host block of deploy.hcl pins %s. If the host was set up anew, compare the fingerprint on its console (ssh-keygen -lf /etc/ssh/ssh_host_<type>_key.pub) and correct host_key there",
		ErrHostKey, k.t.address(), strings.Join(k.seen, ", "), k.t.pin)
}

func (k *hostKeys) unknown(shown string) error {
	algorithm, print, _ := strings.Cut(shown, " ")
	keyType, _, _ := strings.Cut(strings.TrimPrefix(algorithm, "ssh-"), "-")
	return fmt.Errorf("%w: the key of %s is unknown: it shows %s, and %s has no line for it. Compare the fingerprint on the host's console (ssh-keygen -lf /etc/ssh/ssh_host_%s_key.pub); if it is the same, accept it with:\n  %s\nor write into its host block:\n  host_key = %q\nTo take the first key of every new host unseen, write into the ssh block:\n  host_keys = \"accept-new\"",
		ErrHostKey, k.t.address(), shown, k.fileNames(), keyType, k.scan(), print)
}

func (k *hostKeys) changed(shown string, want []xknownhosts.KnownKey) error {
	var known []string
	for _, w := range want {
		known = append(known, fmt.Sprintf("%s %s (%s:%d)", w.Key.Type(), ssh.FingerprintSHA256(w.Key), w.Filename, w.Line))
	}
	return fmt.Errorf("%w: the key of %s has CHANGED: it shows %s, known is %s. Somebody may be in between, or the host was set up anew. Only if you know that it was: compare the fingerprint on its console, then\n  ssh-keygen -f %s -R %s\n  %s",
		ErrHostKey, k.t.address(), shown, strings.Join(known, ", "), want[0].Filename, k.entry(), k.scan())
}

// noCommonKey turns a handshake without a common host key type into words: sshd lost the key types that are known.
func (k *hostKeys) noCommonKey(err error) error {
	if k.t.pin != "" {
		if len(k.seen) == 0 {
			k.seen = []string{"no key of a type that is tried (ed25519, ecdsa, rsa)"}
		}
		return k.notPinned()
	}
	var known []string
	if k.db != nil {
		for _, key := range k.db.HostKeys(k.t.address()) {
			known = append(known, key.Type()+" "+ssh.FingerprintSHA256(key))
		}
	}
	return fmt.Errorf("%w: the key of %s has CHANGED: it has no key of a known type any more (%w); known is %s in %s. Only if you know that the host was set up anew:\n  ssh-keygen -f %s -R %s\n  %s",
		ErrHostKey, k.t.address(), err, strings.Join(known, ", "), k.fileNames(), k.files[0], k.entry(), k.scan())
}

// accept appends the key of a host that was never seen.
func (k *hostKeys) accept(key ssh.PublicKey) error {
	if len(k.files) == 0 {
		return fmt.Errorf("%w: host_keys is \"accept-new\" and there is no known_hosts file to write to", ErrHostKey)
	}
	appending.Lock()
	defer appending.Unlock()
	if err := os.MkdirAll(filepath.Dir(k.files[0]), 0o700); err != nil {
		return fmt.Errorf("cannot remember the new host key: %w", err)
	}
	file, err := os.OpenFile(k.files[0], os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("cannot remember the new host key: %w", err)
	}
	defer file.Close()
	line := xknownhosts.Line([]string{k.t.address()}, key) + "\n"
	if info, err := file.Stat(); err == nil && info.Size() > 0 {
		last := make([]byte, 1)
		if _, err := file.ReadAt(last, info.Size()-1); err == nil && last[0] != '\n' {
			line = "\n" + line
		}
	}
	if _, err := file.WriteString(line); err != nil {
		return fmt.Errorf("cannot remember the new host key: %w", err)
	}
	return nil
}

// entry is how known_hosts writes the host: host, or '[host]:port'.
func (k *hostKeys) entry() string {
	if k.t.port == 22 {
		return k.t.host
	}
	return "'" + xknownhosts.Normalize(k.t.address()) + "'"
}

func (k *hostKeys) scan() string {
	file := "~/.ssh/known_hosts"
	if len(k.files) > 0 {
		file = k.files[0]
	}
	return fmt.Sprintf("ssh-keyscan -p %d %s >> %s", k.t.port, k.t.host, file)
}

func (k *hostKeys) fileNames() string {
	if len(k.files) == 0 {
		return "known_hosts (no file is named)"
	}
	return strings.Join(k.files, " or ")
}
