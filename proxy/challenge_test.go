package proxy

import (
	"net/http"
	"testing"
)

func TestOnlyTheNameOfAChallengeIsLeftAtHTTP(t *testing.T) {
	f := startProxy(t)
	cert, key, _ := certificateFiles(t, "app.test")
	f.deploy(ownCertificate("app", backend(t, says("v1")), cert, key, "app.test"))
	f.expect("app.test", challengePath+"a-token_1", http.StatusOK, "v1")
	for _, path := range []string{challengePath + "../../account", challengePath + "%2e%2e/account", challengePath + "a/b", challengePath + ".."} {
		f.expect("app.test", path, http.StatusMovedPermanently, "")
	}
}
