package release

import "slices"

// The moments at which a hook can run, and the kinds of release that it can run on.
var (
	hookMoments = []string{"pre-connect", "pre-build", "pre-deploy", "pre-boot", "post-boot", "post-deploy", "pre-proxy-reboot",
		"post-proxy-reboot", "docker-setup", "drift", "failure", "rollback"}
	hookKinds     = []string{"release", "rollback", "config", "heal"}
	secretSources = []string{"1password", "aws-secrets-manager", "bitwarden", "bitwarden-sm", "doppler", "enpass",
		"gcp-secret-manager", "lastpass", "passbolt", "age"}
)

const highestPort = 65535

// deploySpec is the vocabulary of deploy.hcl; destinationSpec is what may stand in a destination block or overlay file.
var (
	destinationSpec = newDestinationSpec()
	deploySpec      = newDeploySpec()
)

func newDeploySpec() *blockSpec {
	root := *destinationSpec
	root.name, root.label = "", ""
	root.blocks = append(slices.Clone(destinationSpec.blocks), destinationSpec)
	return &root
}

func newDestinationSpec() *blockSpec {
	return &blockSpec{
		name: "destination", label: "name",
		attrs: slices.Concat(
			of(kindString, "service!", "image!", "version", "primary_role", "minimum_version", "run_directory", "network",
				"asset_path", "error_pages_path", "hooks_path"),
			of(kindBool, "allow_empty_roles", "require_destination"),
			between("retain_containers", 1, 0),
			of(kindDuration, "deploy_timeout", "readiness_delay", "drain_timeout", "stop_timeout"),
			of(kindStringMap, "labels"), of(kindStrings, "volumes"), of(kindAny, "hooks_output"),
		),
		blocks: []*blockSpec{
			{name: "locals"}, registrySpec(), buildSpec(), secretsSpec(), sshSpec(), hostSpec(), tagSpec(), envSpec(false),
			proxySpec(), roleSpec(), loggingSpec(), rolloutSpec(), hookSpec(), accessorySpec(), proxyServerSpec(),
			single("output", nil, of(kindString, "file", "otel")),
			labelled("alias", "name", nil, of(kindString, "command!")),
			reconcileSpec(),
			single("version_policy", nil, of(kindString, "semver", "pattern")),
		},
	}
}

func registrySpec() *blockSpec {
	return single("registry", nil, of(kindString, "server"), of(kindStringOrSecret, "username"), of(kindSecret, "password"))
}

func buildSpec() *blockSpec {
	return single("build", []*blockSpec{
		single("cache", nil, oneOf("type", "registry", "gha", "local"), of(kindString, "image", "options")),
		single("pack", nil, of(kindString, "builder!"), of(kindStrings, "buildpacks")),
	}, oneOf("source", "clone", "archive", "directory"),
		of(kindString, "dockerfile", "target", "ssh", "remote", "driver", "provenance", "context"),
		of(kindStrings, "arch", "secrets"), of(kindStringMap, "args"), of(kindBool, "local", "sbom"))
}

func secretsSpec() *blockSpec {
	fetch := labelled("fetch", "source", nil, of(kindString, "account", "from", "file", "identity"), of(kindStrings, "keys"))
	fetch.repeats, fetch.known = true, secretSources
	return single("secrets", []*blockSpec{fetch}, of(kindStrings, "files"))
}

// sshAttrs are the ssh block's; a host block has them too.
func sshAttrs() []attrSpec {
	return slices.Concat(
		of(kindString, "user", "jump", "proxy_command"), between("port", 1, highestPort),
		of(kindStrings, "keys", "known_hosts"), of(kindSecrets, "key_data"), of(kindSSHConfig, "config"),
		of(kindBool, "keys_only", "forward_agent"), oneOf("host_keys", "strict", "accept-new"),
		between("dial_limit", 1, 0), of(kindDuration, "keepalive"), between("dns_retries", 0, 0))
}

func sshSpec() *blockSpec { return single("ssh", nil, sshAttrs()) }

func hostSpec() *blockSpec {
	return labelled("host", "name", nil, of(kindString, "address", "host_key"), of(kindStrings, "tags"), sshAttrs())
}

func tagSpec() *blockSpec {
	return labelled("tag", "name", []*blockSpec{envSpec(false)}, of(kindStrings, "roles"))
}

