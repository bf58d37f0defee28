package kamal

import (
	"strings"
	"testing"
)

// Among options, Kamal's containers get it beside the network that they have: whoever reaches them there is to reach them still.
func TestASecondNetworkTakesNobodyOutOfTheFirst(t *testing.T) {
	for name, c := range map[string]struct{ source, key string }{
		"a role":                          {"servers:\n  web:\n    hosts: [10.0.0.1]\n    options:\n      network: private\n", "servers.web.options.network"},
		"an accessory":                    {"accessories:\n  db:\n    image: postgres:17\n    host: 10.0.0.1\n    options:\n      network: private\n", "accessories.db.options.network"},
		"an accessory with its own, too":  {"accessories:\n  db:\n    image: postgres:17\n    host: 10.0.0.1\n    network: front\n    options:\n      network: private\n", "accessories.db.options.network"},
		"Kamal 1, where it was the first": {"healthcheck: {path: /up}\naccessories:\n  db:\n    image: postgres:17\n    host: 10.0.0.1\n    options:\n      network: private\n", "accessories.db.options.network"},
	} {
		t.Run(name, func(t *testing.T) {
			source := least + c.source
			if strings.Count(source, "servers:") > 1 {
				source = strings.Replace(source, "servers: [10.0.0.1]\n", "", 1)
			}
			text, report := imported(t, source)
			if strings.Contains(text, `"private"`) || !report.has(c.key, Todo, "network") {
				t.Errorf("it is\n%s\n%v", text, report)
			}
			if strings.Contains(c.source, "front") && !strings.Contains(text, `network = "front"`) {
				t.Errorf("it is\n%s", text)
			}
		})
	}
}

// A list of which nothing is known is not there, or it would be said to be empty.
func TestAListOfWhichNothingIsKnownIsNotSet(t *testing.T) {
	for key, source := range map[string]string{
		"ssh.keys[0]":        "ssh: {user: deploy, keys: ['<%= Deploy.key %>']}\n",
		"env.secret[0]":      "env: {secret: ['<%= Deploy.name %>']}\n",
		"volumes[0]":         "volumes: ['<%= Deploy.path %>:/data']\n",
		"builder.secrets[0]": "builder: {arch: amd64, secrets: ['<%= Deploy.name %>']}\n",
		"builder.arch[0]":    "builder: {arch: ['<%= Deploy.arch %>']}\n",
	} {
		text, report := imported(t, least+source)
		if strings.Contains(text, "[]") || !report.has(key, Todo, "Ruby computes it") {
			t.Errorf("%s: it is\n%s\n%v", key, text, report)
		}
		for _, line := range report {
			if strings.Contains(line.Why, "neither Kamal nor kamald") || line.Severity == Translated && strings.HasPrefix(key, line.Key) {
				t.Errorf("%s: it says %s", key, line)
			}
		}
	}
	text, _ := imported(t, least+"ssh: {user: deploy, keys: []}\n")
	if !strings.Contains(text, "keys = []") {
		t.Errorf("an empty list is\n%s", text)
	}
}
