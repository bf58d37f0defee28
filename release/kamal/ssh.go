package kamal

import "strings"

func (t *translation) ssh(p, kit place) {
	b := t.root.child("ssh", "")
	if t.open(p) {
		t.comments(t.root, b, p)
		t.text(b, "user", p.at("user"))
		t.number(b, "port", plain, p.at("port"))
		t.list(b, "keys", p.at("keys"))
		t.boolean(b, "keys_only", p.at("keys_only"))
		t.keyData(b, p.at("key_data"))
		t.jump(b, p.at("proxy"))
		t.given(b, "proxy_command", p.at("proxy_command"))
		t.sshConfig(b, p.at("config"))
		t.boolean(b, "forward_agent", p.at("forward_agent"))
		t.drop(p.at("log_level"), "how much is said is chosen on the command line: -v logs every remote call")
	}
	if t.open(kit) {
		t.comments(t.root, b, kit)
		t.number(b, "dial_limit", plain, kit.at("max_concurrent_starts"))
		t.number(b, "dns_retries", plain, kit.at("dns_retries"))
		t.drop(kit.at("pool_idle_timeout"), "a connection is kept as long as the command runs")
	}
}

// jump writes out the user that Kamal takes where none is named.
func (t *translation) jump(b *block, p place) {
	if !p.scalar() || p.open() || p.isFalse() || strings.Contains(p.text(), "@") {
		t.given(b, "jump", p)
		return
	}
	t.put(b, "jump", raw(quote("root@"+p.text())), p)
}

func (t *translation) sshConfig(b *block, p place) {
	switch {
	case p.sequence():
		t.list(b, "config", p)
	case p.text() == "true" || p.text() == "false":
		t.boolean(b, "config", p)
	default:
		t.text(b, "config", p)
	}
}

// keyData names secrets; a key that is written out, which Kamal still takes, belongs into the secrets file.
func (t *translation) keyData(b *block, p place) {
	if !p.sequence() {
		if t.says(p) {
			t.ledger.hide(p.text())
			t.drop(p, "Kamal takes a list here")
		}
		return
	}
	list := &value{kind: listValue}
	for _, item := range p.items() {
		if !item.scalar() {
			t.drop(item, "Kamal takes the name of a secret here")
			continue
		}
		var v *value
		if !item.open() && secretName.MatchString(item.text()) {
			v = t.named(item.text())
		} else {
			v = t.kept(item, "SSH_PRIVATE_KEY")
		}
		list.list = append(list.list, &field{origin: item.origin(), comment: t.comment(item), value: v})
	}
	if len(list.list) > 0 {
		t.put(b, "key_data", list, p)
	}
}
