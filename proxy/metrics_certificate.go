package proxy

import "github.com/prometheus/client_golang/prometheus"

// certificateCollector tells when the certificates of now end, read from the router each time.
type certificateCollector struct{ router *Router }

var certificateExpiry = prometheus.NewDesc("kamald_proxy_certificate_expiry_timestamp_seconds",
	"When the certificate in use for a host ends, in seconds since 1970.", []string{"host"}, nil)

// Describe implements prometheus.Collector.
func (c *certificateCollector) Describe(ch chan<- *prometheus.Desc) { ch <- certificateExpiry }

// Collect implements prometheus.Collector.
func (c *certificateCollector) Collect(ch chan<- prometheus.Metric) {
	for host, at := range c.router.CertificateExpiries() {
		ch <- prometheus.MustNewConstMetric(certificateExpiry, prometheus.GaugeValue, float64(at.Unix()), host)
	}
}
