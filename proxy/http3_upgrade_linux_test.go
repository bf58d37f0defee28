package proxy

import (
	"fmt"
	"io"
	"testing"
)

func TestAfterAnUpgradeHTTP3ClientsComeBackToTheNewProgram(t *testing.T) {
	p := install(t)
	if code := p.stop(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	p.flags = []string{"--http3", "--https-port", "0"} // one number for TCP and UDP
	p.start()
	cert, key, roots := certificateFiles(t, "app.test")
	p.do("deploy", "app", "--target", backend(t, says("v1")), "--host", "app.test", "--tls", "--tls-certificate-path", cert, "--tls-private-key-path", key)
	client := http3ClientAt(t, fmt.Sprintf("127.0.0.1:%d", p.httpsPort), roots)
	for i := range 3 {
		// A request that is on its way when the old program ends its connections is lost.
		eventually(t, fmt.Sprintf("HTTP/3 is served after %d upgrades", i), func() bool {
			resp, err := client.Get("https://app.test/")
			if err != nil {
				return false
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			return err == nil && string(body) == "v1" && resp.ProtoMajor == 3
		})
		p.upgradeTo(fmt.Sprintf("v%d", i+1), "5s")
	}
}
