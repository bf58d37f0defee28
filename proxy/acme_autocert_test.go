package proxy

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"
)

func TestWhatKamalProxyObtainedServesUntilThereIsACertificateOfOurOwn(t *testing.T) {
	dir := t.TempDir()
	put := func(directory, host string, end time.Time) {
		t.Helper()
		cert, key, _ := certificateUntil(t, end, host)
		var both []byte
		for _, path := range []string{key, cert} {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			both = append(both, data...)
		}
		digest := sha256.Sum256([]byte(directory))
		at := filepath.Join(dir, hex.EncodeToString(digest[:]))
		if err := os.MkdirAll(at, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(at, host), both, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	soon := time.Now().Add(time.Hour)
	put("", "app.test", soon)
	put(certmagic.LetsEncryptStagingCA, "staging.test", soon)
	put("", "old.test", time.Now().Add(-time.Hour))

	production := authorityKey{certmagic.LetsEncryptProductionCA, dir}
	staging := authorityKey{certmagic.LetsEncryptStagingCA, dir}
	if p := readStored(production, "app.test"); p == nil || p.Leaf.DNSNames[0] != "app.test" {
		t.Error("kamal-proxy's certificate is not found")
	}
	if readStored(staging, "staging.test") == nil {
		t.Error("kamal-proxy's certificate of the staging environment is not found")
	}
	for name, p := range map[string]*tls.Certificate{
		"of the staging environment in production": readStored(production, "staging.test"),
		"of production in the staging environment": readStored(staging, "app.test"),
		"that has expired":                         readStored(production, "old.test"),
		"of nobody":                                readStored(production, "other.test"),
	} {
		if p != nil {
			t.Errorf("a certificate %s is served", name)
		}
	}
}
