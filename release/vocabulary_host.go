package release

import "slices"

// How hosts are reached.

// sshAttrs are the ssh block's.
func sshAttrs() []attrSpec {
	return []attrSpec{
		attr("user", kindString, "who logs in; must be allowed to use Docker").otherwise(defaultUser),
		attr("port", kindInt, "port of sshd").within(1, highestPort).otherwise(defaultSSHPort),
		attr("keys", kindStrings, "private key files").ruled("the agent's keys, then the usual files").like(`["~/.ssh/id_ed25519"]`),
		attr("keys_only", kindBool, "offer no other keys, not the agent's either").otherwise(false),
		attr("key_data", kindSecrets, "private keys that are secrets").like(`[secret("SSH_PRIVATE_KEY")]`),
		attr("jump", kindString, "host to go through: [user@]host[:port]").like(`"ops@bastion.example.com"`),
		attr("proxy_command", kindString, "command whose input and output are the connection").like(`"ssh -W %h:%p bastion"`),
		attr("config", kindSSHConfig, "ssh_config files to read Host, HostName, User, Port, IdentityFile and ProxyJump from; false: none").
			ruled("true: " + defaultSSHConfig).like(`["~/.ssh/config"]`),
		attr("known_hosts", kindStrings, "files with the hosts' keys").otherwise([]string{defaultKnownHosts}),
		attr("host_keys", kindString, "accept-new writes down the key of a host that is met for the first time; a changed key is always refused").
			among("strict", "accept-new").otherwise(defaultHostKeys),
		attr("forward_agent", kindBool, "let the host use this machine's agent").otherwise(false),
		attr("keepalive", kindDuration, "a silent connection is asked this often").otherwise(defaultKeepalive),
		attr("dns_retries", kindInt, "further attempts to find a host's address").within(0, 0).otherwise(defaultDNSRetries),
		attr(dialLimit, kindInt, "new connections begun at once, over all hosts").within(1, 0).otherwise(defaultDialLimit),
	}
}

// dialLimit is the one attribute of the ssh block that is about all hosts together.
const dialLimit = "dial_limit"

// hostSSHAttrs are those that a host's block has too.
func hostSSHAttrs() []attrSpec {
	var own []attrSpec
	for _, as := range sshAttrs() {
		if as.name != dialLimit {
			as.byDefault, as.rule = "", "the ssh block's"
			own = append(own, as)
		}
	}
	return own
}

func sshSpec() *blockSpec {
	return single("ssh", "How hosts are reached. A host's own block is laid over it.", sshAttrs())
}

func hostSpec() *blockSpec {
	return labelled("host", "name", "What there is to say of one host: needed for nothing else. Its label is its name, in roles and in KAMAL_HOST; "+
		`"local" is this machine's own Docker engine, with no SSH in between.`, slices.Concat([]attrSpec{
		attr("address", kindString, "where SSH goes").ruled("the label").like(`"10.0.0.2"`),
		attr("host_key", kindString, "fingerprint of its key; no other is taken").like(`"SHA256:abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQ"`),
		attr("tags", kindStrings, "by which roles select it, and tag blocks give it environment, in this order").like(`["eu"]`),
	}, hostSSHAttrs()))
}
