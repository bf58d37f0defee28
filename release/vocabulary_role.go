package release

// What runs, and with what environment.

func roleSpec() *blockSpec {
	return labelled("role", "name", "A kind of container of the release, and where it runs.", []attrSpec{
		attr("hosts", kindStrings, "names of its hosts").like(`["10.0.0.1", "web-2"]`),
		attr("tags", kindStrings, "every host that bears one of these, too").like(`["eu"]`),
		attr("proxied", kindBool, "the proxy sends it requests").ruled("true for the primary role, and for one with a proxy block of its own"),
		attr("cmd", kindCommand, "what it runs; a list is run as it is, a string is split as a shell would").ruled("the image's").
			like(`["bin/jobs", "--queues", "mail"]`),
		attr("singleton", kindBool, "one container over all its hosts, on the first; the old one has ended before the new one starts").otherwise(false),
		attr("depends_on", kindStrings, "roles that must be healthy first, beyond the primary one").like(`["workers"]`),
		attr("options", kindOptions, "options as docker run names them").like(`{ memory = "2g", cpus = 4, cap-add = ["SYS_NICE"] }`),
		attr("labels", kindStringMap, "labels of its containers, laid over the root's").like(`{ queue = "mail" }`),
		attr("volumes", kindStrings, "its volumes, in place of the root's").like(`["jobs:/data"]`),
		attr("asset_path", kindString, `its own, or "" for none; only a proxied role has any`).like(`""`),
	},
		roleEnvSpec(), healthSpec(), stopSpec(), loggingSpec("Its log driver, laid over the root's."), proxySpec("Its own settings, laid over the root's; makes the role proxied."))
}

func envAttrs() []attrSpec {
	return []attrSpec{
		attr("clear", kindEnvMap, "variables and their values: part of the release").like(`{ LOG_LEVEL = "info" }`),
		attr("secret", kindStrings, "variables whose values are secrets: NAME, or NAME:THE_SECRET'S_NAME").like(`["DATABASE_URL", "DB_PASSWORD:MAIN_DB_PASSWORD"]`),
	}
}

func envSpec(meaning string) *blockSpec {
	return &blockSpec{name: "env", meaning: meaning, attrs: envAttrs()}
}

func roleEnvSpec() *blockSpec {
	env := envSpec("Environment of the role, laid over the root's. A host's tags come on top.")
	env.attrs = append(env.attrs, attr("remove", kindStrings, "variables of the root and of tags that the role does not get").like(`["LOG_LEVEL"]`))
	return env
}

func tagSpec() *blockSpec {
	return labelled("tag", "name", "Environment for the hosts that bear the tag.", []attrSpec{
		attr("roles", kindStrings, "only for these roles").ruled("every role there").like(`["workers"]`),
	}, envSpec("Laid over the role's; of several tags the last of the host's list wins."))
}

func healthSpec() *blockSpec {
	return single("health", "When a container without a proxy is healthy, by one of exec, http, tcp and log. Without the block: the image's HEALTHCHECK, else readiness_delay.", []attrSpec{
		attr("exec", kindCommand, "command in the container that succeeds").like(`["bin/healthy"]`),
		attr("http", kindString, "[host]:port/path that answers with a status from 200 to 299; host is the Host header to send").like(`":9000/up"`),
		attr("tcp", kindInt, "port that takes connections").within(1, highestPort).like("9000"),
		attr("log", kindString, "regular expression that a line of its log matches").like(`"ready"`),
		attr("interval", kindDuration, "between two checks; the first follow faster").positive().otherwise(defaultHealthInterval),
		attr("timeout", kindDuration, "of one check").positive().otherwise(defaultHealthTimeout),
		attr("min_healthy_time", kindDuration, "it must stay healthy this long").otherwise(defaultMinHealthyTime),
	})
}

func stopSpec() *blockSpec {
	return single("stop", "How the container is asked to end.", []attrSpec{
		attr("signal", kindString, "what it is sent").ruled("the image's").like(`"TERM"`),
		attr("grace", kindDuration, "then it is killed").ruled("stop_timeout").like(`"60s"`),
	})
}

func loggingSpec(meaning string) *blockSpec {
	return single("logging", meaning, []attrSpec{
		attr("driver", kindString, "Docker's log driver").otherwise(defaultLogDriver),
		attr("options", kindStringMap, "its options").
			ruled(`{ max-size = ` + written(kindString, defaultLogMaxSize) + ` } with ` + defaultLogDriver).like(`{ max-size = "100m" }`),
	})
}
