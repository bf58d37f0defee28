package kamal

import (
	"strings"
	"testing"
)

// A proxy without names would answer to all of them, and without a certificate.
func TestTheNamesOfAProxyThatRubyAloneCanTellAreReadFromTheEnvironment(t *testing.T) {
	loop := "\n<% ENV['NAMES'].split(',').each do |n| %>\n    - <%= n %>\n<% end %>\n"
	for name, c := range map[string]struct{ source, key, variable string }{
		"a host":      {"proxy:\n  ssl: true\n  host: <%= Deploy.host %>\n", "proxy.host", "KAMAL_PROXY_HOST"},
		"hosts":       {"proxy:\n  ssl: true\n  hosts:" + loop, "proxy.hosts", "KAMAL_PROXY_HOST"},
		"of a role":   {"servers:\n  web:\n    hosts: [10.0.0.1]\n    proxy:\n      ssl: true\n      host: <%= Deploy.host %>\n", "servers.web.proxy.host", "KAMAL_WEB_PROXY_HOST"},
		"within text": {"proxy:\n  ssl: true\n  host: <%= Deploy.host %>.example.com\n", "proxy.host", "KAMAL_PROXY_HOST"},
	} {
		t.Run(name, func(t *testing.T) {
			source := least + c.source
			if strings.Count(source, "servers:") > 1 {
				source = strings.Replace(source, "servers: [10.0.0.1]\n", "", 1)
			}
			text, report := imported(t, source)
			if !strings.Contains(text, `= split(",", env("`+c.variable+`"))`) || !strings.Contains(text, "= true") {
				t.Errorf("it is\n%s", text)
			}
			if !report.has(c.key, Todo, "read from the environment as "+c.variable) {
				t.Errorf("it says %v", report)
			}
		})
	}
}

// What stands under a key in a loop that only a run could tell is not nothing.
func TestAKeyWhoseValueIsLostIsNotSaidToSayNothing(t *testing.T) {
	loop := "\n<% ENV['NAMES'].split(',').each do |n| %>\n    - <%= n %>\n<% end %>\n"
	for key, source := range map[string]string{
		"volumes":         "volumes:" + loop,
		"env.secret":      "env:\n  secret:" + loop,
		"builder.secrets": "builder:\n  arch: amd64\n  secrets:" + loop,
		"ssh.keys":        "ssh:\n  keys:" + loop,
	} {
		_, report := imported(t, least+source)
		if !report.has(key, Todo, "only a run of Ruby could tell") || report.has(key, Translated, "") {
			t.Errorf("%s: it says %v", key, report)
		}
	}
}

func TestAFileThatSaysNothingIsNoConfiguration(t *testing.T) {
	for _, source := range []string{"", "# a comment\n", "---\n", "null\n", "<%# nothing %>\n"} {
		_, err := Import("config/deploy.yml", memory(map[string]string{"config/deploy.yml": source}, nil))
		if err == nil || err.Error() != "config/deploy.yml says nothing: is it the right file?" {
			t.Errorf("%q: it says %v", source, err)
		}
	}
}
