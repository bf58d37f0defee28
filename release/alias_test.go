package release

import (
	"slices"
	"strings"
	"testing"
)

func TestAnAliasIsSplitAndMayBeginWithAnother(t *testing.T) {
	opts := in(least+"alias \"logs-all\" { command = \"app logs --grep 'two words'\" }\nalias \"errors\" { command = \"logs-all -n 5\" }\n", "")
	opts.Commands = []string{"app", "status"}
	r := load(t, opts)
	words, found, err := Expanded(r.Aliases, []string{"errors", "--follow", "a b"})
	if want := []string{"app", "logs", "--grep", "two words", "-n", "5", "--follow", "a b"}; err != nil || !found || !slices.Equal(words, want) {
		t.Errorf("%q, %v, %v", words, found, err)
	}
	if _, found, err := Expanded(r.Aliases, []string{"status"}); found || err != nil {
		t.Errorf("status: %v, %v", found, err)
	}
}

func TestAliasesThatCannotBeAreRefused(t *testing.T) {
	alias := func(name, command string) string { return "alias \"" + name + "\" { command = \"" + command + "\" }\n" }
	for text, want := range map[string]string{
		alias("Status", "status"):                 "cannot name an alias",
		alias("-s", "status"):                     "cannot name an alias",
		alias("status", "app details"):            "has a command \"status\"",
		alias("x", "kamald status"):               "write \"status\"",
		alias("x", ""):                            "says nothing",
		alias("x", "status && app"):               "cannot be split",
		alias("x", "app $HOME"):                   "cannot be split",
		alias("x", "stauts"):                      "no command \"stauts\"",
		alias("a", "b") + alias("b", "a --quiet"): "a → b → a",
	} {
		opts := in(least+text, "")
		opts.Commands = []string{"app", "status"}
		if _, diags := Load("deploy.hcl", opts); !diags.HasErrors() || !strings.Contains(diags.Error(), want) {
			t.Errorf("%s: %s, want %q", text, diags.Error(), want)
		}
	}
}

func TestAnOutlineIsReadHoweverWrongTheRestIs(t *testing.T) {
	text := least + `host "10.0.0.9" { tags = ["jobs"] }
role "jobs" { tags = ["jobs"] }
accessory "redis" {
  image = "redis:7"
  hosts = ["10.0.0.8"]
}
alias "s" { command = "status" }
nonsense = env("NOT_SET")
deploy_timeout = "never"
destination "staging" {
  require_destination = true
  alias "t" { command = "status -d staging" }
}
`
	o := ReadOutline("deploy.hcl", in(text, "staging"))
	if o.App.Service != "shop" || o.App.Destination != "staging" || !slices.Equal(o.Destinations, []string{"staging"}) || !slices.Equal(o.Roles, []string{"web", "jobs"}) ||
		!slices.Equal(o.Accessories, []string{"redis"}) || len(o.Aliases) != 2 || !slices.Contains(o.Hosts, "10.0.0.9") || !slices.Contains(o.Hosts, "10.0.0.8") {
		t.Errorf("%+v", o)
	}
	if o := ReadOutline("deploy.hcl", in("role \"web\" {", "")); len(o.Roles) != 0 {
		t.Errorf("%+v", o)
	}
}
