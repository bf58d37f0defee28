package release

import "slices"

// The vocabulary stands in files by its blocks: vocabulary_source.go, _host.go, _role.go, _proxy.go, _release.go, _accessory.go
// and, for the bastion's file, _bastion.go. Each attribute says what it means, what it takes and what holds without it; from
// that the decoder, the messages and the reference are made.

const highestPort = 65535

// deploySpec is the vocabulary of deploy.hcl; destinationSpec is what may stand in a destination block or overlay file.
var (
	destinationSpec = newDestinationSpec()
	deploySpec      = newDeploySpec()
)

func newDeploySpec() *blockSpec {
	root := *destinationSpec
	root.name, root.label = "", ""
	root.meaning = "What should run, and where."
	root.blocks = append(slices.Clone(destinationSpec.blocks), destinationSpec)
	return &root
}

func newDestinationSpec() *blockSpec {
	return &blockSpec{
		name: "destination", label: "name",
		meaning: "The same vocabulary, laid over the file with -d NAME; a file deploy.NAME.hcl beside this one does the same. " +
			"Maps merge, lists and single values replace; blocks merge by their labels, those without one field by field; null goes back to the default. " +
			"Within it, any block but `env` and `locals` takes `remove = true`, which takes the base's block away, and `hosts = []` empties a role.",
		attrs: slices.Concat(identityAttrs(), lifeAttrs(), placeAttrs()),
		blocks: []*blockSpec{
			localsSpec(), registrySpec("The registry that images come from. Without the block there is none, and images travel over SSH."),
			buildSpec(), secretsSpec(), sshSpec(), hostSpec(), tagSpec(),
			envSpec("Environment of every role."), proxySpec("Defaults for whatever is proxied; a role's own block is laid over it."),
			roleSpec(), loggingSpec("The engine's log driver for every container; a block within a role or an accessory is laid over it."),
			rolloutSpec(), hookSpec(), accessorySpec(), proxyServerSpec(), outputSpec(), aliasSpec(), reconcileSpec(), versionPolicySpec(),
		},
	}
}

func identityAttrs() []attrSpec {
	return []attrSpec{
		attr("service", kindString, "prefix of container names: letters, digits, - and _").needed().like(`"shop"`),
		attr("image", kindString, "repository, without the registry's server and without a tag").needed().like(`"acme/shop"`),
		attr("version", kindString, "tag of the image, not latest; --version and kamald release win over it").
			ruled("git.sha, the commit of the repository that holds the file").like(`"v1"`),
		attr("primary_role", kindString, "the role that goes first and opens the way for the others; its first host holds the lock").
			ruled(written(kindString, defaultRole) + " where there is such a role, else the first").like(`"web"`),
		attr("allow_empty_roles", kindBool, "roles other than the primary one may have no hosts").otherwise(false),
		attr("require_destination", kindBool, "refuse to run without -d").otherwise(false),
		attr("minimum_version", kindString, "refuse to run with an older kamald").like(`"0.1"`),
	}
}

func lifeAttrs() []attrSpec {
	return []attrSpec{
		attr("retain_containers", kindInt, "old containers, and their images, kept for rollback: a role and host").within(1, 0).otherwise(defaultRetain),
		attr("deploy_timeout", kindDuration, "a new container must be healthy by then").positive().otherwise(defaultDeployTimeout),
		attr("readiness_delay", kindDuration, "a role without any health check must stay running this long").otherwise(defaultReadinessDelay),
		attr("drain_timeout", kindDuration, "requests in flight get this long after a switch").otherwise(defaultDrainTimeout),
		attr("stop_timeout", kindDuration, "then a container that does not end is killed").
			ruled(written(kindDuration, defaultStopTimeout) + "; drain_timeout for roles without a proxy").like(`"20s"`),
	}
}

func placeAttrs() []attrSpec {
	return []attrSpec{
		attr("run_directory", kindString, "where kamald keeps its files on a host: below the SSH user's home, or absolute").otherwise(defaultRunDirectory),
		attr("network", kindString, "the Docker network of the containers").otherwise(defaultNetwork),
		attr("asset_path", kindString, "directory of the image whose files both versions serve while one takes the place of the other; with :ro, :rw or z").like(`"/app/public/assets:ro"`),
		attr("error_pages_path", kindString, "directory whose 4xx.html and 5xx.html the proxy serves").like(`"public"`),
		attr("labels", kindStringMap, "labels of every role's containers").like(`{ team = "checkout" }`),
		attr("volumes", kindStrings, "volumes of every role; a source that begins with ~/ or ./ lies in the SSH user's home").
			like(`["/srv/shop/storage:/app/storage"]`),
		attr("hooks_path", kindString, "directory of executables that run at the moment that they are named after").otherwise(defaultHooksPath).like(`".kamal/hooks"`),
		attr("hooks_output", kindByName, `what is shown of them: "show", "quiet" or "failure", or one of these by name`).otherwise(OutputShow).like(`{ pre-build = "quiet" }`),
	}
}

func localsSpec() *blockSpec {
	return &blockSpec{name: "locals", meaning: "Names for values, read as local.NAME; a destination's replace the base's before anything is evaluated."}
}

func outputSpec() *blockSpec {
	return single("output", "Where else what happens is written.", []attrSpec{
		attr("file", kindString, "directory with a log file a release").like(`"log/kamald"`),
		attr("otel", kindString, "OpenTelemetry collector").like(`"http://otel.example.com:4318"`),
	})
}

func aliasSpec() *blockSpec {
	return labelled("alias", "name", "A name for a command of kamald's.", []attrSpec{
		attr("command", kindString, "what it stands for, without kamald before it").needed().like(`"app exec --interactive --reuse bin/console"`),
	})
}

func versionPolicySpec() *blockSpec {
	return single("version_policy", "In place of version: the newest tag that fits.", []attrSpec{
		attr("semver", kindString, "constraint on semantic versions").like(`"~> 2.1"`),
		attr("pattern", kindString, "regular expression; the newest tag that it matches").like(`"^main-[0-9]{14}-"`),
	})
}
