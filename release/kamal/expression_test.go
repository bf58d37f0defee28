package kamal

import (
	"strings"
	"testing"

	"github.com/kamald/kamald/release/kamal/ruby"
)

func TestRubysExpressionsAreSaidInHCL(t *testing.T) {
	for _, c := range []struct{ ruby, want string }{
		{`<%= ENV["A"] %>`, `env("A", "")`},
		{`<%= ENV.fetch("A") %>`, `env("A")`},
		{`<%= ENV.fetch("A", "b") %>`, `env("A", "b")`},
		{`<%= ENV["A"] || "b" %>`, `env("A", "b")`},
		{`"x-<%= ENV["A"] %>-${y}"`, `"x-${env("A", "")}-$${y}"`},
		{`<%= ENV["A"].downcase %>`, `lower(env("A", ""))`},
		{`<%= ENV["A"].upcase %>`, `upper(env("A", ""))`},
		{`<%= File.read("VERSION") %>`, `file("VERSION")`},
		{`<%= File.read("VERSION").strip %>`, `replace(file("VERSION"), "\n", "")`},
		{"<%= `git rev-parse HEAD`.chomp %>", `git.sha`},
		{"<%= `git rev-parse HEAD`[0..6] %>", `git.short_sha`},
		{"<%= `git rev-parse HEAD`[0, 7] %>", `git.short_sha`},
		{"<%= `git rev-parse HEAD`.strip.first(7) %>", `git.short_sha`},
		{"<%= %x(git rev-parse --short HEAD).strip %>", `git.short_sha`},
		{"<%= `git rev-parse --abbrev-ref HEAD`.strip %>", `git.branch`},
		{"<%= `git branch --show-current`.chomp %>", `git.branch`},
		{"v<%= `git rev-parse --short HEAD`.strip %>", `"v${git.short_sha}"`},
		{`$<%= ENV["A"] %>`, `"${"$"}${env("A", "")}"`},
		{"<%= `date` %>", ""},
		{"<%= Socket.gethostname %>", ""},
		{`<%= ENV["A"].reverse %>`, ""},
	} {
		tree, _, err := ruby.Read("x.yml", []byte("k: "+c.ruby+"\n"))
		if err != nil {
			t.Fatalf("%s: %v", c.ruby, err)
		}
		x := source(place{node: tree}.at("k"), false)
		if x.source != c.want || c.want == "" && x.why == "" {
			t.Errorf("%s is %s (%s), want %s", c.ruby, x.source, x.why, c.want)
		}
	}
}

func TestWhatTheHostsShellWouldExpandIsItsVariable(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"${NAME}", `host_env("NAME")`},
		{"x${NAME}y", `"x${host_env("NAME")}y"`},
		{"$${NAME}", `"${"$"}${host_env("NAME")}"`},
		{"$$${A}$${B}", `"${"$"}${"$"}${host_env("A")}${"$"}${host_env("B")}"`},
		{"${A}${B}", `"${host_env("A")}${host_env("B")}"`},
		{"$NAME", `"$NAME"`},
		{"%{NAME}", `"%%{NAME}"`},
		{"${NAME:-x}", ""},
		{"${}", ""},
	} {
		x := clearTemplate([]ruby.Part{{Text: c.text}})
		if x.source != c.want || c.want == "" && !strings.Contains(x.why, "host's shell") {
			t.Errorf("%s is %s (%s), want %s", c.text, x.source, x.why, c.want)
		}
	}
}

func TestLinesOfTheSecretsFileAreReadBackAsTheyWere(t *testing.T) {
	for _, c := range []struct{ ruby, want string }{
		{`plain`, `'plain'`},
		{`"it's $5 \"or\" \\ so"`, `"it's \$5 \"or\" \\ so"`},
		{`<%= ENV["A"] %>`, `${A}`},
		{`<%= ENV.fetch("A", "b") %>`, `$(printenv A || printf %s 'b')`},
		{`<%= %x(op read op://a/b).strip %>`, `$(op read op://a/b)`},
		{`a-<%= ENV["A"] %>`, `"a-${A}"`},
		{`<%= File.read("it's") %>`, `$(cat 'it'\''s')`},
		{`<%= Vault.read("a") %>`, ``},
		{`<%= ENV["A"].reverse %>`, ``},
	} {
		tree, _, err := ruby.Read("x.yml", []byte("k: "+c.ruby+"\n"))
		if err != nil {
			t.Fatalf("%s: %v", c.ruby, err)
		}
		p := place{node: tree}.at("k")
		parts := p.node.Parts
		if !p.open() {
			parts = []ruby.Part{{Text: p.text()}}
		}
		line, _, ok := dotenv(parts)
		if ok != (c.want != "") || ok && line != c.want {
			t.Errorf("%s is %s (%v), want %s", c.ruby, line, ok, c.want)
		}
	}
}
