package lab

import (
	"bytes"
	"crypto/ed25519"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/crypto/ssh"
)

// hostKeyDir holds the hosts' private keys, so that a host made again keeps its key.
const hostKeyDir = "hostkeys"

// writeKeys makes the client key, a key for each host, and the known_hosts file.
func writeKeys(l *Lab) error {
	if err := os.MkdirAll(filepath.Join(l.Dir, hostKeyDir), 0o700); err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	public, err := writeKey(l.KeyFile, "kamald-lab")
	if err != nil {
		return err
	}
	if err := writeFile(l.KeyFile+".pub", ssh.MarshalAuthorizedKey(public), 0o644); err != nil {
		return err
	}
	var known bytes.Buffer
	for _, host := range l.Hosts {
		public, err := writeKey(filepath.Join(l.Dir, hostKeyDir, host.Name), host.Container)
		if err != nil {
			return err
		}
		fmt.Fprintf(&known, "%s %s", host.Address, ssh.MarshalAuthorizedKey(public))
	}
	return writeFile(l.KnownHosts, known.Bytes(), 0o644)
}

func writeKey(path, comment string) (ssh.PublicKey, error) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, fmt.Errorf("lab: make a key: %w", err)
	}
	block, err := ssh.MarshalPrivateKey(private, comment)
	if err != nil {
		return nil, fmt.Errorf("lab: make a key: %w", err)
	}
	if err := writeFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
		return nil, err
	}
	return ssh.NewPublicKey(public)
}
