package release

// How requests reach a role, and the proxy itself.

// proxySpec is the root's proxy block, or a role's or accessory's own.
func proxySpec(meaning string) *blockSpec {
	return single("proxy", meaning, []attrSpec{
		attr("hosts", kindStrings, "names that it answers for; several services may share one by path").ruled("any name").like(`["shop.example.com"]`),
		attr("app_port", kindInt, "port that the container listens on").within(1, highestPort).otherwise(defaultAppPort),
		attr("ssl", kindBool, "by ACME, for a role on one host, or with the certificate given here").otherwise(false),
		attr("certificate", kindSecret, "certificate chain as PEM; needs private_key with it").like(`secret("CERTIFICATE_PEM")`),
		attr("private_key", kindSecret, "its key as PEM").like(`secret("PRIVATE_KEY_PEM")`),
		attr("ssl_redirect", kindBool, "with ssl, send plain requests to https").otherwise(defaultSSLRedirect),
		attr("path_prefixes", kindStrings, "paths that it answers for").otherwise([]string{defaultPathPrefix}),
		attr("strip_path_prefix", kindBool, "the container does not see the prefix").otherwise(defaultStripPathPrefix),
		attr("forward_headers", kindBool, "pass on the X-Forwarded headers of who asks").ruled("true without ssl, false with it"),
		attr("response_timeout", kindDuration, "the container must begin to answer by then").otherwise(defaultResponseTimeout),
	},
		single("healthcheck", "When a container behind the proxy is healthy: it answers with a status from 200 to 299.", []attrSpec{
			attr("path", kindString, "path that is asked for").otherwise(defaultHealthPath),
			attr("interval", kindDuration, "between two checks").positive().otherwise(defaultHealthInterval),
			attr("timeout", kindDuration, "of one check").positive().otherwise(defaultHealthTimeout),
			attr("host", kindString, "the Host header to send").ruled("the container's address").like(`"shop.example.com"`),
			attr("port", kindInt, "port that is asked").within(1, highestPort).ruled("app_port").like("3000"),
		}),
		single("buffering", "What the proxy reads whole before it passes it on.", []attrSpec{
			attr("requests", kindBool, "read a request whole first; false with Traefik, which buffers both or neither").otherwise(defaultBuffering),
			attr("responses", kindBool, "read a response whole first; false with Traefik").otherwise(defaultBuffering),
			attr("memory", kindSize, "more than that goes to disk").otherwise(defaultBufferMemory),
			attr("max_request_body", kindSize, "larger ones are refused").ruled("no bound").like(`"40m"`),
			attr("max_response_body", kindSize, "larger ones are refused").ruled("no bound").like(`"40m"`),
		}),
		single("logging", "Which headers stand in the proxy's log.", []attrSpec{
			attr("request_headers", kindStrings, "of requests").otherwise(defaultLogHeaders),
			attr("response_headers", kindStrings, "of responses").ruled("none").like(`["X-Request-Id"]`),
		}))
}

func proxyServerSpec() *blockSpec {
	return single("proxy_server", "The proxy container: one a host, shared by all services there. Without the block the one that is there is used when it is "+
		"new enough, and "+defaultProxyImage+" where there is none. The first file that sets it owns it; another that asks for something else is a plan error.", []attrSpec{
		attr("driver", kindString, "kamal-proxy speaks to basecamp/kamal-proxy and to kamald/proxy alike; traefik is Traefik 2.11 or 3, and needs image").among("kamal-proxy", "traefik").otherwise(defaultProxyDriver),
		attr("name", kindString, "name of its container; traefik with that driver").otherwise(defaultProxyName),
		attr("image", kindString, "its image, with a tag").otherwise(defaultProxyImage),
		attr("http_port", kindInt, "port of the host for http").within(1, highestPort).otherwise(defaultHTTPPort),
		attr("https_port", kindInt, "port of the host for https").within(1, highestPort).otherwise(defaultHTTPSPort),
		attr("metrics_port", kindInt, "port of its container that answers with metrics; not published").within(0, highestPort).ruled("none").like("9090"),
		attr("bind", kindStrings, "addresses of the host that it is published on").ruled("all").like(`["0.0.0.0", "::"]`),
		attr("publish", kindBool, "publish its ports on the host").otherwise(defaultPublish),
		attr("log_max_size", kindString, "its log is rotated at this size").otherwise(defaultLogMaxSize),
		attr("debug", kindBool, "a more talkative log").otherwise(false),
		attr("options", kindOptions, "options as docker run names them").like(`{ memory = "512m" }`),
		attr("labels", kindStringMap, "labels of its container").like(`{ team = "infra" }`),
		attr("env", kindStringMap, "its environment").like(`{ TZ = "UTC" }`),
		attr("args", kindOptions, "Traefik's own arguments, without dashes").like(`{ accesslog = true }`),
	})
}
