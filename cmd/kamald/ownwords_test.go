package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

func TestTheWordsOfAnotherProgramAreNotKamaldsOwn(t *testing.T) {
	for line, want := range map[string]string{
		"plan --bogus x --json":                           "plan --bogus x --json",
		"nosuch --json":                                   "nosuch --json",
		"app exec tool --json":                            "",
		"app exec --json tool -c x":                       "--json",
		"-c f.hcl app exec --reuse -e A=b psql -c x":      "-c f.hcl --reuse -e A=b",
		"app exec -ie A=b tool --json":                    "-ie A=b",
		"app exec -eA=b --env=B=c -- --json":              "-eA=b --env=B=c",
		"app exec --bogus tool --json":                    "--bogus",
		"accessory exec --reuse db psql --json":           "--reuse",
		"server exec --hosts web-1 -q journalctl --json ": "--hosts web-1 -q",
		"app exec -e":                                     "-e",
	} {
		p := newProgram(&bytes.Buffer{}, &bytes.Buffer{})
		if got := strings.Join(own(p.command(), strings.Fields(line)), " "); got != want {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}
}

const psqlFile = `service = "shop"
image   = "acme/shop"
role "web" {
  hosts = ["web-1"]
}
alias "psql" { command = "app exec --reuse psql" }
alias "checked" { command = "validate --json" }
`

func TestAFlagOfTheProgramThatAnAliasRunsIsItsOwn(t *testing.T) {
	t.Chdir(t.TempDir())
	tr := &transcript{t: t}
	tr.write("deploy.hcl", psqlFile)
	tr.write("other.hcl", strings.ReplaceAll(psqlFile, "--reuse psql", "psql other"))
	tr.write("bare.hcl", psqlFile[:strings.Index(psqlFile, "alias")])
	for line, want := range map[string]string{
		"psql|-c|select 1":              "app|exec|--reuse|psql|-c|select 1",
		"psql|-d|shop":                  "app|exec|--reuse|psql|-d|shop",
		"-c|other.hcl|psql|-c|select 1": "-c|other.hcl|app|exec|psql|other|-c|select 1",
		"checked|-c|other.hcl":          "validate|--json|-c|other.hcl",
		"checked|-c|bare.hcl":           "checked|-c|bare.hcl",
	} {
		p := newProgram(&bytes.Buffer{}, &bytes.Buffer{})
		got, err := p.expanded(p.command(), strings.Split(line, "|"))
		if err != nil || !slices.Equal(got, strings.Split(want, "|")) {
			t.Errorf("%s: %q, %v", line, got, err)
		}
	}
}

func TestWhatIsWrongWithTheCommandLineIsJSONWhereThatIsAskedFor(t *testing.T) {
	t.Chdir(t.TempDir())
	(&transcript{t: t}).write("deploy.hcl", psqlFile+`alias "again" { command = "again" }`)
	for line, is := range map[string]bool{"plan --bogus --json": true, "plan --json --bogus": true, "nosuch --json": true, "again --json": true,
		"app exec --bogus tool --json": false, "plan --bogus": false, "app exec --json --bogus tool": true} {
		var out, stderr bytes.Buffer
		code := newProgram(&out, &stderr).run(strings.Fields(line))
		if code != exitError || strings.HasPrefix(out.String(), "{") != is || (stderr.Len() == 0) != is {
			t.Errorf("%s: %d, %q, %q", line, code, out.String(), stderr.String())
		}
	}
}
