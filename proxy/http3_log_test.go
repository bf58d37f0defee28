package proxy

import "testing"

func TestTheAccessLogHasThePortOfHTTP3(t *testing.T) {
	c := proxyConfig(t)
	log := &logLines{started: make(chan int, 1)}
	c.HTTP3, c.Log = true, newJSONLog(log)
	f := startProxyWith(t, c)
	cert, key, roots := certificateFiles(t, "app.test")
	f.deploy(ownCertificate("app", backend(t, says("app")), cert, key, "app.test"))
	resp, err := http3Client(t, f, roots).Get("https://app.test/")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	eventually(t, "the request is logged", func() bool { return log.request("proto") != nil })
	if proto, port := log.request("proto"), log.request("port"); proto != "HTTP/3.0" || port != float64(f.HTTPSPort()) {
		t.Errorf("%v on port %v, want HTTP/3.0 on %d", proto, port, f.HTTPSPort())
	}
}
