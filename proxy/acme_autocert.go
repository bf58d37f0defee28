package proxy

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"os"
	"path/filepath"
	"time"

	"github.com/caddyserver/certmagic"
)

// readAutocert returns what kamal-proxy, of whose volume this may be, has obtained for a host: it serves until there is one of
// our own. kamal-proxy keeps key and chain in one file, in a directory named by the digest of the ACME directory's URL, which
// is empty for Let's Encrypt.
func readAutocert(key authorityKey, host string) *tls.Certificate {
	directories := []string{key.directory}
	if key.directory == certmagic.LetsEncryptProductionCA {
		directories = append(directories, "")
	}
	for _, directory := range directories {
		digest := sha256.Sum256([]byte(directory))
		for _, name := range []string{host, host + "+rsa"} {
			path := filepath.Join(key.storage, hex.EncodeToString(digest[:]), name)
			if _, err := os.Stat(path); err != nil {
				continue
			}
			if pair, err := readPair(path, path); err == nil && time.Now().Before(pair.Leaf.NotAfter) {
				return pair
			}
		}
	}
	return nil
}
