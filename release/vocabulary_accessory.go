package release

// What lives beside the releases.

func accessorySpec() *blockSpec {
	return labelled("accessory", "name", "A container that lives beside the releases: a database, a cache. Takes exactly one of hosts, roles and tags.", []attrSpec{
		attr("image", kindString, "its image, with a tag").needed().like(`"redis:7"`),
		attr("hosts", kindStrings, "names of its hosts").like(`["jobs-1"]`),
		attr("roles", kindStrings, "on every host of these roles").like(`["workers"]`),
		attr("tags", kindStrings, "on every host that bears one of these").like(`["eu"]`),
		attr("service", kindString, "name of its container").ruled("<service>-<accessory>").like(`"shop-redis"`),
		attr("cmd", kindCommand, "what it runs").ruled("the image's").like(`["redis-server", "--appendonly", "yes"]`),
		attr("port", kindString, "what is published, as docker run -p takes it").like(`"127.0.0.1:6379:6379"`),
		attr("network", kindString, "its Docker network").ruled("the root's network").like(`"kamal"`),
		attr("options", kindOptions, "options as docker run names them").like(`{ cpus = 2 }`),
		attr("labels", kindStringMap, "labels of its container").like(`{ app = "shop" }`),
		attr("volumes", kindStrings, "its volumes").like(`["redis-sockets:/run/redis"]`),
		attr("proxied", kindBool, "the proxy sends it requests").otherwise(false),
		attr("shared", kindBool, "several destinations may name the same container").otherwise(false),
		attr("on_change", kindString, "plan shows a change as deferred until kamald accessory reboot, recreate makes it anew, ignore says nothing").
			among("plan", "recreate", "ignore").otherwise("plan"),
	},
		envSpec("Environment of the accessory; the root's is not its own."),
		placedSpec("file", "A file of this machine's that is put into it; a name ending in .tmpl is a template, with the expressions of this file in it and ${secret(\"NAME\")} where a secret goes. What is in it is kept with the release, but for secrets."),
		placedSpec("directory", "A directory of the host's that is mounted; a relative one lies under <service>/ in the SSH user's home."),
		registrySpec("The registry of its image."), healthSpec(), stopSpec(), loggingSpec("Its log driver, laid over the root's."),
		proxySpec("Its own settings, laid over the root's."))
}

func placedSpec(name, meaning string) *blockSpec {
	return labelled(name, "path", meaning, []attrSpec{
		attr("to", kindString, "absolute path in the container").needed().like(`"/data"`),
		attr("mode", kindString, "permissions, in octal").otherwise(DirectoryMode).like(`"0640"`),
		attr("owner", kindString, "user and group, by number").ruled("the SSH user").like(`"999:999"`),
		attr("options", kindString, "options of the mount").like(`"ro"`),
	})
}
