package release

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestAClearVariableMayHoldTheHostsOwn(t *testing.T) {
	text := `env {
  clear = {
    NODE  = host_env("HOSTNAME")
    WHERE = "in ${host_env("REGION")} for $${NOT} $5 on ${host_env("HOSTNAME")}"
    PLAIN = "$${REGION}"
  }
}
tag "eu" {
  env { clear = { NODE = "tagged" } }
}
host "10.0.0.1" { tags = ["eu"] }
`
	r := load(t, in(least+text, ""))
	role, host := r.Roles[0], r.Hosts[0]
	if env := r.EnvOn(role, host); env.Clear["NODE"] != "tagged" || env.FromHost["NODE"] != "" {
		t.Errorf("the tag does not win: %+v", env)
	}
	env := r.EnvOn(role, Host{Name: host.Name})
	if _, both := env.Clear["NODE"]; both || env.Clear["PLAIN"] != "${REGION}" {
		t.Errorf("clear: %v", env.Clear)
	}
	if got := env.FromHost["WHERE"].Variables(); !slices.Equal(got, []string{"HOSTNAME", "REGION"}) {
		t.Errorf("it asks for %v", got)
	}
	got, missing := env.FromHost["WHERE"].On(map[string]string{"HOSTNAME": "h1", "REGION": "$eu"})
	if got != "in $eu for ${NOT} $5 on h1" || missing != nil {
		t.Errorf("on a host: %q, missing %v", got, missing)
	}
	if _, missing := env.FromHost["WHERE"].On(nil); !slices.Equal(missing, []string{"REGION", "HOSTNAME"}) {
		t.Errorf("missing: %v", missing)
	}
	if got := r.HostVariables(Host{Name: host.Name}); !slices.Equal(got, []string{"HOSTNAME", "REGION"}) {
		t.Errorf("the release asks for %v", got)
	}
	if got := r.HostVariables(Host{Name: "elsewhere"}); got != nil {
		t.Errorf("a host without a role is asked for %v", got)
	}
}

func TestAHostsOwnVariableCanBeJoinedAndNotChanged(t *testing.T) {
	for value, good := range map[string]bool{
		`host_env("home")`: true, `"a${host_env("home")}${host_env("HOME")}b"`: true, `join("/", [host_env("home"), "x"])`: true,
		`format("%s!", host_env("home"))`: true,
		`lower(host_env("HOME"))`:         false, `upper(host_env("home"))`: false, `replace(host_env("HOME"), "HOME", "PATH")`: false,
		`host_env("HOME") == "x" ? "a" : "b"`: false,
	} {
		_, diags := Load("deploy.hcl", memory(map[string]string{"deploy.hcl": least + "env {\n  clear = { A = " + value + " }\n}\n"}))
		if diags.HasErrors() == good {
			t.Errorf("%s: %v", value, diags.List())
		}
		for _, d := range diags.List() {
			if strings.ContainsAny(d.Detail, "\x01\x02\x03") || d.Line != 5 {
				t.Errorf("%s: line %d: %q", value, d.Line, d.Detail)
			}
		}
	}
}

func TestTextComesBackWhateverItHolds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		environ := map[string]string{"A": rapid.String().Draw(t, "A"), "B_1": rapid.StringMatching(`[$\{\}A]*`).Draw(t, "B")}
		var evaluated, want strings.Builder
		evaluated.WriteString(hostPlaceholder("A"))
		want.WriteString(environ["A"])
		for range rapid.IntRange(0, 6).Draw(t, "pieces") {
			if rapid.Bool().Draw(t, "variable") {
				name := rapid.SampledFrom(slices.Sorted(maps.Keys(environ))).Draw(t, "name")
				evaluated.WriteString(hostPlaceholder(name))
				want.WriteString(environ[name])
				continue
			}
			text := rapid.StringMatching(`[$\{\}AB_1 é]*`).Draw(t, "text")
			evaluated.WriteString(text)
			want.WriteString(text)
		}
		text, ok := hostText(evaluated.String())
		got, missing := text.On(environ)
		if !ok || missing != nil || got != want.String() {
			t.Fatalf("%q became %q: %q, want %q (%v, missing %v)", evaluated.String(), text, got, want.String(), ok, missing)
		}
	})
}

func TestAHostsTextIsWrittenAsItWouldBeReadAgain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := HostText("${A}")
		for range rapid.IntRange(0, 5).Draw(t, "pieces") {
			piece := strings.ReplaceAll(rapid.StringMatching(`[$%\{\}"\\A\n é]*`).Draw(t, "text"), "$", "$$")
			if rapid.Bool().Draw(t, "variable") {
				piece = "${B_1}"
			}
			if rapid.Bool().Draw(t, "before") {
				text = HostText(piece) + text
			} else {
				text += HostText(piece)
			}
		}
		opts := memory(map[string]string{"deploy.hcl": least + "env {\n  clear = { A = " + text.written() + " }\n}\n"})
		r, diags := Load("deploy.hcl", opts)
		if diags.HasErrors() {
			t.Fatalf("%q is written as %s: %s", text, text.written(), diags.Error())
		}
		if got := r.Roles[0].Env.FromHost["A"]; got != text {
			t.Fatalf("%q is written as %s and read as %q", text, text.written(), got)
		}
	})
}
