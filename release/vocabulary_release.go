package release

import "slices"

// How a release goes over the hosts, what runs around it, and how it stays that way.

func rolloutSpec() *blockSpec {
	return single("rollout", "How a release goes over the hosts.", []attrSpec{
		attr("limit", kindLimit, "hosts at once: a number, or a share of the release's hosts").ruled("all").like(`"25%"`),
		attr("wait", kindDuration, "between two groups of hosts").otherwise(defaultWait),
		attr("parallel_roles", kindBool, "the roles of a host start at the same time; false: one after another").otherwise(defaultParallelRoles),
		attr("on_failure", kindString, "rollback: every role runs what it ran before; halt: nothing more is begun, and each host stays as it is then").
			among("rollback", "halt").otherwise(defaultOnFailure),
		attr("on_unreachable", kindString, "fail changes nothing anywhere; skip goes on without the host, which converges later").
			among("fail", "skip").otherwise(defaultOnUnreachable),
	}, single("canary", "Try the new version on a share of the traffic first; needs kamald's own proxy.", []attrSpec{
		attr("percent", kindInt, "share of the traffic").needed().within(1, 100).like("10"),
		attr("hold", kindDuration, "for this long, once for all hosts of a group; 5xx above the old version's end it, and the release is rolled back").
			needed().positive().like(`"10m"`),
	}))
}

func hookSpec() *blockSpec {
	return labelled("hook", "name", "A command around a release.", []attrSpec{
		attr("at", kindString, "the moment").needed().among(hookMoments...),
		attr("role", kindString, "in a container of this role, from the new image with its environment, once a release").
			ruled("on the machine that kamald runs on").like(`"web"`),
		attr("run", kindCommand, "the command").needed().like(`["bin/rails", "db:migrate"]`),
		attr("on", kindStrings, "kinds of release that it runs on: release is another version, config the same with other settings").among(hookKinds...).otherwise(hookKinds[:1]),
		attr("timeout", kindDuration, "then it has failed, and is ended").positive().otherwise(defaultHookTimeout),
		attr("secrets", kindStrings, "secrets in its environment, for hooks outside a container").like(`["SLACK_TOKEN"]`),
		attr("output", kindString, "what is shown of it: each line, nothing, or the last lines when it fails").among(hookOutputs...).otherwise(OutputShow),
	})
}

func reconcileSpec() *blockSpec {
	return single("reconcile", "How kamald run keeps the servers that way.", []attrSpec{
		attr("mode", kindString, "report touches nothing, heal repairs drift, release also rolls out changes").among(modes...).otherwise(defaultMode),
		attr("interval", kindDuration, "full look at every host; events come in between").atLeast(leastInterval).otherwise(defaultInterval),
		attr("budget", kindShare, "of a role's containers healed a window, rounded up; then it stops and says so").otherwise(defaultBudget),
		attr("window", kindDuration, "the time that budget and flap are about").positive().otherwise(defaultWindow),
		attr("flap", kindInt, "restarts a window; then a container is reported and left alone").within(1, 0).otherwise(defaultFlap),
		attr("max_remove", kindShare, "a change that would remove more of what runs waits for an approval").otherwise(defaultMaxRemove),
		attr("min_free", kindShare, "prune beyond retention when a host's disk has less; 0%: never").otherwise(defaultMinFree),
		attr("ignore", kindStrings, "drift that is nobody's business, by path: role.NAME, role.NAME.SETTING, a SETTING of every role, tag, or route").
			like(`["role.workers.options.memory", "env.LOG_LEVEL"]`),
	}, labelled("freeze", "name", "A time of nothing but healing.", []attrSpec{
		attr("days", kindStrings, "days of the week on which it begins").among(slices.Concat(weekdays[1:], weekdays[:1])...).ruled("every day"),
		attr("from", kindString, "time of day that it begins").needed().like(`"17:00"`),
		attr("to", kindString, "time of day that it ends: on the next day where it is not after from").needed().like(`"09:00"`),
		attr("zone", kindString, "time zone, by its name in the tz database").otherwise(defaultZone),
	}))
}
