package state

import "testing"

func TestASecretsDigestIsItsKeyedHashCutTo32Digits(t *testing.T) {
	// RFC 4231, test case 2.
	if got := SecretDigest([]byte("Jefe"), "what do ya want for nothing?"); got != "5bdcc146bf60754e6a042426089575c7" {
		t.Errorf("got %s", got)
	}
	if got := SecretDigest(nil, "value"); got != "" {
		t.Errorf("without a key: %q", got)
	}
	if SecretDigest([]byte("k"), "a") == SecretDigest([]byte("l"), "a") {
		t.Error("another key gives the same digest")
	}
}