func envSpec(removes bool) *blockSpec {
	attrs := slices.Concat(of(kindEnvMap, "clear"), of(kindStrings, "secret"))
	if removes {
		attrs = append(attrs, of(kindStrings, "remove")...)
	}
	return single("env", nil, attrs)
}

func proxySpec() *blockSpec {
	return single("proxy", []*blockSpec{
		single("healthcheck", nil, of(kindString, "path", "host"), of(kindDuration, "interval", "timeout"),
			between("port", 1, highestPort)),
		single("buffering", nil, of(kindBool, "requests", "responses"),
			of(kindSize, "memory", "max_request_body", "max_response_body")),
		single("logging", nil, of(kindStrings, "request_headers", "response_headers")),
	}, of(kindStrings, "hosts", "path_prefixes"), between("app_port", 1, highestPort),
		of(kindBool, "ssl", "ssl_redirect", "strip_path_prefix", "forward_headers"),
		of(kindSecret, "certificate", "private_key"), of(kindDuration, "response_timeout"))
}

func roleSpec() *blockSpec {
	return labelled("role", "name",
		[]*blockSpec{envSpec(true), healthSpec(), stopSpec(), loggingSpec(), proxySpec()},
		of(kindStrings, "hosts", "tags", "depends_on", "volumes"), of(kindBool, "proxied", "singleton"), of(kindCommand, "cmd"),
		of(kindOptions, "options"), of(kindStringMap, "labels"), of(kindString, "asset_path"))
}

func healthSpec() *blockSpec {
	return single("health", nil, of(kindCommand, "exec"), of(kindString, "http", "log"), between("tcp", 1, highestPort),
		of(kindDuration, "interval", "timeout", "min_healthy_time"))
}

func stopSpec() *blockSpec {
	return single("stop", nil, of(kindString, "signal"), of(kindDuration, "grace"))
}

func loggingSpec() *blockSpec {
	return single("logging", nil, of(kindString, "driver"), of(kindStringMap, "options"))
}

func rolloutSpec() *blockSpec {
	return single("rollout", []*blockSpec{
		single("canary", nil, between("percent", 1, 100), of(kindDuration, "hold")),
	}, of(kindLimit, "limit"), of(kindDuration, "wait"), of(kindBool, "parallel_roles"),
		oneOf("on_failure", "rollback", "halt"), oneOf("on_unreachable", "fail", "skip"))
}

func hookSpec() *blockSpec {
	at := attrSpec{name: "at", kind: kindString, required: true, enum: hookMoments}
	return labelled("hook", "name", nil, []attrSpec{at}, of(kindString, "role"), of(kindCommand, "run!"),
		someOf("on", hookKinds...), of(kindDuration, "timeout"), of(kindStrings, "secrets"),
		oneOf("output", "show", "quiet", "failure"))
}

func accessorySpec() *blockSpec {
	placed := func(name string) *blockSpec {
		return labelled(name, "path", nil, of(kindString, "to!", "mode", "owner", "options"))
	}
	return labelled("accessory", "name",
		[]*blockSpec{envSpec(false), placed("file"), placed("directory"), registrySpec(), healthSpec(), stopSpec(), loggingSpec(),
			proxySpec()},
		of(kindString, "image!", "service", "port", "network"), of(kindStrings, "hosts", "roles", "tags", "volumes"),
		of(kindCommand, "cmd"), of(kindOptions, "options"), of(kindStringMap, "labels"), of(kindBool, "proxied", "shared"),
		oneOf("on_change", "plan", "recreate", "ignore"))
}

func proxyServerSpec() *blockSpec {
	return single("proxy_server", nil, oneOf("driver", "kamal-proxy", "traefik"),
		of(kindString, "name", "image", "log_max_size"), between("http_port", 1, highestPort),
		between("https_port", 1, highestPort), between("metrics_port", 0, highestPort), of(kindStrings, "bind"),
		of(kindBool, "publish", "debug"), of(kindOptions, "options", "args"), of(kindStringMap, "labels", "env"))
}

func reconcileSpec() *blockSpec {
	return single("reconcile", []*blockSpec{
		labelled("freeze", "name", nil, someOf("days", "mon", "tue", "wed", "thu", "fri", "sat", "sun"),
			of(kindString, "from", "to", "zone")),
	}, oneOf("mode", "report", "heal", "release"), of(kindDuration, "interval", "window"),
		of(kindShare, "budget", "max_remove", "min_free"), between("flap", 1, 0), of(kindStrings, "ignore"))
}
