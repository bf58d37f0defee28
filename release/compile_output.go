package release

import "net/url"

func (c *compiler) compileOutput() {
	b := c.root.child("output")
	c.rel.Output = Output{Dir: b.get("file").text(), OTel: b.get("otel").text()}
	v := b.get("otel")
	if !v.set() || v.unknown {
		return
	}
	if u, err := url.Parse(v.text()); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" {
		c.errorf(v.rng, "Bad endpoint", "otel is a collector's HTTP endpoint, such as \"http://otel.example.com:4318\"; /v1/logs is added to it.")
	}
}
