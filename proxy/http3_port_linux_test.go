package proxy

import (
	"fmt"
	"testing"
)

func TestHTTP3HasTheNumberOfHTTPSAlsoWhereTheKernelChoosesIt(t *testing.T) {
	p := install(t) // HTTPS_PORT=0
	if code := p.stop(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	p.flags = []string{"--http3"}
	p.start()
	cert, key, roots := certificateFiles(t, "app.test")
	p.do("deploy", "app", "--target", backend(t, says("app")), "--host", "app.test", "--tls", "--tls-certificate-path", cert, "--tls-private-key-path", key)
	client := http3ClientAt(t, fmt.Sprintf("127.0.0.1:%d", p.httpsPort), roots)
	resp, err := client.Get("https://app.test/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.ProtoMajor != 3 || resp.StatusCode != 200 {
		t.Errorf("%s %s", resp.Proto, resp.Status)
	}
}
