package proxy

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestMetricsTellWhenCertificatesEnd(t *testing.T) {
	f := startMetered(t, Limits{})
	cert, key, _ := certificateFiles(t, "app.test")
	f.deploy(ownCertificate("app", backend(t, says("app")), cert, key, "app.test"))
	ends := f.router.CertificateExpiries()["app.test"]
	if !ends.After(time.Now()) {
		t.Fatalf("the certificate ends at %s", ends)
	}
	got := f.scrape("kamald_proxy_certificate_expiry_timestamp_seconds")
	var value float64
	rest, found := strings.CutPrefix(got, `kamald_proxy_certificate_expiry_timestamp_seconds{host="app.test"} `)
	if _, err := fmt.Sscan(rest, &value); !found || err != nil || int64(value) != ends.Unix() {
		t.Errorf("%q, want %d", got, ends.Unix())
	}
	if err := f.remove("app"); err != nil {
		t.Fatal(err)
	}
	if got := f.scrape("kamald_proxy_certificate_expiry_timestamp_seconds"); got != "" {
		t.Errorf("after the removal: %s", got)
	}
}

func TestMetricsCountEjections(t *testing.T) {
	f := startMetered(t, Limits{})
	app := backend(t, says("app"))
	req := deployRequest("app", app, "app.test")
	req.Targets, req.Force = []string{nobody(t), app}, true
	req.TargetOptions.HealthCheckConfig.Interval = time.Hour
	f.deploy(req)
	for range 2 * (ejectAfter + 1) {
		f.expect("app.test", "/", http.StatusOK, "app")
	}
	want := "kamald_proxy_ejections_total{service=\"app\"} 1\n"
	eventually(t, "the ejection is counted", func() bool { return f.scrape("kamald_proxy_ejections_total") == want })
	if err := f.remove("app"); err != nil {
		t.Fatal(err)
	}
	if got := f.scrape("kamald_proxy_ejections_total"); got != "" {
		t.Errorf("after the removal: %s", got)
	}
}
