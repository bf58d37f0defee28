package release

import "time"

// What belongs to the bastion and not to an app.

// transitions are what somebody can be told of.
var transitions = []string{"drifted", "healed", "released", "failed", "waiting", "held", "not-converging", "unreachable"}

// leastEvery keeps a repository's server from being asked without a pause.
const leastEvery = time.Second

// bastionSpec is the vocabulary of kamald.hcl, the bastion's own file.
var bastionSpec = newBastionSpec()

func newBastionSpec() *blockSpec {
	return &blockSpec{meaning: "What belongs to the bastion and not to an app. Read by kamald run.", blocks: []*blockSpec{
		own("locals", "", "Names for values, read as local.NAME.", nil), storeSpec(), listenSpec(), tokenSpec(), appSpec(),
		own("metrics", "", "Prometheus metrics.", []attrSpec{
			attr("listen", kindString, "address and port").like(`"127.0.0.1:9464"`),
		}),
		own("log", "", "The daemon's log.", []attrSpec{
			attr("format", kindString, "form of its lines").among("json", "text").otherwise(defaultLogFormat),
			attr("level", kindString, "the least that is written").among("trace", "debug", "info", "warn", "error").otherwise(defaultLogLevel),
		}),
	}}
}

// own is a block that nothing is laid over, so that there is nothing to remove.
func own(name, label, meaning string, attrs []attrSpec, blocks ...*blockSpec) *blockSpec {
	return &blockSpec{name: name, label: label, meaning: meaning, attrs: attrs, blocks: blocks}
}

func storeSpec() *blockSpec {
	return own("store", "", "Where history and observations are kept.", []attrSpec{
		attr("bolt", kindString, "one file").ruled("$XDG_STATE_HOME/kamald/state.db; /var/lib/kamald/state.db for root").like(`"/var/lib/kamald/state.db"`),
		attr("etcd", kindStrings, "members of an etcd cluster, in place of the file; leadership comes with it").like(`["https://10.0.0.21:2379", "https://10.0.0.22:2379"]`),
		attr("ca", kindString, "certificate authority of the cluster").like(`"/etc/kamald/ca.pem"`),
		attr("certificate", kindString, "client certificate").like(`"/etc/kamald/client.pem"`),
		attr("key", kindString, "its key").like(`"/etc/kamald/client.key"`),
		attr("username", kindString, "user of the cluster").like(`"kamald"`),
		attr("password", kindSecret, "its password").like(`secret("ETCD_PASSWORD")`),
		attr("name", kindString, "what people and the other daemons on the cluster call this one").ruled("the machine's name").like(`"bastion-1"`),
		attr("lease", kindDuration, "how soon another daemon takes over from one that is gone").atLeast(leastLease).otherwise(defaultLease),
	}, own("secrets", "", "Where the password is looked for.", []attrSpec{
		attr("files", kindStrings, "dotenv files, 0600").like(`["/etc/kamald/etcd.secrets"]`),
	}))
}

func listenSpec() *blockSpec {
	return own("listen", "", "Where the daemon answers.", []attrSpec{
		attr("socket", kindString, "unix socket; who connects is known by the kernel's word").ruled("<store>.sock").like(`"/run/kamald.sock"`),
		attr("https", kindString, "address and port; needs certificate and key").like(`":8443"`),
		attr("http", kindString, "address and port, loopback only").like(`"127.0.0.1:8080"`),
		attr("certificate", kindString, "certificate file").like(`"/etc/kamald/server.pem"`),
		attr("key", kindString, "its key file").like(`"/etc/kamald/server.key"`),
	})
}

func tokenSpec() *blockSpec {
	return own("token", "name", "Who may ask over the network.", []attrSpec{
		attr("hash", kindString, "SHA-256 of the token; kamald store token makes one").needed().like(`"sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"`),
		attr("role", kindString, "what its bearer may do").among(RoleRead, RoleOperate, RoleAdmin).otherwise(defaultTokenRole),
		attr("apps", kindStrings, "services that it is for").ruled("all").like(`["shop"]`),
	})
}

func appSpec() *blockSpec {
	source := own("source", "kind", "What is there is proposed: version and file at the same commit.", []attrSpec{
		attr("url", kindString, "repository, for git").like(`"git@example.com:acme/shop.git"`),
		attr("branch", kindString, "its branch, for git").ruled("the repository's own").like(`"production"`),
		attr("path", kindString, "the file; for git within the repository").ruled(written(kindString, defaultPath) + " for git").like(`"/etc/kamald/shop/deploy.hcl"`),
		attr("every", kindDuration, "how often it is looked at, for git").atLeast(leastEvery).otherwise(defaultEvery),
		attr("signed", kindBool, "only commits with a trusted signature").otherwise(false),
	})
	source.known, source.repeats = []string{SourceGit, SourceFile}, true
	notify := own("notify", "kind", "Who is told, one message a transition.", []attrSpec{
		attr("url", kindStringOrSecret, "where it is sent, for webhook and slack").like(`"https://hooks.example.com/kamald"`),
		attr("secret", kindSecret, "key of the HMAC-SHA256 over the body, for webhook").like(`secret("HOOK_SIGNING_KEY")`),
		attr("to", kindStrings, "addresses, for email").like(`["oncall@example.com"]`),
		attr("smtp", kindStringOrSecret, "mail server, for email").like(`"smtp://mail.example.com:587"`),
		attr("on", kindStrings, "the transitions").among(transitions...).
			ruled("all"),
	})
	notify.known, notify.repeats = []string{NotifyWebhook, NotifySlack, NotifyEmail}, true
	app := own("app", "service", "An app that the daemon drives.", []attrSpec{
		attr("destinations", kindStrings, "the destinations that it drives").ruled("the one without a name").like(`["production"]`),
		attr("mode", kindString, "may only lower what the app's file says").among(modes...).ruled("what the app's file says"),
		attr("image_wait", kindDuration, "an image that is not there yet is waited for this long before anyone is told").otherwise(defaultImageWait),
	}, source, notify, own("secrets", "", "The daemon's secrets: registry, certificates, notifications.", []attrSpec{
		attr("files", kindStrings, "dotenv files, 0600").like(`["/etc/kamald/shop.secrets"]`),
	}))
	app.repeats = true // for other destinations
	return app
}
